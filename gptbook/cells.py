"""Which cells of a notebook another cell needs.

A page takes a minute to run, but a cell needs only some of those above: the ones that
give a value to a name that it uses, and those that these need in turn.
"""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

GENERATORS = {"random", "rng"}  # names of random generators: each use changes them


@dataclass
class Names:
    """The global names of a piece of code."""

    given: set[str]  # a value, perhaps in a branch only
    settled: set[str]  # a value that surely replaces an older one
    imported: set[str]
    altered: set[str]  # the value is kept, and something in it may change
    used: set[str]
    used_later: set[str]  # in a function, when it is called


def names_of(source: str) -> Names:
    """The names in a piece of code. SyntaxError where it doesn't parse."""
    tree, top = ast.parse(source), symtable.symtable(source, "cell", "exec")
    imported = {s.get_name() for s in top.get_symbols() if s.is_imported()}
    given = {s.get_name() for s in top.get_symbols() if s.is_assigned()}
    altered = {root(part) for node in ast.walk(tree) for part in altered_parts(node)}
    used = set(used_names(top))
    altered |= used & GENERATORS
    settled = set(imported)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            settled.add(node.name)
        elif isinstance(node, ast.Assign):
            settled |= {t.id for t in node.targets if isinstance(t, ast.Name)}
    later = {name for part in top.get_children() for name in used_names(part)}
    return Names(given | imported, settled, imported, altered, used, later)


def needed(cells: list[str], names: set[str]) -> list[int]:
    """The places, in order, of the cells on which the names' values depend.

    Cells that don't parse are left out. What a function uses may stand below it.
    """
    found = {}
    for index, cell in enumerate(cells):
        with suppress(SyntaxError, ValueError):
            found[index] = names_of(cell)
    # `np.add.at(x, 0, 1)` changes x, and not NumPy
    imported = set().union(*(cell.imported for cell in found.values()))
    while True:
        chosen, missing = [], set(names)
        for index, cell in reversed(found.items()):
            if missing & (cell.given | cell.altered - imported):
                chosen.append(index)
                missing = missing - cell.settled | cell.used
        later = set().union(*(found[index].used_later for index in chosen))
        if later <= names:
            return chosen[::-1]
        names = names | later


def altered_parts(node: ast.AST) -> Iterator[ast.expr]:
    """What `x.part = 1`, `x[0] = 1`, `x.append(1)` or `np.add.at(x, 0, 1)` changes."""
    if isinstance(node, ast.Attribute | ast.Subscript):
        if not isinstance(node.ctx, ast.Load):
            yield node
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        if isinstance(node.value.func, ast.Attribute):
            yield from [node.value.func, *node.value.args]


def root(node: ast.expr) -> str:
    """The name at the beginning of `name.part[0].other`, if there is one."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def used_names(table: symtable.SymbolTable) -> Iterator[str]:
    """The global names that a piece of code, or a function in it, refers to."""
    outside = table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (outside or symbol.is_global()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from used_names(child)
