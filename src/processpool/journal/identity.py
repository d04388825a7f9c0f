"""What is run, as a journal knows it: which function or command, and how its source reads."""

from __future__ import annotations

import ast
import shlex
import sys
from functools import partial
from hashlib import blake2b
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

from processpool.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def of_command(command: Sequence[str], protocol: str, codec: str) -> dict[str, Any]:
    """Say which program is run, and how it is talked to."""
    return {
        "kind": "command",
        "name": shlex.join(command),
        "protocol": protocol,
        "codec": codec,
        "source": None,
    }


def of_handler(handler: str, folders: Sequence[str]) -> dict[str, Any]:
    """Say which function a pool's YAML names; it is not imported for that."""
    module, _, name = handler.partition(":")
    return _of_python(f"{module}:{name}", _source_in(module, name, [*folders, *sys.path]))


def of_function(function: Callable[..., Any]) -> dict[str, Any]:
    """Say which function is called."""
    bound: list[str] = []
    while isinstance(function, partial):
        bound.append(repr((function.args, sorted(function.keywords.items()))))
        function = function.func
    named = function if hasattr(function, "__qualname__") else type(function)
    name = f"{getattr(named, '__module__', None)}:{named.__qualname__}"
    source = _source_of(named)
    if bound and not any(" at 0x" in text for text in bound):  # an address says nothing
        source = _digest(f"{source} {bound}".encode("utf-8", "surrogatepass"))
    return _of_python(name, source)


def _of_python(name: str, source: str | None) -> dict[str, Any]:
    return {"kind": "function", "name": name, "protocol": None, "codec": None, "source": source}


def require_same(path: str, recorded: dict[str, Any], what: dict[str, Any]) -> None:
    """See that a journal was written by what is run now.

    Raises:
        JournalError: it was not; the error says what differs.
    """
    for key in ("kind", "name", "protocol", "codec"):
        before, now = recorded.get(key), what[key]
        if before != now:
            if key in ("kind", "name"):
                before = f"{recorded.get('kind')} {recorded.get('name')}"
                now = f"{what['kind']} {what['name']}"
            else:
                before, now = f"{key} {before}", f"{key} {now}"
            raise JournalError(
                f"journal {path} is of {before}, and this is {now}: name another file"
            )


def has_changed(recorded: dict[str, Any], what: dict[str, Any]) -> bool:
    """True if the source of the function is known not to be what it was."""
    before, now = recorded.get("source"), what["source"]
    return before is not None and now is not None and before != now


def _source_of(function: Any) -> str | None:
    """A digest of a function's source; of its code, where there is no source."""
    import inspect

    try:
        return _digest(inspect.getsource(function).encode("utf-8", "surrogatepass"))
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        return None if code is None else _digest(code.co_code + repr(code.co_names).encode())


def _source_in(module: str, name: str, folders: Sequence[str]) -> str | None:
    """A digest of the source of a function in a module that is not imported; None if unknown."""
    try:
        text = _text_of(module, folders)
        found: ast.AST | None = None if text is None else ast.parse(text)
        for part in name.split("."):
            found = next(
                (
                    node
                    for node in getattr(found, "body", ())
                    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                    and node.name == part
                ),
                None,
            )
        if text is None or found is None:
            return None
        lines = text.splitlines(keepends=True)[_first_line(found) - 1 : found.end_lineno]  # type: ignore[attr-defined]
        return _digest("".join(lines).encode("utf-8", "surrogatepass"))
    except (OSError, SyntaxError, ValueError, ImportError):
        return None


def _first_line(node: Any) -> int:
    lines: list[int] = [node.lineno, *(one.lineno for one in node.decorator_list)]
    return min(lines)


def _text_of(module: str, folders: Sequence[str]) -> str | None:
    path: Sequence[str] | None = list(folders)
    origin: str | None = None
    for part in module.split("."):
        spec = PathFinder.find_spec(part, path)
        if spec is None:
            return None
        path, origin = spec.submodule_search_locations, spec.origin
    return Path(origin).read_text("utf-8") if origin and origin.endswith(".py") else None


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=20).hexdigest()
