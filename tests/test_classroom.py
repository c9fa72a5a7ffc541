"""Copies for a class hold nothing that they shouldn't, and answers are judged right."""

import csv
import json
import re
import subprocess
import sys

import nbformat
import pytest

from gptbook import classroom
from gptbook.cells import names_of, needed
from gptbook.classroom import check, code_cells, exercises, make

PAGES = [path.stem for path in sorted(classroom.BOOK.glob("*.ipynb"))]
# Answers to the first exercise of the page on self-attention.
PAGE, NAME = "self-attention", "attend"
RIGHT = """def attend(query, key, value):
    return helper(key @ query / math.sqrt(len(query))) @ value"""
HELPER = """%matplotlib inline
def helper(scores):
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()"""
WRONG = """def attend(query, key, value):
    return key @ query @ value"""
ENDLESS = """def attend(query, key, value):
    while True:
        pass"""
LEAVES = """import os
def attend(query, key, value):
    os._exit(0)"""
SAYS_MORE = """import atexit, os
atexit.register(print, "bye")
os.system("echo hello")
display("a picture")
%timeit helper(np.ones(3))
""" + RIGHT
CONTINUED = """remainder = (7
    % 4)
""" + RIGHT
BROKEN = "def attend(query, key, value):\n    return ("


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("class")
    assert [path.stem for path in make(folder)] == PAGES
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_a_copy_is_a_notebook_without_solutions_and_outputs(copies, page):
    nb = nbformat.read(copies / f"{page}.ipynb", as_version=4)
    nbformat.validate(nb)
    for cell in code_cells(nb):
        assert not cell.outputs and cell.execution_count is None
    text = "\n".join(cell.source for cell in nb.cells)
    assert 'class="solution"' not in text and "Solution</summary>" not in text
    assert len(exercises(nb)) == text.count('class="hint"') >= 4
    links = re.findall(r"\]\(([\w-]+\.(?:ipynb|md))\)", text)
    assert links and not [link for link in links if not (copies / link).exists()]


def test_copies_bring_the_model_and_overwrite_nothing(copies):
    here, there = copies / "models" / "tales", classroom.BOOK / "models" / "tales"
    for path in there.iterdir():
        assert (here / path.name).read_bytes() == path.read_bytes()
    with pytest.raises(FileExistsError, match="not empty"):
        make(copies)


def test_some_pages_without_hints(tmp_path):
    make(tmp_path / "new", ["position", PAGE], hints=False)
    assert len(list((tmp_path / "new").glob("*.ipynb"))) == 2
    text = (tmp_path / "new" / "position.ipynb").read_text(encoding="utf-8")
    assert 'class=\\"hint' not in text and f"]({PAGE}.ipynb)" in text
    assert "](input.ipynb)" not in text
    with pytest.raises(ValueError, match="no page 'positions'; there are .*position"):
        make(tmp_path / "other", ["positions"])
    assert not (tmp_path / "other").exists()


def hand_in(copies, path, answer, helper="", keep_skeleton=False):
    """A copy with an answer in place of the first skeleton, or below it."""
    nb = nbformat.read(copies / f"{PAGE}.ipynb", as_version=4)
    place = next(i for i, c in enumerate(nb.cells) if "exercise" in classroom.tags(c))
    new = [nbformat.v4.new_code_cell(text) for text in (helper, answer) if text]
    nb.cells[place + keep_skeleton : place + 1] = new
    nbformat.write(nb, path)


@pytest.fixture(scope="module")
def results(copies, tmp_path_factory):
    """{file: (page, results)} of a folder with every kind of thing in it."""
    folder = tmp_path_factory.mktemp("handed in")
    (folder / "ada").mkdir()
    hand_in(copies, folder / "ada" / "my answers.ipynb", RIGHT, HELPER)
    below = f"{RIGHT}\n_ = check.{NAME}({NAME})"
    hand_in(copies, folder / "below.ipynb", below, HELPER, keep_skeleton=True)
    hand_in(copies, folder / "own check.ipynb", RIGHT, HELPER, keep_skeleton=True)
    hand_in(copies, folder / "wrong below.ipynb", WRONG, keep_skeleton=True)
    called = f"{HELPER}\n_ = check.{NAME}({NAME})"
    hand_in(copies, folder / "helper below.ipynb", called, RIGHT)
    hand_in(copies, folder / "says more.ipynb", SAYS_MORE, HELPER)
    hand_in(copies, folder / "continued.ipynb", CONTINUED, HELPER)
    hand_in(copies, folder / "wrong.ipynb", WRONG)
    hand_in(copies, folder / "leaves.ipynb", LEAVES)
    hand_in(copies, folder / "broken.ipynb", BROKEN)
    hand_in(copies, folder / "untouched.ipynb", "1 + 1", keep_skeleton=True)
    (folder / "torn.ipynb").write_text('{"nbformat": 4, "cells": [', encoding="utf-8")
    (folder / "folder.ipynb").mkdir()
    (folder / "bare.ipynb").write_text('{"nbformat": 4, "cells": []}', encoding="utf-8")
    (folder / "stranger.ipynb").write_text(
        '{"nbformat": 4, "metadata": {}, "cells": []}', encoding="utf-8"
    )
    found = check(folder)
    return {path.name: (page, rows) for path, page, rows in found}


@pytest.mark.parametrize(
    ("name", "mark", "message"),
    [
        ("my answers.ipynb", "right", ""),
        ("below.ipynb", "right", ""),
        ("own check.ipynb", "right", ""),
        ("wrong below.ipynb", "wrong", ""),
        ("helper below.ipynb", "right", ""),
        ("says more.ipynb", "right", ""),
        ("continued.ipynb", "right", ""),
        ("wrong.ipynb", "wrong", ""),
        ("leaves.ipynb", "failed", "the process ended"),
        ("broken.ipynb", "failed", "NameError: name 'attend' is not defined"),
        ("untouched.ipynb", "untouched", ""),
    ],
)
def test_what_is_handed_in(results, name, mark, message):
    page, rows = results[name]
    assert page == PAGE and rows[0][0] == mark and message in rows[0][1]
    assert len(rows) == 4 and {row[0] for row in rows[1:]} == {"untouched"}
    if mark == "wrong":
        assert len(rows[0][1]) > 20, "the check says what is wrong"


def test_an_endless_answer_is_stopped(copies, tmp_path):
    hand_in(copies, tmp_path / "endless.ipynb", ENDLESS)
    [(_, _, rows)] = check(tmp_path, seconds=5)
    assert rows[0] == ("failed", "not done after 5 seconds")


def test_what_is_no_notebook_of_the_book(results):
    page, [(mark, message)] = results["torn.ipynb"]
    assert (page, mark) == ("", "failed") and "not a notebook" in message
    for name in ("bare.ipynb", "folder.ipynb"):
        assert results[name][0] == "" and results[name][1][0][0] == "failed"
    page, [(mark, message)] = results["stranger.ipynb"]
    assert (page, mark) == ("", "failed") and "no page of the book" in message


def test_the_commands(copies, tmp_path):
    def classroom_command(*arguments):
        command = [sys.executable, "-m", "gptbook.classroom", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300)

    made = classroom_command("make", tmp_path / "for class", PAGE)
    assert made.returncode == 0 and f"{PAGE}.ipynb" in made.stdout
    again = classroom_command("make", tmp_path / "for class", PAGE)
    assert again.returncode == 1 and "not empty" in again.stderr

    handed_in, table = tmp_path / "handed in", tmp_path / "table.csv"
    handed_in.mkdir()
    nothing = classroom_command("check", handed_in)
    assert nothing.returncode == 1 and "no notebook" in nothing.stderr
    hand_in(copies, handed_in / "ada.ipynb", RIGHT, HELPER)
    done = classroom_command("check", handed_in, "--csv", table)
    assert done.returncode == 0, done.stderr
    assert re.search(rf"ada\.ipynb +{PAGE} +1 - - - +1 of 4", done.stdout)
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["mark"] for row in rows] == ["right"] + 3 * ["untouched"]


@pytest.mark.parametrize(
    ("cells", "chosen"),
    [
        (["a = 1", "b = 2", "c = a"], [0, 2]),
        (["import numpy as np", "np.random.seed(1)", "c = np.ones(1)"], [0, 2]),
        (["a = []", "a.append(1)", "b = a[0]", "c = a"], [0, 1, 3]),
        (["import numpy as np", "a = np.ones(2)", "np.add.at(a, 0, 1)", "c = a"],
         [0, 1, 2, 3]),
        (["a = 1", "a = 2", "c = a"], [1, 2]),
        (["a = 1", "if a:\n    b = 2", "c = b"], [0, 1, 2]),
        (["a = {}", "a['b'] = 1", "a['c'] += 1", "c = a"], [0, 1, 2, 3]),
        (["d = 1", "def f(x):\n    return [y + d for y in x]", "c = f"], [0, 1, 2]),
        (["def f(d):\n    d = 2\n    return d", "d = 1", "c = f"], [0, 2]),
        (["a = (", "c = 1"], [1]),
        (["def f():\n    return late", "b = 1", "late = 2", "c = f"], [0, 2, 3]),
        (["a = '\ud800'", "c = 1"], [1]),
    ],
)  # fmt: skip
def test_needed_cells(cells, chosen):
    assert needed(cells, {"c"}) == chosen


def test_names_in_code():
    names = names_of("import a\nb, c.d = a.e(f), 1\ndef g():\n    return h")
    assert names.given == {"a", "b", "g"} and names.imported == {"a"}
    assert names.altered == {"c"} and {"a", "f", "h"} <= names.used


def test_a_file_of_another_format_is_refused(tmp_path):
    path = tmp_path / "old.ipynb"
    path.write_text(json.dumps({"nbformat": 3, "cells": []}), encoding="utf-8")
    with pytest.raises(ValueError, match="format 3"):
        classroom.read(path)
