"""The Python of a page: runs its cells as a notebook would, and says what came out.

It runs in the browser, in a worker of its own. What a cell prints and shows goes out by
`send(kind, text)`: "stream", "html", "svg", "text", and at its end "done", "error", or
"elsewhere" where the cell needs what no browser has, with the name of the package.
"""

import ast
import builtins
import importlib.abc
import importlib.machinery
import io
import linecache
import sys
import time
import traceback
import types
from contextlib import redirect_stderr, redirect_stdout

from gptbook.cells import names_of, root

SECONDS = 0.1  # between two looks at what a cell prints
MOST = 100_000  # characters that a cell puts out, or the page would stand still
SHOWN = 100  # values that it displays
# What has no effect here, and may be asked for
HARMLESS = (
    "set_num_threads",
    "set_default_dtype",
    "set_verbosity_error",
    "disable_progress_bar",
)


class Elsewhere(ImportError):
    """A page can't do this; `name` says which package could."""


class Part:
    """A part of a package that isn't here: it can be named, and not used."""

    def __init__(self, path, package):
        self._path, self._package = path, package

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Part(f"{self._path}.{name}", self._package)

    def use(self, *_, **__):
        if not self._path.endswith(HARMLESS):
            raise Elsewhere(f"{self._path} isn't here", name=self._package)

    __call__ = __iter__ = __getitem__ = __enter__ = __mro_entries__ = use
    __bool__ = __instancecheck__ = __or__ = __ror__ = __matmul__ = __rmatmul__ = use
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = use


class Module(types.ModuleType):
    """A module that isn't here, so that a cell can import it beside others."""

    __path__ = ()

    def __getattr__(self, name):
        return getattr(Part(self.__name__, self.__spec__.loader_state), name)


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules that aren't here, after all that are.

    modules: by its name, or the name of the package around it, what to call it.
    """

    def __init__(self, modules):
        self.modules = modules

    def find_spec(self, name, path=None, target=None):
        called = self.modules.get(name) or self.modules.get(name.split(".")[0])
        if called:
            return importlib.machinery.ModuleSpec(name, self, loader_state=called)

    def create_module(self, spec):
        return Module(spec.name)

    def exec_module(self, module):
        pass


class Stream(io.TextIOBase):
    """What a cell prints: sent now and then, and not without end."""

    def __init__(self, send):
        self.send, self.parts, self.room, self.sent = send, [], MOST, 0.0

    def writable(self):
        return True

    def write(self, text):
        if self.room > 0:
            self.parts.append(text[: self.room])
            if len(text) > self.room:
                self.parts.append("…\n")
        self.room -= len(text)
        if time.monotonic() - self.sent > SECONDS:
            self.flush()
        return len(text)

    def flush(self):
        if self.parts:
            self.send("stream", "".join(self.parts))
            self.parts, self.sent = [], time.monotonic()

    def renew(self):
        self.room, self.sent = MOST, 0.0


class Kernel:
    """The names that the cells share, and how a cell is run."""

    def __init__(self, send, absent):
        self.send, self.stream = send, Stream(send)
        self.missing = {}  # names that no cell could give, and the package it needs
        self.names = sys.modules["__main__"].__dict__
        sys.meta_path.append(Absent(absent))
        if not hasattr(time, "thread_time"):  # there is one thread
            time.thread_time = time.perf_counter
        builtins.input = no_input
        self.stand_in_for_ipython()

    def stand_in_for_ipython(self):
        module = types.ModuleType("IPython.display")
        module.display, module.HTML = self.display, HTML
        sys.modules["IPython"] = types.ModuleType("IPython")
        sys.modules["IPython"].display = sys.modules["IPython.display"] = module

    def display(self, *values):
        self.stream.flush()
        for value in values:
            self.shown += 1
            if self.shown <= SHOWN:
                self.send(*form(value))

    def run(self, source, label):
        """Runs a cell; `label` stands for its file in an error."""
        self.stream.renew()
        self.shown = 0
        with redirect_stdout(self.stream), redirect_stderr(self.stream):
            end, text = self.attempt(source, label)
        self.stream.flush()
        self.send(end, text)

    def attempt(self, source, label):
        """Runs a cell, and returns its last message."""
        lines = source.splitlines(keepends=True)
        linecache.cache[label] = (len(source), None, lines, label)
        try:
            tree = ast.parse(source, label)
            for index, statement in enumerate(tree.body):
                self.stream.flush()
                last = index == len(tree.body) - 1 and not source.rstrip().endswith(";")
                self.execute(statement, label, last)
            if plt := sys.modules.get("matplotlib.pyplot"):
                plt.show()
        except BaseException as error:
            if plt := sys.modules.get("matplotlib.pyplot"):
                plt.close("all")
            package = self.package_for(error)
            if package is None:
                return "error", cut(report(error))
            for name in given(tree.body[index:]):
                self.names.pop(name, None)
                self.missing[name] = package
            return "elsewhere", package
        return "done", ""

    def execute(self, statement, label, last):
        if last and isinstance(statement, ast.Expr):
            code = compile(ast.Expression(statement.value), label, "eval")
            value = eval(code, self.names)
            if value is not None:
                self.display(value)
        else:
            code = compile(ast.Module([statement], []), label, "exec")
            exec(code, self.names)

    def package_for(self, error):
        """The package without which this error came, or None: it is an error."""
        if isinstance(error, Elsewhere):
            return error.name
        if isinstance(error, NameError):
            return self.missing.get(error.name)
        return None


def form(value):
    """How a value is shown: ("svg" or "html" or "text", the text)."""
    for kind in ("svg", "html"):
        method = getattr(value, f"_repr_{kind}_", None)
        if method and not isinstance(value, type):
            return kind, method()
    return "text", cut(repr(value))


def cut(text):
    return text if len(text) <= MOST else text[:MOST] + "…"


def given(statements):
    """The names to which the statements give a value, or a part of one."""
    module = ast.Module(statements, [])
    parts = (ast.Attribute, ast.Subscript)
    stores = {
        root(node)
        for node in ast.walk(module)
        if isinstance(node, parts) and isinstance(node.ctx, ast.Store)
    }
    return names_of(ast.unparse(module)).given | stores


def no_input(prompt=""):
    raise OSError("input() does not work in a page: write the value into the code")


class HTML:
    def __init__(self, data):
        self.data = data

    def _repr_html_(self):
        return self.data


def report(error):
    """The error as text, with the lines of the cells only."""
    summary = traceback.TracebackException.from_exception(error)
    parts = [summary]
    for part in parts:
        parts += [other for other in (part.__cause__, part.__context__) if other]
        frames = [frame for frame in part.stack if frame.filename.startswith("cell ")]
        part.stack = traceback.StackSummary.from_list(frames)
    text = "".join(summary.format())
    if isinstance(error, ModuleNotFoundError):
        text += "This page has NumPy, the book's package and Python's own library.\n"
    return text
