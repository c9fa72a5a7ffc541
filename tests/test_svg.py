"""The stand-in for matplotlib draws every figure of the pages that run in a browser."""

import contextlib
import io
import json
import os
import re
import struct
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zlib
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from conftest import LIVE_PAGES as PAGES

from gptbook import classroom, svg
from gptbook.cells import names_of, needed

ROOT = Path(__file__).parents[1]
SVG = "{http://www.w3.org/2000/svg}"

# Some figures show what takes long to find out. A cell that uses one of these names
# follows right after the first cell of its page and after these values, made up.
MADE_UP = {
    "background": {
        "curves": "curves = {n: np.geomspace(5, 1, 9) for n in (250, 1000, 4000)}\n"
        "grid, floor = {0.001: np.full(9, 1.2)}, 0.5",
        "losses": "losses, floor = {f'model {n}': 7.0 - n for n in range(7)}, 0.5",
        "world_costs": "world_costs, sentence = lambda ids: [2.2] * 7, range(8)\n"
        "probabilities, model = lambda *_: [0, 0, 0.007], lambda x: np.zeros((7, 9))\n"
        "tokenizer = Tokenizer.load('models/tales/tokenizer.json')\n"
        "counts = alpha = None",
        "timeline": "timeline = [(1913, 'Markov', None), (2007, '5-grams', 3e11)]\n"
        "timeline += [(2017, 'Transformer', 2e8), (2019, 'GPT-2*', 1.5e9)]",
    },
    "backpropagation": {
        "held": "held = [(10 * k, 5 / k, 1 / k) for k in range(1, 31)]\n"
        "steps, losses, floor = 300, np.geomspace(5, 0.7, 300), 0.7\n"
        "vocabulary = range(100)",
    },
    "data": {
        "runs": "curve, floor = np.geomspace(6, 1, 600).reshape(300, 2), 0.5\n"
        "runs = {n: (None, curve, 1) for n in (5, 50, 1000)}",
    },
    "generation": {
        "by_tau": "taus, of_world = np.linspace(0.1, 1.4, 8), 270\n"
        "by_tau = {tau: (None, (0.7, 0.05, 90, 80, 9)) for tau in taus}",
        "again": "config = GPT.load('models/tales').config\n"
        "chances, again = np.linspace(0, 1, 255), np.arange(254) > 100",
        "speed": "lengths, speed = [1, 100, 255], np.array([(1, 1), (4, 2), (9, 2)])",
    },
    "interpretability": {
        "blurred": "peak = np.linspace(0.31, 0.4, 16).reshape(4, 4)\n"
        "blurred = np.geomspace(1, 1e-3, 32).reshape(4, 4, 2)",
        "change": "means = {(n, part): 0 for n in range(4) for part in 'abcdm'}\n"
        "change, whole = np.geomspace(2, 1e-4, 80).reshape(20, 2, 2), np.ones(3)\n"
        "change = change.swapaxes(0, 1)",
        "written": "n_layer, written = 4, np.linspace(-12, 12, 20).reshape(4, 5)\n"
        "total = written[::-1]",
        "probed": "probed, control, majority = [(0.9, 0.02)] * 5, [0.6] * 5, (0.5, 0)",
    },
    "output": {
        "results": "rise, even = np.linspace(0, 1, 30), np.full((30, 9), 1 / 9)\n"
        "results = [(2 * rise, rise, None, None, even, None)] * 20",
        "table": "table = [(share, share, 0.05) for share in np.linspace(0, 1, 11)]",
    },
    "transformer": {
        "results": "distances = [4, 8, 16, 32, 64]\n"
        "results = {name: [1, 1, 0.3, 0, 0] for name in ('RNN', 'GRU', 'attention')}",
        "FancyBboxPatch": "",
        "cells": "",
    },
    "whole-model": {"losses": "losses = np.linspace(0, 7, 16).reshape(8, 2)"},
}


def stored(cell):
    """The reprs of a cell's figures in the notebook."""
    data = [output.get("data", {}) for output in cell["outputs"]]
    return ["".join(d["text/plain"]) for d in data if "image/png" in d]


def pictures(page):
    """Draws the figures of a page and prints them: (place, repr, SVG)."""
    import IPython.display

    cells = classroom.code_cells(classroom.read(ROOT / "book" / f"{page}.ipynb"))
    sources = [classroom.without_magic(cell["source"]) for cell in cells]
    alone, together = {}, set()  # figures with made-up values; the cells of the others
    for n, cell in enumerate(cells):
        names = names_of(sources[n])
        values = MADE_UP.get(page, {})
        made_up = [values[name] for name in values if name in names.used]
        if stored(cell) and made_up:
            alone[n] = made_up[0]
        elif stored(cell):
            before = needed(sources[:n], names.used | names.used_later)
            together |= {n, *before}
    drawn, out, space = [], [], {}

    def collect(figure):
        if isinstance(figure, svg.Figure):
            drawn.append((repr(figure), figure._repr_svg_()))

    IPython.display.display = collect
    with contextlib.redirect_stdout(io.StringIO()):
        for n in sorted(together | alone.keys()):
            own = space
            if n in alone:
                own = {}
                exec(f"{sources[0]}\n{alone[n]}", own)
            drawn.clear()
            exec(compile(sources[n], f"{page}, cell {n}", "exec"), own)
            out += [(n, *picture) for picture in drawn]
    print(json.dumps(out))


def child(code):
    """What a fresh Python, with the stand-in for matplotlib, prints."""
    places = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    result = subprocess.run(
        [sys.executable, "-c", f"from gptbook import svg\nsvg.stand_in()\n{code}"],
        cwd=ROOT / "book", env={**os.environ, "PYTHONPATH": places},
        capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


def outside(root):
    """The numbers of the elements that begin or end beyond the view of an SVG."""
    left, top, width, height = map(float, root.get("viewBox").split())
    found = []

    def look(element):
        if element.tag in (f"{SVG}svg", f"{SVG}rect", f"{SVG}image"):
            x, y, w, h = (float(element.get(k)) for k in ("x", "y", "width", "height"))
            points = [(x, y), (x + w, y + h)]  # an inner <svg> cuts off the rest
        elif element.tag == f"{SVG}text":
            points = [(float(element.get("x")), float(element.get("y")))]
        else:
            pairs = re.findall(r"[ML]([-\d.]+) ([-\d.]+)", element.get("d", ""))
            points = [(float(x), float(y)) for x, y in pairs]
        for x, y in points:
            if not (left <= x <= left + width and top <= y <= top + height):
                found.append((element.tag, x, y))
        if element.tag != f"{SVG}svg":
            for part in element:
                look(part)

    for element in root:
        look(element)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_every_figure_of_the_page_is_drawn(page):
    drawn = json.loads(child(f"import test_svg; test_svg.pictures({page!r})"))
    nb = classroom.read(ROOT / "book" / f"{page}.ipynb")
    expected = [
        (n, text) for n, cell in enumerate(classroom.code_cells(nb))
        for text in stored(cell)
    ]  # fmt: skip
    assert expected and [(n, text) for n, text, _ in drawn] == expected
    for n, _, picture in drawn:
        root = ElementTree.fromstring(picture)
        without_images = re.sub('href="[^"]*"', "", picture)
        assert not re.search(r"\b(nan|inf)\b", without_images), f"cell {n}"
        assert len(root) > 3 and outside(root) == [], f"cell {n}"


@pytest.fixture(autouse=True)
def settings():
    before = dict(svg.rcParams)
    yield
    svg.rcParams.update(before)
    svg.close("all")


@pytest.fixture
def book_plots(monkeypatch):
    """gptbook.plots with the stand-in."""
    from gptbook import plots

    monkeypatch.setattr(plots, "plt", svg)
    monkeypatch.setattr(plots, "FancyBboxPatch", svg.FancyBboxPatch)
    plots.use_style()
    return plots


def root_of(figure):
    return ElementTree.fromstring(figure._repr_svg_())


def texts(figure):
    return ["".join(text.itertext()) for text in root_of(figure).iter(f"{SVG}text")]


def pixels(image):
    """The numbers (rows, columns, 4) of an <image>."""
    data = b64decode(image.get("href").partition(",")[2])
    width, height = struct.unpack(">II", data[16:24])
    start = data.index(b"IDAT")
    [size] = struct.unpack(">I", data[start - 4 : start])
    lines = np.frombuffer(zlib.decompress(data[start + 4 :][:size]), np.uint8)
    return lines.reshape(height, 1 + 4 * width)[:, 1:].reshape(height, width, 4)


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize(
    "ends",
    [(0, 1), (1, 8), (0.3, 2.2), (3, 3000), (1e-12, 0.1), (0.07, 0.09), (1e-49, 1),
     (128, 131072), (5, 5), (1, 250_000), (1234.5, 1234.75)],
)  # fmt: skip
def test_limits_ticks_and_labels_are_those_of_matplotlib(ends, scale):
    import matplotlib.pyplot as plt

    with plt.rc_context({"font.size": 10}):
        figure, theirs = plt.subplots(figsize=(4.5, 3))
        theirs.plot(ends, ends)
        theirs.set(xscale=scale, yscale=scale)
        figure.canvas.draw()
    _, ours = svg.subplots(figsize=(4.5, 3))
    ours.plot(ends, ends)
    ours.set(xscale=scale, yscale=scale)
    low, high = theirs.get_ylim()
    np.testing.assert_allclose(ours.yaxis.scale.limits(), (low, high), rtol=1e-6)
    ticks = [tick for tick in theirs.get_yticks() if low <= tick <= high]
    left, top, right, bottom = ours.box()
    places, labels = ours.yaxis.ticks(0, int((bottom - top) / 20))
    if (
        scale == "linear" or len(ticks) > 1
    ):  # within a decade, they label the minor ones
        np.testing.assert_allclose(places, ticks, rtol=1e-9, atol=1e-12)
    if scale == "linear" and ends[0] < 1000:
        theirs_say = dict(
            zip(theirs.get_yticks(), theirs.get_yticklabels(), strict=True)
        )
        assert [x.text for x in labels] == [
            theirs_say[tick].get_text() for tick in ticks
        ]
    plt.close(figure)


def test_powers_label_a_logarithmic_axis():
    figure, ax = svg.subplots()
    ax.semilogy([1e-4, 1, 100])
    assert {"10\u22124", "10\u22122", "100", "102"} <= set(texts(figure))


@pytest.mark.parametrize(
    "limits", [{"ylim": (1, 1)}, {"ylim": (9, None)}, {"ylim": (0, 1), "yscale": "log"}]
)
def test_limits_that_leave_nothing_to_see(limits):
    figure, ax = svg.subplots()
    ax.plot([1, 2, 3], label="line")
    ax.plot([], label="nothing")
    ax.set(**limits)
    ax.legend()
    assert outside(root_of(figure)) == []


def test_a_log_axis_can_cut_off_what_is_not_positive():
    figure, ax = svg.subplots()
    ax.errorbar([1, 2], [1e-2, 1], [1e-1, 1e-1], fmt="o")
    ax.set(yscale="log", ylim=(1e-3, 10))
    assert outside(root_of(figure)) == []


@pytest.mark.parametrize("name", ["RdBu_r", "PuOr_r", "Oranges", "Greys", "viridis"])
def test_colour_maps_are_those_of_matplotlib(name):
    import matplotlib

    x = np.linspace(-0.1, 1.1, 50)
    theirs, ours = matplotlib.colormaps[name](x), svg.get_cmap(name)(x)
    np.testing.assert_allclose(ours, theirs, atol=0.07 if name == "viridis" else 0.005)


def test_an_attention_map_has_a_cell_for_each_pair(book_plots):
    weights = np.tril(np.ones((5, 5)))
    weights /= weights.sum(axis=1, keepdims=True)
    ax = book_plots.attention_map(weights, list("abcde"))
    [image] = root_of(ax.figure).iter(f"{SVG}image")
    alpha = pixels(image)[..., 3]
    assert np.count_nonzero(alpha) == 5 * 6 / 2
    np.testing.assert_array_equal(alpha, np.round(255 * weights))
    assert texts(ax.figure) == list("abcde") * 2


def test_the_lit_piece_alone_is_lit(book_plots):
    def colours(lit):
        picture = book_plots.gpt_map(lit).figure._repr_svg_()
        return re.findall(r'fill="(#\w+)"', picture)

    changed = [a != b for a, b in zip(colours(()), colours("attn"), strict=True)]
    assert sum(changed) == 2  # the piece and its name


@pytest.mark.parametrize("down", [True, False])
def test_the_first_row_is_where_the_origin_is(down):
    figure, ax = svg.subplots()
    ax.imshow([[0.0], [1.0]], cmap="Greys", origin="upper" if down else "lower")
    [image] = root_of(figure).iter(f"{SVG}image")
    assert pixels(image)[:, 0, 0].tolist() == ([255, 0] if down else [0, 255])


def test_numbers_that_are_missing_have_no_colour():
    figure, ax = svg.subplots()
    ax.imshow([[np.nan, 1.0]], vmin=0, vmax=2)
    [image] = root_of(figure).iter(f"{SVG}image")
    assert pixels(image)[0, :, 3].tolist() == [0, 255]


def test_each_number_may_have_its_own_alpha():
    figure, ax = svg.subplots()
    ax.imshow([[1.0, 1.0]], vmin=0, vmax=2, alpha=np.array([[0.2, 1.0]]))
    [image] = root_of(figure).iter(f"{SVG}image")
    assert pixels(image)[0, :, 3].tolist() == [51, 255]


def test_text_is_escaped():
    figure, ax = svg.subplots()
    evil = "<script>alert(1)</script> & \x00"
    ax.text(0, 0, evil)
    ax.set(title=evil, xlabel=evil, xticks=[])
    ax.set_yticks([0], [evil])
    ax.plot([0, 1], label=evil)
    ax.legend()
    assert "<script" not in figure._repr_svg_()
    shown = evil.replace(" ", "\u00a0").replace("\x00", "\ufffd")
    assert texts(figure) == [shown] * 5


def test_a_formula():
    _, ax = svg.subplots()
    runs = svg.runs(r"a $\mathcal{L}_{t_i}$")
    assert [run.text for run in runs] == ["a ", "ℒ", "t", "i"]
    assert runs[1].rise == 0 > runs[2].rise > runs[3].rise
    sub, sup = svg.runs("$x_i^0$")[1:]  # one above the other
    assert sup.back == pytest.approx(sub.width()) and sub.rise < 0 < sup.rise
    assert [run.text for run in svg.runs("price: $5")] == ["price: $5"]
    with pytest.raises(NotImplementedError, match=r"\\frac in a formula"):
        svg.runs(r"$\frac{1}{2}$")


def test_the_figure_of_ipython():
    svg.rcParams.update({"figure.dpi": 200})
    figure, _ = svg.subplots(1, 2, figsize=(4.7, 3))
    assert repr(figure) == "<Figure size 940x600 with 2 Axes>"
    assert repr(svg.Figure()) == "<Figure size 1280x960 with 0 Axes>"
    svg.Figure()._repr_svg_()


def test_show_displays_each_figure_once(monkeypatch):
    import IPython.display

    shown = []
    monkeypatch.setattr(IPython.display, "display", shown.append)
    figures = [svg.subplots()[0] for _ in range(2)]
    svg.show()
    svg.show()
    assert shown == figures


def test_the_same_cell_gives_the_same_picture():
    def draw():
        figure, ax = svg.subplots()
        ax.plot([1, 3, 2], "o--")
        ax.hist([1, 2, 2, 3], bins=3)
        return figure._repr_svg_()

    assert draw() == draw()


def test_a_tight_layout_has_room_for_all(book_plots):
    figure, axes = svg.subplots(2, 2, figsize=(4.5, 3))
    for ax in axes.flat:
        ax.plot([0, 1000])
        ax.set(xlabel="$x$", ylabel="a long name", title="title")
    figure.tight_layout()
    x, y, width, height = map(float, root_of(figure).get("viewBox").split())
    pad = 7.2
    assert min(x, y) + pad >= 0 and x + width - pad <= 324 and y + height - pad <= 216
    boxes = np.array([ax.box() for ax in axes.flat])
    assert (boxes[1, 0] - boxes[0, 2]) > 30 and (boxes[2, 1] - boxes[0, 3]) > 30


def test_the_legend_takes_a_free_corner():
    figure, ax = svg.subplots()
    ax.plot([0, 1], [0, 1], label="rises")
    ax.legend()
    left, top, right, bottom = ax.box()
    [label] = [t for t in root_of(figure).iter(f"{SVG}text") if t.text == "rises"]
    assert float(label.get("x")) < (left + right) / 2
    assert float(label.get("y")) < (top + bottom) / 2


@pytest.mark.parametrize(
    "draw, name",
    [
        (lambda ax: ax.violinplot([1, 2]), "Axes.violinplot"),
        (lambda ax: ax.plot([1, 2], drawstyle="steps"), "drawstyle"),
        (lambda ax: ax.plot([1, 2], "p-"), "format"),
        (lambda ax: ax.text(0, 0, "a", style="italic"), "style"),
        (lambda ax: ax.bar([1], [2], hatch="/"), "hatch"),
        (lambda ax: ax.plot([1, 2], color="rebeccapurple"), "rebeccapurple"),
        (lambda ax: ax.imshow([[1]], cmap="jet"), "jet"),
        (lambda ax: ax.set(facecolor="red"), "set_facecolor"),
        (lambda ax: ax.set_yscale("logit"), "logit"),
        (lambda ax: ax.figure.savefig("a.png"), "Figure.savefig"),
        (lambda ax: svg.rcParams.update({"lines.marker": "o"}), "lines.marker"),
    ],
)
def test_what_is_not_there_says_so(draw, name):
    _, ax = svg.subplots()
    with pytest.raises(NotImplementedError, match=rf"{name}.*your own machine"):
        draw(ax)


def test_the_modules_that_stand_in():
    code = """
import matplotlib
import matplotlib.pyplot as plt
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.patches import Arc, Circle, FancyBboxPatch, Polygon, Rectangle
assert plt.matplotlib is matplotlib and matplotlib.colors.to_rgb("k") == (0, 0, 0)
for code in ("plt.polar", "from matplotlib import cm", "import matplotlib.ticker"):
    try:
        exec(code)
    except NotImplementedError as error:
        print(error)
"""
    lines = child(code).splitlines()
    assert [line.split(" is not")[0] for line in lines] == [
        "matplotlib.pyplot.polar", "matplotlib.cm", "matplotlib.ticker",
    ]  # fmt: skip


def test_pyplot_draws_on_the_newest_axes():
    code = """
import matplotlib.pyplot as plt
plt.plot([1, 2], [3, 4], label="a")
plt.title("over it")
plt.xlim(0, 5)
plt.legend()
assert len(svg._figures) == 1 and plt.gca() is svg._figures[0].axes[0]
drawn = svg._figures[0]._repr_svg_()
assert "over\\xa0it" in drawn and ">a<" in drawn, drawn
plt.figure(figsize=(2, 2))
plt.bar([1, 2], [3, 4])
assert [len(figure.axes) for figure in svg._figures] == [1, 1]
print("drawn")
"""
    assert child(code) == "drawn\n"


def test_the_stand_in_leaves_matplotlib_alone():
    import matplotlib

    with pytest.raises(RuntimeError, match="imported already"):
        svg.stand_in()
    assert sys.modules["matplotlib"] is matplotlib


def test_the_text_has_room_in_a_browser(browser, book_plots):
    tokens = ["<|story|>", "Once", "upon", "mouse", "WWWW"]
    ax = book_plots.attention_map(np.tril(np.full((5, 5), 0.2)), tokens)
    ax.set(xlabel=r"$\Delta\mathcal{L}$", ylabel="$q^0_i$", title="A long title")
    page = browser.new_page()
    page.set_content(f"<!doctype html>{ax.figure._repr_svg_()}")
    beyond = page.evaluate(
        """() => {
            const view = document.querySelector("svg").getBoundingClientRect();
            return [...document.querySelectorAll("text")].filter((text) => {
                const box = text.getBoundingClientRect();
                return box.left < view.left || box.right > view.right ||
                       box.top < view.top || box.bottom > view.bottom;
            }).map((text) => text.textContent);
        }"""
    )
    page.close()
    assert beyond == []
