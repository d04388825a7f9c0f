"""The actions of the widget's buttons: messages from the front end call the pool's public methods.

The front end is not trusted: an unknown action or an argument of the wrong type is an error, which
is sent back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processpool.core.states import WorkerState
from processpool.widget import failures

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from processpool.api.view import PoolView

Message = dict[str, Any]
"""What the front end sends, or is answered."""


def perform(pool: PoolView, message: Mapping[str, Any]) -> Message:
    """Perform the action that a message names; return its result, and the error's text or ""."""
    action = ACTIONS.get(str(message.get("action")))
    if action is None:
        return {"error": f"there is no action {message.get('action')!r}"}
    try:
        return {"error": "", "result": action(pool, message)}
    except Exception as error:
        return {"error": f"{error}" or type(error).__name__}


def _number(message: Mapping[str, Any], key: str) -> int:
    value = message.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{key} must be a whole number, got {value!r}")
    return value


def _key(message: Mapping[str, Any]) -> str:
    value = message.get("key")
    if not isinstance(value, str):
        raise ValueError(f"key must be a text, got {value!r}")
    return value


def _resize(pool: PoolView, message: Mapping[str, Any]) -> str:
    """Set the most workers, and lower the fewest if it would be more than that."""
    most = _number(message, "max")
    if most < 1:
        raise ValueError("a pool has at least one worker: write 1 or more")
    least = pool.snapshot(resources=False).min
    pool.resize(min=min(least, most), max=most)
    if most < least:
        return f"min and max are {most:,} now; min was {least:,}"
    return f"max is {most:,} now, min is still {least:,}"


def _restart(pool: PoolView, message: Mapping[str, Any]) -> None:
    pool.restart_worker(_number(message, "worker"), wait=message.get("wait") is True)


def _restart_many(pool: PoolView, message: Mapping[str, Any]) -> str:
    """Replace the workers with these numbers, or all; idle ones without losing anything."""
    wanted = message.get("workers")
    if wanted is not None and not isinstance(wanted, list):
        raise ValueError(f"workers must be a list of numbers, got {wanted!r}")
    count = 0
    for worker in pool.snapshot(resources=False).workers:
        if (wanted is None or worker.id in wanted) and worker.state is not WorkerState.STOPPING:
            pool.restart_worker(worker.id, wait=wanted is None)
            count += 1
    return f"{count:,} workers are replaced"


ACTIONS: dict[str, Callable[[PoolView, Mapping[str, Any]], Any]] = {
    "pause": lambda pool, _: pool.pause(),
    "resume": lambda pool, _: pool.resume(),
    "reset": lambda pool, _: pool.reset(),
    "resize": _resize,
    "restart": _restart,
    "restart_many": _restart_many,
    "stop_map": lambda pool, message: pool.stop_map(_number(message, "map")),
    "failures": lambda pool, message: failures.list_items(pool, _key(message)),
    "failure": lambda pool, message: failures.describe(pool, _number(message, "number")),
    "retry": lambda pool, message: failures.run_again(pool, _key(message)),
    "code": lambda pool, message: failures.to_code(pool, _key(message)),
}
"""The actions, by the name that the front end sends."""
