"""The functions that a declaration names: they are imported, and bound to the result of `setup`."""

from __future__ import annotations

import os

from processpool.wire.python.pickling import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_VARARGS, _VARKEYWORDS = 4, 8
"""Flags of a code object: the function has `*args`, `**kwargs`."""


def prepare(orders: dict[str, Any]) -> tuple[Callable[..., Any] | None, Callable[..., Any] | None]:
    """Import what is to be preloaded, call `setup`, and return the handler and the teardown."""
    _import_all(orders["preload"])
    state = _call_setup(orders["setup"])
    named = (orders["handler"], orders["teardown"])
    handler, teardown = (_with_state(resolve(one), state) if one else None for one in named)
    return handler, teardown


def _import_all(names: tuple[str, ...]) -> None:
    if names:
        from importlib import import_module

        for name in names:
            import_module(name)


def resolve(target: Any) -> Callable[..., Any]:
    """Return the function named `package.module:attribute`, or given by its pickle or itself."""
    if callable(target):
        return target  # type: ignore[no-any-return]
    if isinstance(target, bytes):
        function: Callable[..., Any] = loads(target)
        return function
    from importlib import import_module

    module, _, attribute = target.partition(":")
    try:
        found: Any = import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module.partition(".")[0]:
            error.add_note(
                f"Workers look for it in worker.path, where the pool's process does, and in "
                f"worker.cwd ({os.getcwd()}): name its folder in worker.path."
            )
        raise
    for name in attribute.split("."):
        found = getattr(found, name)
    if not callable(found):
        raise TypeError(f"{target} is no function: it is of type {type(found).__qualname__}")
    return found  # type: ignore[no-any-return]


def _call_setup(target: Any) -> Any:
    if isinstance(target, bytes):
        from processpool.worker.initializer import initialize

        return initialize(loads(target))
    return resolve(target)() if target else None


def _with_state(function: Callable[..., Any], state: Any) -> Callable[..., Any]:
    """Return the function, bound to the result of `setup` if it has a parameter `state`."""
    positional, by_name = _parameters(function)
    if "state" not in positional + by_name:
        return function
    from functools import partial

    if "state" in by_name:
        return partial(function, state=state)
    place = positional.index("state")
    if place == 0:
        return partial(function, state)

    def call(*args: Any, **kwargs: Any) -> Any:
        if len(args) < place:
            return function(*args, state=state, **kwargs)
        return function(*args[:place], state, *args[place:], **kwargs)

    return call


def _parameters(function: Callable[..., Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the positional parameters, and those that can always be passed by keyword."""
    code = getattr(function, "__code__", None)
    flags = getattr(code, "co_flags", 0)
    if code is None or (hasattr(function, "__wrapped__") and flags & (_VARARGS | _VARKEYWORDS)):
        return _parameters_by_signature(function)
    first = 1 if hasattr(function, "__self__") else 0
    end = code.co_argcount
    positional = code.co_varnames[first:end]
    by_name = code.co_varnames[end : end + code.co_kwonlyargcount]
    if not flags & _VARARGS and end > code.co_posonlyargcount:
        by_name += positional[-1:]
    return positional, by_name


def _parameters_by_signature(
    function: Callable[..., Any],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    import inspect

    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return (), ()
    positional = [p.name for p in parameters if p.kind <= p.POSITIONAL_OR_KEYWORD]
    return tuple(positional), tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
