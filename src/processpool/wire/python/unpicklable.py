"""Search for the part of a value that cannot be pickled, after pickling has failed."""

from __future__ import annotations

from collections import deque
from functools import partial
from itertools import islice
from types import FunctionType, MethodType

from processpool.wire.python.pickling import pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

MAX_PARTS = 10_000
"""The most parts of a value that are tried."""
_DEPTH = 100
_MAX_PATH = 200
"""The most characters of a path that are shown."""
_MAX_SHOWN = 60
"""The most characters of a key that are shown."""


def find(value: Any) -> str | None:
    """Return the part's path and type: `['rows'][3].connection: sqlite3.Connection`.

    Returns:
        None if it is the value itself, or was not found.
    """
    path, found, passed = "", value, [value]
    for _ in range(_DEPTH):
        parts = islice(_parts(found), MAX_PARTS)
        fresh = ((way, part) for way, part in parts if not any(part is one for one in passed))
        step = next(((way, part) for way, part in fresh if _fails(part)), None)
        if step is None:
            break
        path, found = path + step[0], step[1]
        passed.append(found)
    if len(path) > _MAX_PATH:
        path = f"{path[: _MAX_PATH // 2]}…{path[-_MAX_PATH // 2 :]}"
    kind = type(found)
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    return f"{path}: {name}" if path else None


def _fails(value: Any) -> bool:
    try:
        pack(value)
    except BaseException:  # the value's own code runs here, and may raise anything
        return True
    return False


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a value, each with the path to it."""
    if isinstance(value, dict):
        for key, part in list(value.items()):
            yield f"[{_short(key)}]", part
    elif isinstance(value, list | tuple | deque):
        for number, part in enumerate(value):
            yield f"[{number}]", part
    elif isinstance(value, set | frozenset):
        for part in value:
            yield "{…}", part
    elif isinstance(value, FunctionType):
        yield from _parts_of_function(value)
    elif isinstance(value, MethodType):
        yield ".__self__", value.__self__
    elif isinstance(value, BaseException | partial):
        for number, part in enumerate(value.args):
            yield f".args[{number}]", part
        if isinstance(value, partial):
            yield ".func", value.func
            yield ".keywords", value.keywords
    yield from _attributes(value)


def _parts_of_function(function: FunctionType) -> Iterator[tuple[str, Any]]:
    name = function.__qualname__
    for used in function.__code__.co_names:
        if used in function.__globals__:
            yield f" the global {used!r} of {name}", function.__globals__[used]
    cells = function.__closure__ or ()
    for used, cell in zip(function.__code__.co_freevars, cells, strict=True):
        try:
            yield f" the variable {used!r} around {name}", cell.cell_contents
        except ValueError:  # an empty cell
            continue
    for part in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
        yield f" a default of {name}", part


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    yield from ((f".{name}", part) for name, part in list(getattr(value, "__dict__", {}).items()))
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in [slots] if isinstance(slots, str) else list(slots):
            if hasattr(value, name):
                yield f".{name}", getattr(value, name)


def _short(key: Any) -> str:
    try:
        text = repr(key)
    except Exception:
        return "…"
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
