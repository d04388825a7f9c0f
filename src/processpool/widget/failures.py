"""Failures for the front end: their items, all that is known of one, running them again, as code.

The items of a group are only sent when somebody opens it.
"""

from __future__ import annotations

import ast
import logging
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Any

from processpool.api.item_notes import show
from processpool.core.jobs import Arguments
from processpool.system.text import escape_control

if TYPE_CHECKING:
    from processpool.api.view import PoolView
    from processpool.core.failed_item import FailedItem
    from processpool.core.outcome import Outcome

log = logging.getLogger("processpool")

MAX_ITEMS = 50
"""The most items of a group that are listed, the newest first."""
MAX_TEXT = 4000
"""The most characters of an output or a traceback that are shown; of more, the end."""
MAX_CODE = 2000
"""The most characters of arguments that are written into code."""


def list_items(pool: PoolView, key: str) -> list[list[Any]]:
    """Return the items of a group, the newest first: number, map, index, arguments."""
    found = pool.failed_items(key)[: -MAX_ITEMS - 1 : -1]
    return [[item.number, item.map, item.record.index, _arguments(item.record)] for item in found]


def describe(pool: PoolView, number: int) -> dict[str, Any]:
    """Return all that is known of one failure.

    Raises:
        ValueError: it is not kept any more.
    """
    item = _find(pool, number)
    record = item.record
    error = record.error
    return {
        "title": f"{item.map or 'call'}, item {record.index}",
        "argument": _arguments(record, 1000),
        "error": _cut(item.text),
        "traceback": _cut(_traceback(error)),
        "stdout": _cut(record.stdout),
        "stderr": _cut(record.stderr),
        "worker": record.worker_id,
        "pid": record.pid,
        "attempts": record.attempts,
        "seconds": round(record.seconds, 3),
        "history": [_cut(f"{one.error}") for one in record.history],
    }


def run_again(pool: PoolView, key: str) -> str:
    """Have the items of a group run again, on a thread of their own; return how many there are.

    Raises:
        ValueError: their arguments are not known any more.
    """
    by_map: dict[Any, list[tuple[Any, ...]]] = {}
    for item in pool.failed_items(key):
        record = item.record
        if item.retry is not None and (record.args or record.kwargs):
            row = Arguments.of(record.args, record.kwargs)
            by_map.setdefault(item.retry, []).append(row)
    if not by_map:
        raise ValueError("what these items were is not known any more")
    Thread(target=_run_all, args=(by_map,), name="processpool-retry", daemon=True).start()
    return f"{sum(map(len, by_map.values())):,} items are run again"


def to_code(pool: PoolView, key: str) -> str:
    """Return Python code that runs the items of a group again."""
    items = pool.failed_items(key)
    names = ", ".join(dict.fromkeys(item.map or "call" for item in items))
    lines = [f"# {len(items):,} items of {names}: {key}"]
    rows = [item.record.args for item in items]
    text = repr(rows)
    if len(text) <= MAX_CODE and _is_literal(text):
        lines.append(f"args = {text}")
    else:
        lines.append(f"args = [item.record.args for item in pool.failed_items({key!r})]")
    name = items[0].function if items else ""
    worker = pool.config.worker
    takes_data = worker.kind == "command" or bool(worker.handler)
    function = "" if takes_data else f"{name or 'function'}, "
    lines.append(f'pool.map({function}*zip(*args), on_error="return", details=True)')
    return "\n".join(lines)


def _run_all(by_map: dict[Any, list[tuple[Any, ...]]]) -> None:
    for retry, rows in by_map.items():
        with suppress(Exception):  # the pool is closed; the panel shows what has failed again
            retry(rows)


def _find(pool: PoolView, number: int) -> FailedItem:
    for item in pool.failed_items():
        if item.number == number:
            return item
    raise ValueError("this failure is not kept any more; others have come after it")


def _arguments(record: Outcome, most: int = 120) -> str:
    text = ", ".join(show(value, safely=True) for value in record.args)
    return _cut(text) if len(text) <= most else _cut(text[: most - 1]) + "…"


def _traceback(error: BaseException | None) -> str:
    """Return the worker's traceback, or "" if there is none."""
    cause = None if error is None else error.__cause__
    own = getattr(cause, "tb", None) or getattr(error, "traceback", None)
    return own if isinstance(own, str) else ""


def _is_literal(text: str) -> bool:
    try:
        ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _cut(text: str) -> str:
    text = "\n".join(escape_control(line) for line in text[-MAX_TEXT:].splitlines())
    return text if len(text) <= MAX_TEXT else text[-MAX_TEXT:]
