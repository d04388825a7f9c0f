"""Detection of changes in what a function refers to, since it was pickled, without pickling.

Names that were bound to other values are always noticed. The contents of lists, dictionaries and
classes are compared item by item, as far as they are plain values or functions. Changes of anything
else only show in a new pickle; the caller decides how often to make one.
"""

from __future__ import annotations

from functools import partial
from operator import is_
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from processpool.wire.python.source_files import codes_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PLAIN = frozenset({int, float, complex, str, bytes, bool, range, type(None)})
"""Immutable types of values."""
_WRAPPERS = (staticmethod, classmethod)
_ABSENT = object()
_DEPTH = 20
_MAX_EXAMINED = 10_000
"""The most values of a container that are examined beyond comparing plain ones."""

Named = tuple[str, Any]
"""A value that a function refers to, with a description such as "the global 'x'"."""


class Watch:
    """A record of everything that a function refers to, at the time of its creation."""

    def __init__(self, function: Any) -> None:
        self.is_exact = True
        """True if `changed` notices every change."""
        self.named: list[Named] = []
        """The data that the function refers to, directly or through other functions."""
        self._names: list[tuple[Mapping[str, Any], str, Any]] = []
        self._cells: list[tuple[Any, Any]] = []
        self._fixed: list[tuple[Any, str, Any]] = []
        self._tables: list[tuple[Any, list[Any], list[Any]]] = []
        self._seen: set[int] = set()
        self._look_at(function, 0)
        self._seen.clear()

    def changed(self, *, exactly: bool = False) -> bool:
        """Return whether a change was found; False is certain only if `is_exact`.

        Args:
            exactly: in large containers, also compare keys, and values by identity instead of
                equality, which takes ten times as long.
        """
        return (
            any(names.get(name, _ABSENT) is not value for names, name, value in self._names)
            or any(_content(cell) is not value for cell, value in self._cells)
            or any(getattr(it, name, None) is not value for it, name, value in self._fixed)
            or any(not _is_same(*table, exactly=exactly) for table in self._tables)
        )

    # -- looking once ----------------------------------------------------------------------------

    def _look_at(self, value: Any, depth: int) -> None:
        kind = type(value)
        if kind in PLAIN or id(value) in self._seen:
            return
        self._seen.add(id(value))
        if depth > _DEPTH:
            self.is_exact = False
        elif kind is FunctionType:
            if not _is_imported(value):
                self._look_at_function(value, depth)
        elif isinstance(value, type):
            if not _is_imported(value):
                self._look_at_table(vars(value), depth)
                self._look_at_all(value.__bases__, depth)
        elif kind in (dict, list, tuple, set, frozenset):
            self._look_at_table(value, depth)
        elif kind is partial:
            self._look_at_all((value.func, *value.args, *value.keywords.values()), depth)
            self._note("an argument of the partial", (*value.args, *value.keywords.values()))
        elif kind in _WRAPPERS:
            self._look_at(value.__func__, depth + 1)
        elif kind is property:
            self._look_at_all((value.fget, value.fset, value.fdel), depth)
        elif kind is MethodType or not isinstance(value, (ModuleType, BuiltinFunctionType)):
            self.is_exact = False

    def _look_at_function(self, function: FunctionType, depth: int) -> None:
        for name in ("__code__", "__defaults__", "__kwdefaults__"):
            self._fixed.append((function, name, getattr(function, name)))
        names = function.__globals__
        used = sorted({name for code in codes_in(function.__code__) for name in code.co_names})
        for name in used:
            value = names.get(name, _ABSENT)
            self._names.append((names, name, value))
            if value is not _ABSENT:
                self._note(f"the global {name!r}", (value,))
                self._look_at(value, depth + 1)
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            self._cells.append((cell, _content(cell)))
            self._note(f"the variable {name!r} of the function around it", (_content(cell),))
            self._look_at(_content(cell), depth + 1)
        defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        self._note("the default of a parameter", defaults)
        self._look_at_all(defaults, depth)
        self._look_at_all(vars(function).values(), depth)

    def _look_at_table(self, table: Any, depth: int) -> None:
        keys, values = _contents(table)
        if type(table) not in (tuple, frozenset):
            self._tables.append((table, keys, values))
        if not PLAIN.issuperset(map(type, values)):
            if len(values) > _MAX_EXAMINED:
                self.is_exact = False
            else:
                self._look_at_all(values, depth)
        if not PLAIN.issuperset(map(type, keys)):
            self.is_exact = False

    def _look_at_all(self, values: Iterable[Any], depth: int) -> None:
        for value in values:
            self._look_at(value, depth + 1)

    def _note(self, what: str, values: Iterable[Any]) -> None:
        code = (FunctionType, BuiltinFunctionType, type, ModuleType)
        self.named += [(what, value) for value in values if not isinstance(value, code)]


def _is_same(table: Any, keys: list[Any], values: list[Any], *, exactly: bool) -> bool:
    """True if a container has the same values in the same places as recorded."""
    if len(table) != len(values):
        return False
    if len(values) > _MAX_EXAMINED and not exactly:
        return (list(table.values()) if keys else list(table)) == values
    keys_now, values_now = _contents(table)
    return keys_now == keys and all(map(is_, values_now, values))


def _contents(table: Any) -> tuple[list[Any], list[Any]]:
    if hasattr(table, "values"):  # a dictionary, or that of a class
        return list(table), list(table.values())
    return [], list(table)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty yet
        return _ABSENT


def _is_imported(value: Any) -> bool:
    from cloudpickle.cloudpickle import _should_pickle_by_reference

    return bool(_should_pickle_by_reference(value))
