"""The actions of the widget's buttons: messages from the front end call the pool's public methods.

The front end is not trusted: an unknown action or an argument of the wrong type is an error, which
is sent back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from processpool.api.view import PoolView

Message = dict[str, Any]


def perform(pool: PoolView, message: Mapping[str, Any]) -> str:
    """Perform the action that a message names, and return the error's text, or "" on success."""
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
    """Set the most workers, and lower the fewest if it would be more than that."""
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
"""The actions, by the name that the front end sends."""
