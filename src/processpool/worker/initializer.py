"""Initializers sent by value: the globals that they set are seen by later functions.

A function of `__main__` travels with a copy of the globals that it refers to. So an initializer
that does `global model; model = load()` sets `model` in its own copy, and a function that uses
`model` has another. Here the former replace the latter: globals that were set, and those that may
have been changed in place.
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
"""The second is its name in the children of multiprocessing."""


def initialize(initializer: Callable[[], Any]) -> Any:
    """Call an initializer, and pass on the globals of `__main__` that it leaves."""
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
    """Return the globals of a function that came from `__main__`; none for others."""
    while hasattr(function, "func"):  # functools.partial
        function = function.func
    names: dict[str, Any] = getattr(function, "__globals__", {})
    return names if names.get("__name__") in MAIN else {}


def _may_change(name: str, value: Any) -> bool:
    """True for data; code is left as it is in the function that uses it."""
    if name.startswith("__") or type(value) in _UNCHANGING or isinstance(value, type):
        return False
    return not callable(value) and type(value) is not type(sys)


def _hand_on(left: dict[str, Any]) -> None:
    """Put these among the globals of every function of `__main__` that is unpickled."""
    from functools import wraps

    from cloudpickle import cloudpickle

    restore = cloudpickle._function_setstate

    @wraps(restore)  # so that answers by value, too, refer to it by name
    def restore_with(function: Any, state: Any) -> None:
        restore(function, state)
        names = function.__globals__
        if names.get("__name__") in MAIN:
            names.update(left)

    cloudpickle._function_setstate = restore_with
