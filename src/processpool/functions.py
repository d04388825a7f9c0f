"""Functions on their way to the workers: pickled once, sent once to each worker.

A function that can be imported travels by its name. One from `__main__`, a notebook cell, a lambda
or a closure travels by value, with what it refers to; so before each use it is made sure that the
value is still the same, and a cell that was edited and run again, or a global that was changed, is
sent anew.
"""

from __future__ import annotations

import os
import sys
from itertools import count
from pickle import PROTO
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import ref

from processpool.child import pickling

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

RECHECK = 0.2
"""Seconds for which a source file that was looked at is taken to be unchanged."""
_CONSTANT = (int, float, complex, str, bytes, bool, type(None), frozenset, range)


class Function:
    """A function as workers know it: a number, and the parts of its pickle."""

    __slots__ = ("module", "name", "number", "parts")

    def __init__(self, number: int, parts: list[Any], name: str, module: ModuleType | None) -> None:
        self.number = number
        self.parts = parts
        self.name = name
        self.module = module
        """Where it is imported from; None if it travels by value."""

    def __repr__(self) -> str:
        return f"<Function {self.number} {self.name}>"


class Task(NamedTuple):
    """What is to be done with the items of a job: the function, and how an item is its argument."""

    function: Function
    style: int


HANDLER = Function(0, [], "handler", None)
"""The function that the pool's YAML names; every worker has it from its start."""


class Functions:
    """The functions that a pool was given so far."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._known: dict[int, tuple[ref[Any], Function, tuple[Any, ...] | None]] = {}
        self._by_value: dict[bytes, Function] = {}
        self._looked_at: dict[str, tuple[float, float]] = {}

    def get(self, function: Callable[..., Any]) -> Function:
        """The function as workers know it.

        Raises:
            Exception: it cannot be pickled.
        """
        known = self._known.get(id(function))
        if known is not None and known[0]() is function:
            state = known[2]
            if state is None or (state and state == _state(function)):
                return known[1]
        return self._add(function)

    def changed_source(self, function: Function) -> bool:
        """True if the file of the function's module was changed since this was last asked."""
        path = getattr(function.module, "__file__", None)
        if path is None:
            return False
        now = monotonic()
        looked_at, modified = self._looked_at.get(path, (0.0, 0.0))
        if now - looked_at < RECHECK:
            return False
        try:
            found = os.stat(path).st_mtime
        except OSError:
            return False
        self._looked_at[path] = now, found
        return bool(modified) and found != modified

    def _add(self, function: Callable[..., Any]) -> Function:
        name = getattr(function, "__qualname__", type(function).__qualname__)
        parts = pickling.pack(function)
        by_value = _travels_by_value(parts[0])
        key = b"".join(bytes(part) for part in parts)
        known = self._by_value.get(key)
        if known is None:
            module = None if by_value else sys.modules.get(function.__module__)
            known = self._by_value[key] = Function(next(self._numbers), parts, name, module)
        try:
            alive = ref(function)
        except TypeError:
            return known
        self._known[id(function)] = alive, known, _state(function) if by_value else None
        return known


def _travels_by_value(stream: bytes) -> bool:
    """True for what cloudpickle wrote; plain pickles of functions are a module and a name."""
    return not stream.startswith(PROTO) or b"cloudpickle" in stream


def _state(function: Any) -> tuple[Any, ...]:
    """What a function refers to, if all of it is constant; else nothing, and it is looked at anew.

    Compared by equality: two empty results never count as the same.
    """
    code = getattr(function, "__code__", None)
    if code is None or code.co_freevars and not function.__closure__:
        return ()
    values = [function.__globals__.get(name) for name in code.co_names]
    values += [cell.cell_contents for cell in function.__closure__ or () if _filled(cell)]
    values += [function.__defaults__, *(function.__kwdefaults__ or {}).values()]
    if not all(map(_is_constant, values)) or any(map(_is_code, code.co_consts)):
        return ()
    return code, *((type(value), value) for value in values)


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _is_constant(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_constant, value))
    return type(value) in _CONSTANT or type(value) is type(os)


def _is_code(value: Any) -> bool:
    return type(value) is type(_is_code.__code__)
