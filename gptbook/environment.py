"""What is installed, what the machine is, and what to do where something is missing.

    python -m gptbook.environment

It needs nothing but Python, so it also runs where nothing is installed yet. PyTorch is
asked in another process: if loading it ends the process, this one goes on and says so.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

# What each package is for, in the order in which the book comes to use them.
NOTEBOOKS = {
    "numpy": "everything",
    "matplotlib": "the figures",
    "jupyterlab": "opening the notebooks",
    "ipykernel": "running the notebooks",
    "torch": "autograd and training",
    "tqdm": "the progress bar of the training",
    "transformers": "pretrained models, and another opinion on ours",
    "tokenizers": "the tokenizers of transformers",
    "safetensors": "the files of weights in transformers",
    "accelerate": "the Trainer of transformers",
    "peft": "LoRA",
    "gguf": "models in the format GGUF",
}
SITE_AND_TESTS = {
    "jupyter-book": "building the site",
    "nbval": "comparing the notebooks' outputs",
    "pytest": "the tests",
    "ruff": "the check of the code's style",
}


class Row(NamedTuple):
    """A line of the report; `advice` is empty where there is nothing to do."""

    name: str
    found: str
    needed: str = ""
    state: str = "right"  # or "missing", "too old", "too new", "differs", "beware"
    advice: str = ""


# Versions


def version_key(version):
    """A key that orders versions as pip does: 2.9 < 2.13rc1 < 2.13.0+cpu < 2.13.post1.

    What follows a + says how a package was built, not what is in it, and is left out.
    """
    found = re.match(r"v?(\d+(?:\.\d+)*)[-_.]?([a-z]*)[-_.]?(\d*)", version.lower())
    if not found:
        raise ValueError(f"{version!r} is not a version such as 2.13.0")
    release, phase, number = found.groups()
    numbers = [int(part) for part in release.split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:  # 2.13.0 is 2.13
        numbers.pop()
    phases = ["dev", "a", "b", "rc", "", "post"]
    rank = phases.index(phase) if phase in phases else phases.index("")
    return numbers, rank, int(number or 0)


def satisfies(version, specifier):
    """Whether a version meets a specifier, such as ">=3.10,<3.14"; "" is met by all."""
    key = version_key(version)
    for part in filter(None, specifier.replace(" ", "").split(",")):
        operator, bound = re.match(r"([=!<>~]*)(.*)", part).groups()
        bound = version_key(bound)
        holds = {
            "==": key == bound,
            "!=": key != bound,
            ">=": key >= bound,
            "<=": key <= bound,
            ">": key > bound,
            "<": key < bound,
        }
        if operator not in holds or "*" in part:
            raise ValueError(f"{part!r} is not one of {', '.join(holds)} and a version")
        if not holds[operator]:
            return False
    return True


def requirements(lines, python=None):
    """{name: specifier} of lines such as 'numpy==2.2.6 ; python_version < "3.11"'.

    Options, comments, and lines that are not for this Python are left out; of other
    conditions only `extra == ...` is known, and counts as met.
    """
    python = python or platform.python_version()
    found = {}
    for line in lines:
        requirement, _, condition = line.split("#")[0].partition(";")
        parts = re.match(r"\s*([\w.-]+)\s*(?:\[.*\])?\s*\(?([^()]*)", requirement)
        if not parts or requirement.lstrip().startswith("-"):
            continue
        marker = re.search(r"python_version\s*([<>=!]+)\s*[\"']([\d.]+)", condition)
        short = ".".join(python.split(".")[:2])
        if marker is None or satisfies(short, marker[1] + marker[2]):
            found[parts[1].lower()] = parts[2].replace(" ", "")
    return found


def repository():
    """The folder of the book; of an installed copy, as seen from it or from `book`."""
    folders = [Path(__file__).parents[1], Path.cwd(), Path.cwd().parent]
    ours = (f for f in folders if (f / "gptbook" / "environment.py").exists())
    return next((f for f in ours if (f / "requirements.txt").exists()), Path.cwd())


def pins(root):
    """The exact versions with which the pages were made; {} without the repository."""
    return requirements(read(root, "requirements.txt").splitlines())


def minima(root):
    """The oldest versions that will do, "python" among them.

    From what pip noted when it installed gptbook, or else from pyproject.toml.
    """
    try:
        noted = metadata.metadata("gptbook")
        python, lines = noted["Requires-Python"], noted.get_all("Requires-Dist", [])
    except metadata.PackageNotFoundError:
        text = read(root, "pyproject.toml")
        python = "".join(re.findall(r'^requires-python = "(.*)"', text, re.M))
        lists = re.findall(r"^(?:dependencies|train) = \[(.*)\]", text, re.M)
        lines = re.findall(r'"(.+?)"', " ".join(lists))
    python = ",".join(sorted((python or "").replace(" ", "").split(","), reverse=True))
    return {"python": python, **requirements(lines)}


def installed(name):
    """The version of an installed package, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def python_row(version, needed):
    if satisfies(version, needed):
        return Row("Python", version, needed)
    lowest = next((part for part in needed.split(",") if part.startswith(">=")), "")
    state = "too new" if satisfies(version, lowest) else "too old"
    advice = "install a Python in this range, and make a new environment with it"
    return Row("Python", version, needed, state, advice)


def package_row(name, purpose, version, pin="", minimum=""):
    """Compares the installed version, or None, with the pin and the minimum."""
    needed = pin or minimum
    wanted = f'python -m pip install "{name}{needed}"'
    if version is None:
        advice = f"for {purpose}: {wanted}"
        return Row(name, "-", needed, "missing", advice)
    if not satisfies(version, minimum):
        return Row(name, version, needed, "too old", wanted)
    if not satisfies(version, pin):
        advice = f"will mostly do; for the numbers of the pages: {wanted}"
        return Row(name, version, needed, "differs", advice)
    return Row(name, version, needed)


# The machine


def cores(cgroup="/sys/fs/cgroup"):
    """How many processor cores this process may use.

    os.cpu_count() counts the cores of the machine. A share of them, as in a container
    or on a hub, shows in the process's affinity or in its control group.
    """
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    limit = read(cgroup, "cpu.max").split()  # "200000 100000": 2 cores; "max 100000"
    if len(limit) == 2 and limit[0].isdigit():
        count = min(count, max(1, int(limit[0]) // int(limit[1])))
    return count


def memory(cgroup="/sys/fs/cgroup"):
    """The memory in GB that this process may use, or None where nobody says."""
    sizes = [total_memory()]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        limit = read(cgroup, name).strip()
        sizes.append(int(limit) if limit.isdigit() else None)
    known = [size for size in sizes if size]
    return min(known) / 1e9 if known else None


def total_memory():
    """The memory of the machine in bytes, or None."""
    if sys.platform == "win32":
        status = (ctypes.c_uint64 * 8)()  # MEMORYSTATUSEX: 64 bytes
        ctypes.cast(status, ctypes.POINTER(ctypes.c_uint32))[0] = ctypes.sizeof(status)
        done = ctypes.windll.kernel32.GlobalMemoryStatusEx(status)
        return status[1] if done else None
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def read(folder, name):
    """The text of a file, "" where there is none."""
    try:
        return (Path(folder) / name).read_text("utf-8")
    except OSError:
        return ""


def run_apart(code, timeout=120):
    """Runs Python code in a process of its own: (what it printed, what went wrong)."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True,
            timeout=timeout,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "", f"no answer within {timeout} seconds"
    except OSError as error:  # as in a browser, which has no processes
        return "", f"no process can be started here: {error}"
    if done.returncode in (-signal.SIGILL, 0xC000001D):  # the second on Windows
        return "", "Illegal instruction"
    if done.returncode < 0:
        return "", f"ended by signal {-done.returncode}"
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return "", lines[-1] if lines else f"ended with status {done.returncode}"
    return done.stdout, ""


ASK_TORCH = """
import json, torch
cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
device = "cuda" if cuda else "mps" if mps else "cpu"
name = torch.cuda.get_device_name() if cuda else ""
print(json.dumps([device, name, torch.get_num_threads()]))
"""

# How many times as fast a product is in bfloat16 as in float32, on one core.
ASK_BFLOAT16 = """
import json, time, torch
torch.set_num_threads(1)
def seconds(dtype):
    x, times = torch.ones(512, 512, dtype=dtype), []
    for _ in range(6):
        start = time.perf_counter()
        x @ x
        times.append(time.perf_counter() - start)
    return min(times)
print(json.dumps(seconds(torch.float32) / seconds(torch.bfloat16)))
"""


def torch_rows(ask=run_apart, available=None):
    """What PyTorch says of the device, its threads, and products in bfloat16."""
    available = available or cores()
    answer, problem = ask(ASK_TORCH)
    if problem:
        advice = "PyTorch is installed and does not load; see the end of chapter 5.1"
        return [Row("device", "-", "", "missing", f"{advice} ({problem})")]
    device, name, threads = json.loads(answer)
    rows = [Row("device", f"{device} ({name})" if name else device)]
    found = f"{threads}, with {available} core{'s' if available > 1 else ''}"
    if threads > available:
        advice = f"more threads than cores is slow: set OMP_NUM_THREADS={available}"
        rows.append(Row("threads", found, "", "beware", advice))
    else:
        rows.append(Row("threads", found))
    answer, problem = ask(ASK_BFLOAT16)
    if problem:
        advice = "leave bfloat16 off on this processor, or set "
        advice += "ONEDNN_MAX_CPU_ISA=AVX512_CORE_FP16 before Python starts"
        return [*rows, Row("bfloat16", problem, "", "beware", advice)]
    gain = json.loads(answer)
    pays = "pays" if gain > 1.2 else "does not pay"
    return [*rows, Row("bfloat16", f"{gain:.1f} times float32's speed: {pays}")]


def pip_row(path, executable, scripts=""):
    """Whether the command `pip`, at this path or None, installs for this Python.

    scripts: the folder of this Python's commands, which on Windows, and in the Python
    of a system, need not be the folder of the program itself.
    """
    if path is None:
        return Row("pip", "-", "", "beware", "python -m ensurepip, or use uv pip")
    if Path(path).parent in (Path(executable).parent, Path(scripts)):
        return Row("pip", "this Python's")
    advice = "it installs elsewhere: write python -m pip"
    return Row("pip", "another Python's", "", "beware", advice)


def machine_rows():
    rows = [Row("system", f"{platform.system()} {platform.machine()}")]
    if sys.prefix != sys.base_prefix or "CONDA_PREFIX" in os.environ:
        rows.append(Row("environment", "its own"))
    else:
        advice = "other programs share this Python; better make an environment"
        rows.append(Row("environment", "the system's", "", "beware", advice))
    scripts = sysconfig.get_path("scripts")
    rows.append(pip_row(shutil.which("pip"), sys.executable, scripts))
    if (size := memory()) is not None:
        advice = "run one notebook at a time" if size < 2 else ""
        state = "beware" if size < 2 else "right"
        rows.append(Row("memory", f"{size:.0f} GB", "", state, advice))
    return rows


# The report


def report(find=installed):
    """The rows of the report: Python, the packages, the machine, PyTorch."""
    root = repository()
    exact, least = pins(root), minima(root)
    rows = [python_row(platform.python_version(), least["python"])]
    for name, purpose in {**NOTEBOOKS, **SITE_AND_TESTS}.items():
        pin, minimum = exact.get(name, ""), least.get(name, "")
        rows.append(package_row(name, purpose, find(name), pin, minimum))
    return rows + machine_rows() + (torch_rows() if find("torch") else [])


def table(rows):
    """The rows as text, and below them what to do."""
    lines = [f"{'':14s}{'found':14s}needed"]
    for row in rows:
        line = f"{row.name:14s}{row.found:14s}{row.needed}".rstrip()
        lines.append(line if row.state == "right" else f"{line}  <- {row.state}")
    todo = [f"{row.name}: {row.advice}" for row in rows if row.advice]
    if sum(row.state in ("missing", "too old", "differs") for row in rows) > 1:
        todo.append("All at once, in the folder of the book's README:\n"
                    "    python -m pip install -r requirements.txt")  # fmt: skip
    return "\n".join(lines + ["", *(todo or ["Nothing to do."])])


def unfit(rows):
    """The names of what the notebooks can't do without, and lack."""
    wrong = {"missing", "too old", "too new"}
    return [r.name for r in rows if r.state in wrong and r.name not in SITE_AND_TESTS]


def main():
    rows = report()
    print(table(rows))
    return 1 if unfit(rows) else 0


if __name__ == "__main__":
    sys.exit(main())
