"""The report on an environment is right, where something is missing above all."""

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from gptbook import environment
from gptbook.environment import (
    cores,
    memory,
    minima,
    package_row,
    pins,
    pip_row,
    python_row,
    report,
    requirements,
    run_apart,
    satisfies,
    table,
    torch_rows,
    unfit,
    version_key,
)

ROOT = Path(__file__).parents[1]
# From the oldest to the newest; those in one row are the same version.
VERSIONS = [
    ["0.9"],
    ["2.9.1"],
    ["2.13.0.dev20260101"],
    ["2.13a1"],
    ["2.13b2", "2.13.0b2"],
    ["2.13rc1"],
    ["2.13rc2"],
    ["2.13", "2.13.0", "v2.13.0", "2.13.0+cpu", "2.13+cu130"],
    ["2.13.post1"],
    ["2.13.0.post2", "2.13.post2"],
    ["2.13.1"],
    ["10.0", "10"],
]


def test_versions_are_ordered_as_pip_orders_them():
    ordered = [(row, name) for row, names in enumerate(VERSIONS) for name in names]
    for row, one in ordered:
        for other_row, other in ordered:
            less, same = row < other_row, row == other_row
            assert (version_key(one) < version_key(other)) == less, (one, other)
            assert (version_key(one) == version_key(other)) == same, (one, other)
            public = Version(Version(one).public) < Version(Version(other).public)
            assert public == less, (one, other)


def test_what_is_no_version_is_refused():
    for text in ("", "abc", ">=2"):
        with pytest.raises(ValueError, match="is not a version"):
            version_key(text)


@pytest.mark.parametrize("version, specifier, holds", [
    ("2.13.0+cpu", "==2.13.0", True),
    ("2.13.1", "==2.13.0", False),
    ("2.9", ">=2.13", False),
    ("3.10.0", ">=3.10,<3.14", True),
    ("3.14.0", ">=3.10,<3.14", False),
    ("3.9.18", "<3.14, >=3.10", False),
    ("2", ">1.9", True),
    ("2", ">2", False),
    ("2", "<=2", True),
    ("2", "!=2.0", False),
    ("2", "", True),
])  # fmt: skip
def test_specifiers(version, specifier, holds):
    assert satisfies(version, specifier) is holds


@pytest.mark.parametrize("specifier", ["~=2.2", "==2.*", "2.2"])
def test_a_specifier_that_it_does_not_know_is_refused(specifier):
    with pytest.raises(ValueError, match="is not one of"):
        satisfies("2.2", specifier)


def test_requirements_are_those_of_this_python():
    lines = [
        "# a comment",
        "-c constraints.txt",
        "-e .",
        "",
        "NumPy==2.2.6 ; python_version < '3.11'",
        'numpy == 2.4.6 ; python_version >= "3.11"',
        "torch>=2.13; extra == 'train'",
        "peft (>=0.21)  # LoRA",
        "plain",
    ]
    old, new = requirements(lines, "3.10.4"), requirements(lines, "3.13.0")
    assert old["numpy"] == "==2.2.6" and new["numpy"] == "==2.4.6"
    assert old | {"numpy": ""} == {
        "numpy": "", "torch": ">=2.13", "peft": ">=0.21", "plain": "",
    }  # fmt: skip


def test_pins_are_read_from_the_books_own_file():
    found = pins(ROOT)
    assert found.keys() >= environment.NOTEBOOKS.keys()
    assert found.keys() >= environment.SITE_AND_TESTS.keys()
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    theirs = [Requirement(line) for line in lines if line and line[0] not in "#-"]
    here = {r.name: str(r.specifier) for r in theirs if not r.marker or
            r.marker.evaluate()}  # fmt: skip
    assert found == here


def test_without_the_repository_there_are_no_pins(tmp_path):
    assert pins(tmp_path) == {}


def test_minima_are_the_same_from_both_places(monkeypatch, tmp_path):
    noted = minima(tmp_path)
    assert noted["python"].startswith(">=3.10") and noted["numpy"] == ">=2.2"

    def nothing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "metadata", nothing)
    assert minima(ROOT) == noted
    assert minima(tmp_path) == {"python": ""}


def test_missing_package():
    row = package_row("peft", "LoRA", None, "==0.21.2")
    assert row.state == "missing" and row.found == "-"
    assert row.advice == 'for LoRA: python -m pip install "peft==0.21.2"'
    assert package_row("peft", "LoRA", None).advice.endswith('install "peft"')


def test_too_old_package():
    row = package_row("torch", "training", "2.9.1+cpu", "==2.13.0", ">=2.13")
    assert row.state == "too old" and '"torch==2.13.0"' in row.advice


def test_another_version_will_mostly_do():
    row = package_row("torch", "training", "2.14.0", "==2.13.0", ">=2.13")
    assert row.state == "differs" and '"torch==2.13.0"' in row.advice


def test_right_package():
    row = package_row("torch", "training", "2.13.0+cpu", "==2.13.0", ">=2.13")
    assert row.state == "right" and not row.advice


@pytest.mark.parametrize("version, state", [
    ("3.9.18", "too old"), ("3.12.1", "right"), ("3.14.0", "too new"),
])  # fmt: skip
def test_python(version, state):
    row = python_row(version, ">=3.10,<3.14")
    assert row.state == state and bool(row.advice) == (state != "right")


def test_cores_and_memory_are_those_of_the_share(tmp_path):
    every, whole = cores(tmp_path), memory(tmp_path)
    assert every >= 1 and whole > 0.5
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert cores(tmp_path) == every and memory(tmp_path) == whole
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    (tmp_path / "memory.max").write_text("400000000\n")
    assert cores(tmp_path) == 1 and memory(tmp_path) == pytest.approx(0.4)


def test_memory_limit_of_the_older_kind(tmp_path):
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("300000000\n")
    assert memory(tmp_path) == pytest.approx(0.3)


def test_run_apart_says_how_a_process_ended():
    assert run_apart("print(6 * 7)") == ("42\n", "")
    assert "No module named 'nothing_here'" in run_apart("import nothing_here")[1]
    assert run_apart("raise SystemExit(3)") == ("", "ended with status 3")
    assert "no answer" in run_apart("import time; time.sleep(60)", timeout=0.5)[1]


@pytest.mark.skipif(os.name == "nt", reason="signals are of another kind there")
@pytest.mark.parametrize("name, problem", [
    ("SIGILL", "Illegal instruction"), ("SIGKILL", "ended by signal 9"),
])  # fmt: skip
def test_run_apart_outlives_the_process(name, problem):
    code = f"import os, signal; os.kill(os.getpid(), signal.{name})"
    assert run_apart(code) == ("", problem)


def test_run_apart_where_there_are_no_processes(monkeypatch):
    def refuse(*_, **__):
        raise OSError("emscripten does not support processes.")

    monkeypatch.setattr(subprocess, "run", refuse)
    assert "no process can be started here" in run_apart("print(1)")[1]


def answers(device, bfloat16):
    """What `torch_rows` is told in place of PyTorch's answers."""
    return lambda code: device if code is environment.ASK_TORCH else bfloat16


def test_torch_on_a_gpu():
    told = answers(('["cuda", "A card", 4]', ""), ("2.5", ""))
    device, threads, bfloat16 = torch_rows(told, available=8)
    assert device.found == "cuda (A card)"
    assert threads.found == "4, with 8 cores" and threads.state == "right"
    assert bfloat16.found == "2.5 times float32's speed: pays"


def test_torch_with_more_threads_than_cores():
    told = answers(('["cpu", "", 64]', ""), ("0.3", ""))
    device, threads, bfloat16 = torch_rows(told, available=1)
    assert device.found == "cpu" and threads.found == "64, with 1 core"
    assert threads.state == "beware" and "OMP_NUM_THREADS=1" in threads.advice
    assert "does not pay" in bfloat16.found


def test_torch_that_dies_of_bfloat16():
    told = answers(('["cpu", "", 1]', ""), ("", "Illegal instruction"))
    row = torch_rows(told, available=1)[-1]
    assert (row.name, row.state) == ("bfloat16", "beware")
    assert row.found == "Illegal instruction" and "ONEDNN_MAX_CPU_ISA" in row.advice


def test_torch_that_does_not_load():
    told = answers(("", "Illegal instruction"), ("", "Illegal instruction"))
    [row] = torch_rows(told, available=1)
    assert row.state == "missing" and "Illegal instruction" in row.advice
    assert unfit([row]) == ["device"]


def test_pip_of_another_python(tmp_path):
    assert pip_row(tmp_path / "pip", tmp_path / "python").state == "right"
    row = pip_row(tmp_path / "pip", tmp_path / "elsewhere" / "python")
    assert row.state == "beware" and "python -m pip" in row.advice
    assert "ensurepip" in pip_row(None, tmp_path / "python").advice
    scripts = tmp_path / "Scripts"  # as on Windows, outside a virtual environment
    assert pip_row(scripts / "pip", tmp_path / "python", scripts).state == "right"
    assert pip_row(scripts / "pip", tmp_path / "python", tmp_path).state == "beware"


def test_report_where_nothing_is_installed():
    rows = report(find=lambda name: None)
    by_name = {row.name: row for row in rows}
    assert by_name["torch"].state == by_name["ruff"].state == "missing"
    assert "device" not in by_name  # PyTorch isn't asked
    assert "torch" in unfit(rows) and "ruff" not in unfit(rows)
    text = table(rows)
    assert "torch: for autograd and training: python -m pip install" in text
    assert "python -m pip install -r requirements.txt" in text


def test_table_where_all_is_well():
    text = table([package_row("numpy", "all", "2.4.6", "==2.4.6")])
    assert text.splitlines()[1:] == ["numpy         2.4.6         ==2.4.6", "",
                                     "Nothing to do."]  # fmt: skip


def test_report_names_neither_user_nor_folder():
    text = table(report())
    assert str(ROOT) not in text and sys.prefix not in text
    assert platform.node() not in text.split()


def test_it_runs_without_anything_installed():
    """Its own imports are of the standard library, and of that only."""
    code = "import sys; sys.path.insert(0, '.'); import gptbook.environment"
    bare = [sys.executable, "-S", "-c", code]  # without the installed packages
    assert subprocess.run(bare, cwd=ROOT).returncode == 0


def test_command_line(monkeypatch, capsys):
    good = [package_row("numpy", "all", "2.4.6")]
    bad = [package_row("numpy", "all", None)]
    for rows, status in ((good, 0), (bad, 1)):
        monkeypatch.setattr(environment, "report", lambda rows=rows: rows)
        assert environment.main() == status
        assert "numpy" in capsys.readouterr().out
