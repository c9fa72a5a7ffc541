"""Links that open the notebook of a page in Colab and in Binder.

There are some where `launch_repository` in `_config.yml` names the book's repository on
GitHub, as "owner/name". Binder opens the repository, with all of its environment. Colab
opens a copy of the notebook that first fetches the book and installs its package; the
copies are a part of the site, which has to be on the branch `gh-pages`.
"""

import json
from pathlib import Path

from gptbook import classroom

COPIES = "_web/colab"
BINDER = "https://mybinder.org/v2/gh/{repository}/HEAD?urlpath=lab/tree/{page}.ipynb"
COLAB = (
    "https://colab.research.google.com/github/{repository}/blob/gh-pages/"
    + COPIES
    + "/{name}.ipynb"
)
SETUP = """\
!git clone --quiet --depth 1 https://github.com/{repository} gpt-book
%pip install --quiet ./gpt-book
%cd gpt-book/book"""


def notebook(app, page):
    path = Path(app.srcdir) / f"{page}.ipynb"
    return path if path.exists() else None


def add_links(app, pagename, templatename, context, doctree):
    repository = app.config.launch_repository
    if repository and notebook(app, pagename):
        place = {
            "repository": repository,
            "page": pagename,
            "name": pagename.rpartition("/")[2],
        }
        buttons = [
            {"type": "link", "text": text, "url": url.format(**place), "tooltip": text}
            for text, url in (("Colab", COLAB), ("Binder", BINDER))
        ]
        group = {"type": "group", "label": "launch-buttons", "buttons": buttons}
        context["header_buttons"].append(group | {"icon": "fas fa-rocket"})


def write_copies(app, exception):
    repository = app.config.launch_repository
    if exception is None and repository and app.builder.format == "html":
        folder = Path(app.outdir) / COPIES
        folder.mkdir(parents=True, exist_ok=True)
        for page in sorted(app.env.found_docs):
            if path := notebook(app, page):
                copy = for_colab(classroom.read(path), repository)
                text = json.dumps(copy, ensure_ascii=False, indent=1) + "\n"
                (folder / path.name).write_text(text, encoding="utf-8")


def for_colab(nb, repository):
    """The notebook, and before it a cell that fetches and installs the book."""
    cell = {
        "cell_type": "code",
        "id": "setup",
        "metadata": {},
        "execution_count": None,
        "outputs": [],
        "source": SETUP.format(repository=repository),
    }
    return nb | {"cells": [cell, *nb["cells"]]}


def setup(app):
    app.add_config_value("launch_repository", "", "html")
    app.connect("html-page-context", add_links, priority=502)  # after the theme's
    app.connect("build-finished", write_copies)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
