"""The notebooks are committed as executed, read well, and their exercises hold.

`pytest` also runs every notebook and compares its outputs (nbval, see pyproject.toml).
Here each check is a function from a notebook to a list of faults. The second part of
the file shows that each check refuses a notebook that is spoilt.
"""

import ast
import contextlib
import copy
import functools
import io
import re
import runpy
import warnings
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import nbformat
import pytest
import torch
from markdown_it import MarkdownIt

from gptbook import classroom
from gptbook.cells import names_of, needed
from gptbook.classroom import code_cells, tags

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "book").glob("*.ipynb"))
KERNEL = {
    "display_name": "Python 3 (ipykernel)",
    "language": "python",
    "name": "python3",
}
TAGS = {
    "exercise",
    "hide-input",
    "hide-output",
    "listing",
    "nbval-ignore-output",
    "raises-exception",
    "remove-cell",
    "remove-input",
}
MACHINE_PATH = re.compile(r"(?<!\w)(/home/|/root/|/tmp/|/work/|/Users/|C:\\+Users)")


def read(path):
    return nbformat.read(path, as_version=4)


def first_line(cell):
    return cell.source.split("\n")[0]


# The checks: each takes a notebook and returns what is wrong with it.


def execution_faults(nb):
    """Run once, from the top, with no error but those that the chapter means."""
    counts = [cell.execution_count for cell in code_cells(nb)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"not executed once from the top: {counts}"
    for cell in code_cells(nb):
        errors = [o for o in cell.outputs if o.output_type == "error"]
        if errors and "raises-exception" not in tags(cell):
            yield f"an error output: {first_line(cell)}"


def metadata_faults(nb):
    """Only metadata that the book uses: no times, no editor's state, known tags."""
    if nb.metadata.get("kernelspec") != KERNEL:
        yield f"kernelspec is not the plain one: {nb.metadata.get('kernelspec')}"
    for key in nb.metadata.keys() - {"kernelspec", "language_info"}:
        yield f"notebook metadata {key!r}"
    for cell in nb.cells:
        for key in cell.metadata.keys() - {"tags", "mystnb", "gptbook"}:
            yield f"cell metadata {key!r}: {first_line(cell)}"
        for tag in set(tags(cell)) - TAGS:
            yield f"unknown tag {tag!r}: {first_line(cell)}"


def machine_faults(nb):
    """No path of the machine on which it was executed."""
    for cell in nb.cells:
        texts = [cell.source]
        for output in cell.get("outputs", []):
            texts += output.get("traceback", []) + [output.get("text", "")]
            for kind, data in output.get("data", {}).items():
                texts += [] if kind.startswith("image/") else [str(data)]
        for found in filter(None, map(MACHINE_PATH.search, texts)):
            yield f"path {found[0]!r}: {first_line(cell)}"


def code_faults(nb):
    """Cells are short and lines fit the page."""
    for cell in code_cells(nb):
        lines = [line for line in cell.source.split("\n") if line.strip()]
        if len(lines) > 15 and "hide-input" not in tags(cell):
            yield f"{len(lines)} lines of code, the limit is 15: {first_line(cell)}"
        for line in lines:
            if len(line) > 88:
                yield f"{len(line)} columns, the limit is 88: {line}"


def ignored_output_faults(nb):
    """An output that may differ is held by an assertion, here or in the next cell."""
    cells = code_cells(nb)
    for cell, following in zip(cells, cells[1:] + cells[-1:], strict=True):
        if "nbval-ignore-output" in tags(cell):
            nodes = ast.walk(ast.parse(cell.source + "\n" + following.source))
            if not any(isinstance(node, ast.Assert) for node in nodes):
                yield f"ignored output without an assertion: {first_line(cell)}"


def picture_faults(nb):
    """A picture has alternative text; the captions count from 1, each below one."""
    number, after_picture = 0, False
    for cell in nb.cells:
        if cell.cell_type == "code":
            kinds = [kind for output in cell.outputs for kind in output.get("data", {})]
            after_picture = any(kind.startswith("image/") for kind in kinds)
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            if after_picture and len(alt) < 20:
                yield f"alternative text {alt!r}: {first_line(cell)}"
        else:
            for caption in re.findall(r"^\*\*Figure (\d+)\.\*\*", cell.source, re.M):
                number += 1
                if not (after_picture and int(caption) == number):
                    yield f"caption {number} out of place: {first_line(cell)}"
            after_picture = False


def heading_faults(nb):
    """One title, at the top, and no level left out below it."""
    levels = []
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            tokens = MarkdownIt().parse(cell.source)
            levels += [int(t.tag[1]) for t in tokens if t.type == "heading_open"]
    if levels.count(1) != 1 or not nb.cells[0].source.startswith("# "):
        yield f"{levels.count(1)} titles (#), expected one at the top"
    for above, below in zip(levels, levels[1:], strict=False):
        if below > above + 1:
            yield f"a heading of level {below} right below level {above}"


def listing_faults(nb, package=ROOT / "gptbook"):
    """A definition shown as the package's own has the package's syntax tree."""
    for cell in code_cells(nb):
        if "listing" in tags(cell):
            module = package / f"{cell.metadata.get('gptbook')}.py"
            if not module.exists():
                yield f"metadata gptbook names no module: {first_line(cell)}"
                continue
            real = definitions(module.read_text(encoding="utf-8"))
            shown = definitions(cell.source)
            if not shown:
                yield f"a listing without a definition: {first_line(cell)}"
            for name, tree in shown.items():
                if real.get(name) != tree:
                    yield f"{name} is not what {module.name} defines"


def definitions(source):
    """The syntax tree of each function and class of the source, docstrings aside."""
    tree = ast.parse(source)
    named = (ast.FunctionDef, ast.ClassDef)
    for node in ast.walk(tree):
        if isinstance(node, named) and ast.get_docstring(node):
            node.body = node.body[1:]
    return {node.name: ast.dump(node) for node in tree.body if isinstance(node, named)}


def exercise_faults(nb):
    """Every exercise has a number, a check, a hint and a solution."""
    titles = re.findall(
        r"^### Exercise (\d+) · .+", "\n".join(c.source for c in nb.cells), re.M
    )
    found = exercises(nb)
    if titles != [str(number + 1) for number in range(len(found))]:
        yield f"{len(found)} cells tagged exercise below the headings {titles}"
    for exercise in found:
        for part in ("check", "hint", "solution"):
            if not getattr(exercise, part):
                yield f"no {part} for the exercise {exercise.skeleton!r}"


CHECKS = [
    execution_faults,
    metadata_faults,
    machine_faults,
    code_faults,
    ignored_output_faults,
    picture_faults,
    heading_faults,
    listing_faults,
    exercise_faults,
]


# Exercises: a code cell tagged `exercise`, with a call `check.name(...)` in it or in
# the next code cell, then markdown with <details> of the classes hint and solution.


@dataclass
class Exercise(classroom.Exercise):
    hint: str = ""
    solution: str = ""  # the Python in the solution


def exercises(nb):
    """The notebook's exercises, each with the first hint and solution below it."""
    found = [Exercise(**vars(exercise)) for exercise in classroom.exercises(nb)]
    number = -1
    for cell in nb.cells:
        number += "exercise" in tags(cell)
        for kind in ("hint", "solution") if number >= 0 else ():
            if f'<details class="{kind}">' in cell.source:
                text = cell.source if kind == "hint" else python_blocks(cell.source)
                setattr(found[number], kind, text)
    return found


def python_blocks(markdown):
    fences = [t for t in MarkdownIt().parse(markdown) if t.type == "fence"]
    return "\n".join(fence.content for fence in fences if fence.info == "python")


@contextlib.contextmanager
def as_in_the_notebook():
    """In the folder of the notebooks, with pictures closed and prints collected.

    As in a notebook, a warning is no error; and what a notebook sets for all of
    PyTorch does not reach the next one.
    """
    printed, dtype = io.StringIO(), torch.get_default_dtype()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(printed),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        patch.chdir(ROOT / "book")
        matplotlib.use("Agg")
        patch.setattr(plt, "show", lambda: plt.close("all"))
        try:
            yield printed
        finally:
            torch.set_default_dtype(dtype)


def namespaces(nb, wrong_answers=None):
    """For each exercise, what the cells on which it depends have defined."""
    cells, snapshots = code_cells(nb), []
    sources = [cell.source for cell in cells]
    with as_in_the_notebook():
        for exercise in exercises(nb):
            namespace = {"__name__": "__main__"}
            answers = [exercise.skeleton, exercise.check, exercise.solution]
            answers += [a for a, _ in (wrong_answers or {}).get(exercise.name, [])]
            names = set().union(*(names_of(a).used for a in answers))
            for index in needed(sources[: exercise.index], names):
                meant = (
                    Exception if "raises-exception" in tags(cells[index]) else ()
                )
                with contextlib.suppress(meant):
                    code = compile(sources[index], first_line(cells[index]), "exec")
                    exec(code, namespace)
            snapshots.append(namespace)
    return snapshots


def attempt(exercise, namespace, answer):
    """What the exercise's check returns and prints for an answer."""
    namespace = dict(namespace)
    with as_in_the_notebook():
        exec(compile(answer, "answer", "exec"), namespace)
    with as_in_the_notebook() as printed:
        result = eval(exercise.check, namespace)
    assert printed.getvalue().count("\n") == 1, "a check prints one line"
    return result, printed.getvalue().strip()


def require_right(exercise, namespace):
    result, message = attempt(exercise, namespace, exercise.solution)
    assert result is True, f"{exercise.name} refuses the solution: {message}"


def require_wrong(exercise, namespace, answer, fragment=""):
    result, message = attempt(exercise, namespace, answer)
    assert result is False, f"{exercise.name} accepts: {answer}"
    assert fragment in message, f"{fragment!r} is not in: {message}"


# All notebooks of the book.

notebook_ids = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
load = functools.cache(read)


@functools.cache
def load_namespaces(path):
    return namespaces(load(path), load_wrong_answers(path))


def load_wrong_answers(path):
    """{name of a check: [(wrong answer, part of the message), ...]}"""
    name = path.stem.replace("-", "_") + ".py"
    file = ROOT / "tests" / "wrong_answers" / name
    return runpy.run_path(str(file))["WRONG_ANSWERS"] if file.exists() else {}


def test_there_are_notebooks():
    assert NOTEBOOKS


@notebook_ids
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_notebook(path, check):
    faults = list(check(load(path)))
    assert not faults, "\n".join(faults)


@notebook_ids
def test_solutions_pass_and_skeletons_do_not(path):
    found = exercises(load(path))
    for exercise, namespace in zip(found, load_namespaces(path), strict=True):
        require_right(exercise, namespace)
        require_wrong(exercise, namespace, exercise.skeleton)


@notebook_ids
def test_wrong_answers_are_refused(path):
    wrong_answers = load_wrong_answers(path)
    found = exercises(load(path))
    assert wrong_answers.keys() == {exercise.name for exercise in found}
    for exercise, namespace in zip(found, load_namespaces(path), strict=True):
        assert len(wrong_answers[exercise.name]) >= 3, exercise.name
        for answer, fragment in wrong_answers[exercise.name]:
            assert fragment, f"{exercise.name}: say what the message has to tell"
            require_wrong(exercise, namespace, answer, fragment)


# The checks themselves, on a small notebook without a fault and on spoilt copies.

CHECK_CELL = """class check:
    def double(f):
        right = f(2) == 4
        print("right" if right else f"double(2) is 4, not {f(2)}")
        return right"""
SOLUTION = """<details class="solution">
<summary>Solution</summary>

```python
def double(x):
    return x + x
```

</details>"""


def good_notebook():
    v4 = nbformat.v4
    picture = v4.new_output("display_data", {"image/png": "iVBORw0KGgo="})
    cells = [
        v4.new_markdown_cell("# 3.3 A chapter\n\n```bash\n# not a title\n```"),
        v4.new_code_cell(CHECK_CELL),
        v4.new_code_cell(
            "def half(x):\n    return x / 2",
            metadata={"tags": ["listing"], "gptbook": "layers"},
        ),
        v4.new_code_cell(
            "picture = 1",
            metadata={"mystnb": {"image": {"alt": "A small picture of nothing"}}},
            outputs=[picture],
        ),
        v4.new_markdown_cell("**Figure 1.** Nothing.\n\n## Exercises"),
        v4.new_code_cell("1 / 0", metadata={"tags": ["raises-exception"]}),
        v4.new_markdown_cell("### Exercise 1 · Doubling"),
        v4.new_code_cell(
            "def double(x):\n    ...", metadata={"tags": ["exercise"]}
        ),
        v4.new_code_cell("_ = check.double(double)"),
        v4.new_markdown_cell('<details class="hint">\n\nAdd.\n\n</details>'),
        v4.new_markdown_cell(SOLUTION),
    ]
    nb = v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL})
    for count, cell in enumerate(code_cells(nb), start=1):
        cell.execution_count = count
    return nb


@pytest.fixture
def package(tmp_path):
    source = 'def half(x):\n    """Half of x."""\n    return x / 2\n'
    (tmp_path / "layers.py").write_text(source)
    return tmp_path


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_good_notebook_has_no_fault(check, package):
    if check is listing_faults:
        check = functools.partial(listing_faults, package=package)
    assert not list(check(good_notebook()))


def set_source(nb, index, source):
    nb.cells[index].source = source


def set_metadata(nb, index, **metadata):
    nb.cells[index].metadata.update(metadata)


def add_output(nb, index, kind, **content):
    nb.cells[index].outputs.append(nbformat.v4.new_output(kind, **content))


SPOILT = [
    (execution_faults, lambda nb: nb.cells[1].update(execution_count=None), "top"),
    (execution_faults, lambda nb: nb.cells[1].update(execution_count=9), "top"),
    (
        execution_faults,
        lambda nb: add_output(nb, 1, "error", ename="E", evalue="", traceback=[]),
        "error output",
    ),
    (metadata_faults, lambda nb: nb.metadata.pop("kernelspec"), "kernelspec"),
    (
        metadata_faults,
        lambda nb: nb.metadata.update(kernelspec=KERNEL | {"name": "venv"}),
        "kernelspec",
    ),
    (metadata_faults, lambda nb: nb.metadata.update(widgets={}), "'widgets'"),
    (
        metadata_faults,
        lambda nb: set_metadata(nb, 1, execution={"iopub.execute_input": "2026"}),
        "'execution'",
    ),
    (metadata_faults, lambda nb: set_metadata(nb, 1, tags=["lisitng"]), "lisitng"),
    (machine_faults, lambda nb: set_source(nb, 0, "# A\n\nIn /home/ada/a"), "/home/"),
    (
        machine_faults,
        lambda nb: add_output(nb, 1, "stream", text="saved /tmp/a.npz"),
        "/tmp/",
    ),
    (
        machine_faults,
        lambda nb: add_output(nb, 1, "error", traceback=["File C:\\Users\\ada"]),
        "Users",
    ),
    (
        machine_faults,
        lambda nb: add_output(
            nb, 1, "execute_result", data={"text/plain": "'/root/a'"}
        ),
        "/root/",
    ),
    (code_faults, lambda nb: set_source(nb, 1, "x = 1\n" * 16), "16 lines"),
    (code_faults, lambda nb: set_source(nb, 1, f"x = {'1' * 85}"), "89 columns"),
    (
        ignored_output_faults,
        lambda nb: set_metadata(nb, 3, tags=["nbval-ignore-output"]),
        "without an assertion",
    ),
    (picture_faults, lambda nb: set_metadata(nb, 3, mystnb={}), "alternative text"),
    (
        picture_faults,
        lambda nb: set_metadata(nb, 3, mystnb={"image": {"alt": "A picture"}}),
        "'A picture'",
    ),
    (picture_faults, lambda nb: set_source(nb, 4, "**Figure 2.** N."), "out of place"),
    (picture_faults, lambda nb: set_source(nb, 6, "**Figure 2.** N."), "out of place"),
    (heading_faults, lambda nb: set_source(nb, 0, "A chapter"), "0 titles"),
    (heading_faults, lambda nb: set_source(nb, 4, "# B\n\n## C"), "2 titles"),
    (heading_faults, lambda nb: set_source(nb, 4, "Exercises"), "level 3"),
    (listing_faults, lambda nb: set_metadata(nb, 2, gptbook="layer"), "no module"),
    (listing_faults, lambda nb: set_source(nb, 2, "x = 1"), "without a definition"),
    (
        listing_faults,
        lambda nb: set_source(nb, 2, "def half(x):\n    return x * 0.5"),
        "half is not what layers.py defines",
    ),
    (
        listing_faults,
        lambda nb: set_source(nb, 2, "def third(x):\n    return x / 3"),
        "third is not what",
    ),
    (exercise_faults, lambda nb: set_source(nb, 6, "### Doubling"), "headings []"),
    (exercise_faults, lambda nb: set_metadata(nb, 7, tags=[]), "0 cells"),
    (exercise_faults, lambda nb: set_source(nb, 8, "double(2)"), "no check"),
    (exercise_faults, lambda nb: set_source(nb, 9, "Add."), "no hint"),
    (exercise_faults, lambda nb: set_source(nb, 10, "x + x"), "no solution"),
    (
        exercise_faults,
        lambda nb: set_source(nb, 10, SOLUTION.replace("python", "text")),
        "no solution",
    ),
]


@pytest.mark.parametrize(("check", "spoil", "fragment"), SPOILT)
def test_spoilt_notebook_is_refused(check, spoil, fragment, package):
    nb = copy.deepcopy(good_notebook())
    spoil(nb)
    if check is listing_faults:
        check = functools.partial(listing_faults, package=package)
    faults = list(check(nb))
    assert len(faults) == 1 and fragment in faults[0], faults


def test_every_check_is_itself_tested():
    assert {check for check, _, _ in SPOILT} == set(CHECKS)


def test_exercise_is_run_as_a_reader_would():
    nb = good_notebook()
    [exercise], [namespace] = exercises(nb), namespaces(nb)
    assert exercise.name == "double"
    require_right(exercise, namespace)
    require_wrong(exercise, namespace, exercise.skeleton, "not None")
    require_wrong(exercise, namespace, "double = abs", "double(2) is 4, not 2")


@pytest.mark.parametrize(
    ("require", "answer", "message"),
    [
        (require_right, "def double(x):\n    return x", "refuses the solution"),
        (require_wrong, "def double(x):\n    return 2 * x", "accepts"),
        (
            functools.partial(require_wrong, fragment="is not even"),
            "double = abs",
            "is not in",
        ),
        (require_wrong, "def double(x):\n    return print(x)", "one line"),
    ],
)
def test_exercise_that_does_not_hold_is_noticed(require, answer, message):
    nb = good_notebook()
    if require is require_right:
        set_source(nb, 10, SOLUTION.replace("x + x", "x"))
    [exercise], [namespace] = exercises(nb), namespaces(nb)
    arguments = () if require is require_right else (answer,)
    with pytest.raises(AssertionError, match=message):
        require(exercise, namespace, *arguments)
