"""The links that open a notebook elsewhere, for a repository that has a name."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import launch
import nbformat
import pytest

ROOT = Path(__file__).parents[1]

NOTEBOOK = ROOT / "book" / "input.ipynb"


@pytest.fixture
def app(tmp_path):
    """As much of Sphinx as the links need, for a book with two pages."""
    (tmp_path / "book").mkdir()
    shutil.copy(NOTEBOOK, tmp_path / "book")
    return SimpleNamespace(
        srcdir=tmp_path,
        outdir=tmp_path / "html",
        builder=SimpleNamespace(format="html"),
        env=SimpleNamespace(found_docs={"book/input", "book/faq"}),
        config=SimpleNamespace(launch_repository="someone/gpt"),
    )


def links(app, page):
    context = {"header_buttons": []}
    launch.add_links(app, page, "", context, None)
    groups = context["header_buttons"]
    return {b["text"]: b["url"] for group in groups for b in group["buttons"]}


def test_a_page_with_a_notebook_has_both_links(app):
    found = links(app, "book/input")
    assert found["Binder"].endswith(
        "someone/gpt/HEAD?urlpath=lab/tree/book/input.ipynb"
    )
    assert "/someone/gpt/blob/gh-pages/_web/colab/input.ipynb" in found["Colab"]
    assert not links(app, "book/faq")


def test_the_copy_for_colab_begins_with_the_installation(app):
    launch.write_copies(app, None)
    (copy,) = (app.outdir / launch.COPIES).iterdir()
    nbformat.validate(nb := nbformat.read(copy, as_version=4))
    assert "github.com/someone/gpt " in nb.cells[0].source
    assert nb.cells[0].source.endswith("%cd gpt-book/book")
    original = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    sources = ["".join(cell["source"]) for cell in original["cells"]]
    assert [cell.source for cell in nb.cells[1:]] == sources


def test_without_a_repository_there_is_neither(app):
    app.config.launch_repository = ""
    launch.write_copies(app, None)
    assert not links(app, "book/input") and not app.outdir.exists()
