"""The notebooks for a class: copies to solve, and a look at what comes back.

    python -m gptbook.classroom make for-class self-attention position
    python -m gptbook.classroom check handed-in

`make` writes copies without solutions and outputs, with the model that they read, into
a new folder. `check` looks at every notebook in a folder, whatever it is called by now,
and prints a table: 1 right, 0 wrong, - not begun, ! failed; --csv keeps the messages.

To check an answer is to run it, so `check` runs what your students wrote: each answer
in a process of its own, with a time limit, but with all the rights that you have. Where
you don't trust it, use an account or a container that has nothing to lose.
"""

from __future__ import annotations

import argparse
import ast
import csv
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from gptbook.cells import names_of, needed

BOOK = Path(__file__).parents[1] / "book"
MODELS = "models"  # the folder that the notebooks read, beside them
SOLUTION = re.compile(r'<details class="solution">.*?</details>\s*', re.DOTALL)
HINT = re.compile(r'<details class="hint">.*?</details>\s*', re.DOTALL)
LINK = re.compile(r"\[([^\[\]]*)\]\(([\w-]+\.(?:ipynb|md))\)")
MARKS = {"right": "1", "wrong": "0", "untouched": "-", "failed": "!"}


def read(path: Path) -> dict:
    """The notebook in a file, its sources as single strings.

    ValueError if the file is no notebook of the format 4.
    """
    try:
        nb = json.loads(path.read_text(encoding="utf-8"))
        if nb["nbformat"] != 4:
            raise ValueError(f"{path} has the format {nb['nbformat']}, expected 4")
        for cell in nb["cells"]:
            cell["source"] = "".join(cell["source"])
            cell["cell_type"], cell["metadata"]  # must be there
        nb["metadata"]  # this, too
    except (KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a notebook ({error})") from None
    return nb


def code_cells(nb: dict) -> list[dict]:
    return [cell for cell in nb["cells"] if cell["cell_type"] == "code"]


def tags(cell: dict) -> list[str]:
    return cell["metadata"].get("tags", [])


@dataclass
class Exercise:
    """An exercise of a notebook: where it is, and the call that checks it."""

    index: int  # of its code cell, tagged `exercise`, among the code cells
    skeleton: str  # what the reader starts from
    name: str  # of the check
    check: str  # the call `check.name(...)`, in that cell or in the next one


def exercises(nb: dict) -> list[Exercise]:
    cells = code_cells(nb)
    found = []
    for index, cell in enumerate(cells):
        if "exercise" in tags(cell):
            below = "\n".join(c["source"] for c in cells[index : index + 2])
            found.append(Exercise(index, cell["source"], *check_call(below)))
    return found


def check_call(source: str) -> tuple[str, str]:
    """The name and the text of the first call `check.name(...)`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if isinstance(node.func.value, ast.Name) and node.func.value.id == "check":
                return node.func.attr, ast.unparse(node)
    return "", ""


def make(folder: Path, pages: list[str] = (), hints: bool = True) -> list[Path]:
    """Writes copies of the pages' notebooks, all by default, into a new folder.

    FileExistsError if the folder has something in it; ValueError for an unknown page.
    """
    known = {path.stem: path for path in sorted(BOOK.glob("*.ipynb"))}
    pages = pages or list(known)
    for page in pages:
        if page not in known:
            raise ValueError(f"no page {page!r}; there are {', '.join(known)}")
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty, and nothing is overwritten")
    shutil.copytree(BOOK / MODELS, folder / MODELS)
    for page in pages:
        copy = student_copy(page, pages, hints)
        text = json.dumps(copy, ensure_ascii=False, indent=1) + "\n"
        (folder / f"{page}.ipynb").write_text(text, encoding="utf-8")
    return [folder / f"{page}.ipynb" for page in pages]


def student_copy(page: str, pages: list[str], hints: bool = True) -> dict:
    """The page's notebook without solutions, outputs, and links to other pages."""

    def linked(match):
        return match[0] if match[2].removesuffix(".ipynb") in pages else match[1]

    nb = read(BOOK / f"{page}.ipynb")
    nb["metadata"]["page"] = page  # a student may give the file another name
    for cell in nb["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
        else:
            text = SOLUTION.sub("", cell["source"])
            cell["source"] = LINK.sub(linked, text if hints else HINT.sub("", text))
    return nb


def check(folder: Path, seconds: float = 60) -> Iterator[tuple[Path, str, list]]:
    """(path, page, results) for every notebook in the folder and below it.

    results: (mark, message) for each exercise of the page, the mark a key of MARKS.
    A file that is no notebook of the book has page "" and its fault as only result.
    """
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(BOOK / MODELS, Path(place) / MODELS)
        for path in sorted(folder.rglob("*.ipynb")):
            if ".ipynb_checkpoints" in path.parts:
                continue
            try:
                nb = read(path)
                page = nb["metadata"].get("page", path.stem)
                if not (BOOK / f"{page}.ipynb").exists():
                    raise ValueError(f"no page of the book: {page}")
            except (OSError, ValueError) as error:
                yield path, "", [("failed", str(error))]
                continue
            asked = exercises(read(BOOK / f"{page}.ipynb"))
            yield path, page, [attempt(nb, page, e, place, seconds) for e in asked]


def attempt(nb, page, exercise, place, seconds) -> tuple[str, str]:
    """(mark, message) of one exercise in a notebook that was handed in."""
    cells = [without_magic(cell["source"]) for cell in code_cells(nb)]
    # The answer may stand in its cell or further down: up to the last that names it.
    own = re.compile(rf"\b(?:check\.|def ){exercise.name}\(")
    places = [i for i, cell in enumerate(cells) if own.search(cell)]
    cells = cells[: places[-1] + 1] if places else cells
    names = names_of(exercise.check).used - {"check"}
    chosen = [cells[i] for i in needed(cells, names)]
    task = json.dumps([chosen, page.replace("-", "_"), exercise.check])
    command = [sys.executable, "-m", "gptbook.classroom", "run"]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        try:
            subprocess.run(
                command, input=task, stdout=output, stderr=subprocess.DEVNULL,
                cwd=place, timeout=seconds, encoding="utf-8",
                env={**os.environ, "MPLBACKEND": "agg"},
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return "failed", f"not done after {seconds:g} seconds"
        output.seek(0)
        last = output.read().splitlines()[-1:] or ['["failed", "the process ended"]']
    mark, message = json.loads(last[0])
    if mark != "right" and cells[-1:] == [exercise.skeleton]:
        return "untouched", ""
    return mark, message


def without_magic(source: str) -> str:
    """A cell without what is IPython's own: `%timeit f()`, `x = !ls`, `f?`."""
    with suppress(SyntaxError, ValueError):
        ast.parse(source)
        return source
    magic = r"^([ \t]*)(?:[%!].*|.*\?[ \t]*|\w+ *= *[%!].*)$"
    return re.sub(magic, r"\1pass", source, flags=re.MULTILINE)


def run() -> None:
    """Runs one answer, read from the standard input, and prints what its check says."""
    cells, module, call = json.load(sys.stdin)
    # The answer gets no hold of the line on which the result is told.
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.path.insert(0, "")
    namespace = {"__name__": "__main__", "display": print}
    printed = StringIO()
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            for cell in cells:
                code = compile(cell, "<answer>", "exec", dont_inherit=True)
                exec(code, namespace)
            namespace["check"] = importlib.import_module(f"gptbook.exercises.{module}")
        with redirect_stdout(printed):
            right = eval(call, namespace)
        result = "right" if right is True else "wrong", printed.getvalue().strip()
    except BaseException as error:
        result = "failed", f"{type(error).__name__}: {error}"
    print(json.dumps(result), file=told, flush=True)


def report(folder: Path, seconds: float, messages: Path | None) -> None:
    """Prints the table of a folder, line by line, and writes the messages as CSV.

    ValueError if there is no notebook in it.
    """
    rows = [("file", "page", "exercise", "mark", "message")]
    for path, page, results in check(folder, seconds):
        name = path.relative_to(folder).as_posix()
        marks = " ".join(MARKS[mark] for mark, _ in results)
        right = sum(mark == "right" for mark, _ in results)
        print(f"{name:40s} {page:25s} {marks:10s} {right} of {len(results)}")
        for number, (mark, message) in enumerate(results, start=1):
            rows.append((name, page, number, mark, message))
    if len(rows) == 1:
        raise ValueError(f"no notebook in {folder}")
    if messages:
        with messages.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="copies for a class, without solutions")
    making.add_argument("folder", type=Path, help="a new or empty folder")
    making.add_argument("pages", nargs="*", help="such as self-attention; all if none")
    making.add_argument("--no-hints", action="store_true", help="leave hints out, too")
    checking = commands.add_parser("check", help="run and check what was handed in")
    checking.add_argument("folder", type=Path)
    checking.add_argument("--seconds", type=float, default=60, help="for each answer")
    checking.add_argument("--csv", type=Path, help="a file for the messages")
    commands.add_parser("run")
    given = parser.parse_args()
    try:
        if given.command == "run":
            run()
        elif given.command == "make":
            for path in make(given.folder, given.pages, not given.no_hints):
                print(path)
        else:
            report(given.folder, given.seconds, given.csv)
    except (OSError, ValueError) as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
