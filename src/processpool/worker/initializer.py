"""Initializers that are sent by value: later functions see the globals that they set.

A function of `__main__` is sent with a copy of the globals that it refers to. So an initializer
that does `global model; model = load()` sets `model` in its own copy only, and a function that uses
`model` has another copy. This module puts the initializer's values into the globals of later
functions: those that it has set, and those that it may have changed in place.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_UNCHANGING = frozenset({int, float, complex, bool, str, bytes, type(None)})
_ABSENT = object()
MAIN = ("__main__", "__mp_main__")
"""The names of the main module; the second one is used in children of multiprocessing."""


def initialize(initializer: Callable[[], Any]) -> Any:
    """Call an initializer, and pass the globals of `__main__` that it sets to later functions."""
    names = _own_globals(initializer)
    before = dict(names)
    result = initializer()
    left = {
        name: value
        for name, value in names.items()
        if value is not before.get(name, _ABSENT) or _may_change(name, value)
    }
    if left:
        _hand_on(left)
    return result


def _own_globals(function: Any) -> dict[str, Any]:
    """Return the globals of a function from `__main__`; an empty dictionary for others."""
    while hasattr(function, "func"):  # functools.partial
        function = function.func
    names: dict[str, Any] = getattr(function, "__globals__", {})
    return names if names.get("__name__") in MAIN else {}


def _may_change(name: str, value: Any) -> bool:
    """True for data that may have been changed in place; False for constants and code."""
    if name.startswith("__") or type(value) in _UNCHANGING or isinstance(value, type):
        return False
    return not callable(value) and type(value) is not type(sys)


def _hand_on(left: dict[str, Any]) -> None:
    """Add these to the globals of every function of `__main__` that is unpickled from now on."""
    from functools import wraps

    from cloudpickle import cloudpickle

    restore = cloudpickle._function_setstate

    @wraps(restore)  # so that functions in answers are pickled with a reference by its name
    def restore_with(function: Any, state: Any) -> None:
        restore(function, state)
        names = function.__globals__
        if names.get("__name__") in MAIN:
            names.update(left)

    cloudpickle._function_setstate = restore_with
