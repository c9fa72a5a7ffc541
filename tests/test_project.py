"""The README, the pins and the order of the modules are as they say."""

import ast
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import gptbook

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
# What the modules may import besides the standard library and each other. A browser
# has NumPy, so what the pages run there may need nothing else that is compiled.
COMPILED = {
    "torch_gpt": {"numpy", "torch"},
    "runs": {"numpy", "matplotlib"},
    "processes": {"torch"},
    "training": {"numpy", "torch", "tqdm"},
    "fast": {"torch"},
    "modern": {"torch"},
    "pretrained": {"transformers"},
    "keras_gpt": {"numpy", "keras"},
    "svg": {"numpy", "IPython"},
    "plots": {"numpy", "matplotlib"},
}


def pins(name):
    """The requirements in a file, without options and comments."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and line[0] not in "#-"]


def version(requirement):
    [specifier] = requirement.specifier
    assert specifier.operator == "==" and requirement.url is None, requirement
    return specifier.version


def test_version_is_the_installed_one():
    assert importlib.metadata.version("gptbook") == gptbook.__version__


def test_package_needs_only_numpy():
    needed = map(Requirement, importlib.metadata.requires("gptbook"))
    assert [r.name for r in needed if r.marker is None] == ["numpy"]


def test_constraints_name_no_server_and_no_path():
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert not re.findall(r"^-.*|.*(?:://| @ ).*", text, re.M)


@pytest.mark.parametrize("python", PYTHONS)
def test_pins_agree_on_every_python(python):
    environment = {"python_version": python, "python_full_version": f"{python}.0"}

    def chosen(name):
        here = [
            r for r in pins(name) if not r.marker or r.marker.evaluate(environment)
        ]
        versions = {r.name.lower(): version(r) for r in here}
        assert len(versions) == len(here), "a package is pinned twice"
        return versions

    direct, everything = chosen("requirements.txt"), chosen("constraints.txt")
    assert {"jupyter-book", "torch", "numpy", "pytest"} <= direct.keys()
    assert direct.items() <= everything.items()


def command(name):
    """The command between the README's markers of that name."""
    start, end = f"<!-- {name} -->\n```bash\n", f"\n```\n<!-- /{name} -->\n"
    return README.split(start)[1].split(end)[0]


def test_readme_has_the_two_commands():
    install = "pip install -r requirements.txt"
    assert command("read") == f"{install} && jupyter-book build ."
    assert command("test") == f"{install} && pytest -n 2 --dist loadfile"
    assert "`_build/html/index.html`" in README


def test_readme_names_what_is_there():
    paths = re.findall(r"^\| `(.+?)` \|", README, re.M)
    assert "book/" in paths and "gptbook/" in paths
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_ci_runs_the_readme_command():
    """The lines that .ci/run takes out of the README are the test command."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    [take] = re.findall(r"^commands=\$\((.+)\)$", script, re.M)
    found = subprocess.run(
        ["bash", "-c", take], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == command("test")


def imports(path):
    """The top-level packages, and the modules of gptbook, that a module imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "gptbook":
            yield from (f"gptbook.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def test_modules_import_only_from_those_above():
    order = re.findall(r"^    (\w+)  ", gptbook.__doc__, re.M)
    paths = {path.stem: [path] for path in ROOT.glob("gptbook/[!_]*.py")}
    paths["exercises"] = list(ROOT.glob("gptbook/exercises/*.py"))
    assert paths.keys() == set(order)
    for index, name in enumerate(order):
        allowed = {f"gptbook.{above}" for above in order[:index]}
        allowed |= COMPILED.get(name, {"numpy"}) | sys.stdlib_module_names
        for imported in {found for path in paths[name] for found in imports(path)}:
            package = imported.split(".")[0]
            known = imported if package == "gptbook" else package
            assert known in allowed | {f"gptbook.{name}"}, f"{name} imports {imported}"


def test_ruff_finds_nothing():
    ruff = [sys.executable, "-m", "ruff", "check", "--output-format=concise", "."]
    found = subprocess.run(ruff, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout
