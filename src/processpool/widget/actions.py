"""What the buttons do: a message from the front end becomes a call of a public method.

Nothing that comes from the front end is trusted: an unknown action, or an argument of a wrong type,
is answered with an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from processpool.api.view import PoolView

Message = dict[str, Any]


def carry_out(pool: PoolView, message: Mapping[str, Any]) -> str:
    """Do what a message asks for; returns what went wrong, and an empty text if nothing did."""
    action = ACTIONS.get(str(message.get("action")))
    if action is None:
        return f"there is no action {message.get('action')!r}"
    try:
        action(pool, message)
    except Exception as error:
        return f"{error}" or type(error).__name__
    return ""


def _number(message: Mapping[str, Any], key: str) -> int:
    value = message.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{key} must be a whole number, got {value!r}")
    return value


def _resize(pool: PoolView, message: Mapping[str, Any]) -> None:
    """The most workers; what they need not be fewer than gives way."""
    most = _number(message, "max")
    least = min(pool.snapshot(resources=False).min, most)
    pool.resize(min=least, max=most)


def _restart(pool: PoolView, message: Mapping[str, Any]) -> None:
    pool.restart_worker(_number(message, "worker"), wait=message.get("wait") is True)


ACTIONS: dict[str, Callable[[PoolView, Mapping[str, Any]], None]] = {
    "pause": lambda pool, _: pool.pause(),
    "resume": lambda pool, _: pool.resume(),
    "reset": lambda pool, _: pool.reset(),
    "resize": _resize,
    "restart": _restart,
    "stop_map": lambda pool, message: pool.stop_map(_number(message, "map")),
}
"""Name, as the front end sends it → what is done."""
