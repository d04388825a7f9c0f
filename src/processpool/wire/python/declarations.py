"""Pickling of classes by their source: the reader executes the class statement, once.

This is for classes that cannot be created from their attributes (see `classes`): those whose
metaclass is written in C, such as `msgspec.Struct`, and those with attributes that cannot be
pickled, such as SQLAlchemy's mappers or a lock. The globals that the statement uses are sent with
it: first those used while it executes, then those used by methods, which may refer to the class.
"""

from __future__ import annotations
import __future__

import ast
import sys
import textwrap
from _pickle import Pickler as PlainPickler
from io import BytesIO
from types import FunctionType, ModuleType
from typing import NamedTuple
from weakref import WeakKeyDictionary, WeakSet

from cloudpickle import cloudpickle

from processpool.wire.python.classes import can_be_made, track
from processpool.wire.python.main_source import files_of_main, lines_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_Feature = type(__future__.annotations)
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


class Declaration(NamedTuple):
    """The statement that creates a class, and the names that it uses."""

    name: str
    """The global name that the statement binds to the class."""
    module: str
    source: str
    file: str
    line: int
    """The number of its first line in the file."""
    flags: int
    """The module's `__future__` imports, as flags of the compiler."""
    early: frozenset[str]
    """Names that are used while the statement executes."""
    late: frozenset[str]
    """Names that are used in methods, or in strings, which may be annotations."""


_declared: WeakKeyDictionary[type, tuple[Declaration, dict[str, Any]]] = WeakKeyDictionary()
"""Classes that were received and declared here, with the globals of their methods."""
_unpicklable: WeakSet[type] = WeakSet()
"""Classes with attributes that cannot be pickled."""


def reduce_declared(cls: type, fill: Callable[[type, Any], None]) -> tuple[Any, ...] | None:
    """Return the reduction of a class by its source; None if that is not needed or not possible."""
    if not (cls in _unpicklable or cls in _declared or not can_be_made(type(cls))):
        return None
    known = _declared.get(cls) or _find(cls)
    if known is None:
        return None
    declaration, names = known
    number = cloudpickle._get_or_create_tracker_id(cls)
    early = {name: names[name] for name in sorted(declaration.early) if name in names}
    late = {
        name: names[name] for name in sorted(declaration.late - declaration.early) if name in names
    }
    made = number, tuple(declaration), early
    return declare, made, late, None, None, fill


def note_unpicklable(cls: type) -> None:
    """Record whether the attributes of a class, except functions and classes, can be pickled."""
    if cls not in _unpicklable and cls not in _declared:
        try:
            _Trial(BytesIO(), 5).dump(dict(vars(cls)))
        except Exception:
            _unpicklable.add(cls)


class _Trial(PlainPickler):
    def persistent_id(self, obj: Any) -> str | None:
        reduced = isinstance(obj, (type, FunctionType, ModuleType, *_DESCRIPTORS))
        return "" if reduced else None


_DESCRIPTORS = (staticmethod, classmethod, property, *cloudpickle.Pickler.dispatch_table)


def declare(number: str, declaration: tuple[Any, ...], early: dict[str, Any]) -> type:
    """Return the class with this number in this process, or execute its statement."""
    known: type | None = cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID.get(number)
    if known is not None:
        return known
    found = Declaration(*declaration)
    tree = ast.increment_lineno(ast.parse(found.source), found.line - 1)
    code = compile(tree, found.file, "exec", found.flags, dont_inherit=True)
    names = {"__name__": found.module, "__file__": found.file, **early}
    _show_to_main(early)
    exec(code, names)
    made = track(number, names[found.name])
    _declared[made] = found, names
    return made


def fill_declared(made: type, late: dict[str, Any]) -> None:
    """Set the globals that the methods of a declared class use."""
    known = _declared.get(made)
    if known is not None:
        known[1].update(late)
        _show_to_main(late)


def _show_to_main(names: dict[str, Any]) -> None:
    """Add names to `__main__`, where libraries look up annotations that are strings."""
    main = vars(sys.modules["__main__"])
    for name, value in names.items():
        main.setdefault(name, value)


def _find(cls: type) -> tuple[Declaration, dict[str, Any]] | None:
    """Return the declaration of a class, and the globals of its module or of `__main__`."""
    module = sys.modules.get(cls.__module__)
    for names in (vars(found) for found in (module, sys.modules["__main__"]) if found is not None):
        for name in [name for name, value in list(names.items()) if value is cls]:
            for file in files_of_main(cls, names):
                declaration = _declaration(name, file, names)
                if declaration is not None:
                    return declaration, names
    return None


def _declaration(name: str, file: str, names: dict[str, Any]) -> Declaration | None:
    """Return the last statement at module level in this file that binds `name`."""
    lines = lines_of(file)
    try:
        tree = ast.parse("".join(lines))
    except SyntaxError:  # a cell with IPython's magic commands
        return None
    found = [node for node in _statements(tree.body) if name in _bound(node)]
    if not found:
        return None
    node = found[-1]
    first = min([node.lineno, *(maker.lineno for maker in getattr(node, "decorator_list", ()))])
    source = textwrap.dedent("".join(lines[first - 1 : node.end_lineno]))
    early, late = _Names(), _Names()
    early.late = late
    early.visit(node)
    used = frozenset(early.found - {name}), frozenset(late.found - {name})
    return Declaration(name, str(names["__name__"]), source, file, first, _flags(names), *used)


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a module that may create a class, also inside `if` and `try`."""
    for node in body:
        if isinstance(node, (ast.ClassDef, ast.Assign)):
            yield node
        elif not isinstance(node, _FUNCTION):
            for block in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(node, block, []))


def _bound(node: ast.stmt) -> list[str]:
    """Return the names that a statement binds."""
    if isinstance(node, ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _flags(names: dict[str, Any]) -> int:
    """Return a module's `__future__` imports as flags of the compiler."""
    flags = 0
    for value in names.values():
        if type(value) is _Feature:
            flags |= value.compiler_flag
    return flags


class _Names(ast.NodeVisitor):
    """Collects the names in a statement; those in bodies of functions go to `late`."""

    late: _Names | None = None

    def __init__(self) -> None:
        self.found: set[str] = set()

    def visit_Name(self, node: ast.Name) -> None:
        self.found.add(node.id)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and len(node.value) < _MAX_ANNOTATION:
            words = "".join(c if c.isidentifier() or c.isdigit() else " " for c in node.value)
            (self.late or self).found.update(words.split())

    def visit_FunctionDef(self, node: Any) -> None:
        for part in (*node.decorator_list, node.args, node.returns):
            if part is not None:
                self.visit(part)
        for part in node.body:
            (self.late or self).visit(part)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit(node.args)
        (self.late or self).visit(node.body)


_MAX_ANNOTATION = 200
"""The most characters of a string that may be an annotation."""
