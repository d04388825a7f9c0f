"""Sending the lines of a file or a stream through a pool, in order.

Reading a regular file does not block, so `imap` reads lines as it needs them, which is fastest. A
pipe or terminal may have no input for hours while an answer is due: there a separate thread reads
lines and submits them, so that no answer waits for the next line.

In both cases, the number of lines read ahead is bounded.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING, Any

from processpool.core.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processpool.api.futures import PoolFuture
    from processpool.api.pool import ProcessPool
    from processpool.cli.lines import Messages

    Waiting = Queue[PoolFuture | BaseException | None]


def outcomes(pool: ProcessPool, messages: Messages, *, blocking: bool) -> Iterator[Outcome]:
    """Yield the outcomes of all messages, in their order.

    Args:
        pool: an open pool.
        messages: the messages to send.
        blocking: whether reading the next message may block for a long time.
    """
    run = _submitted(pool, messages) if blocking else _mapped(pool, messages)
    for outcome in run:
        error = messages.refused.pop(outcome.index, None)
        yield outcome if error is None else replace(outcome, error=error)


def _mapped(pool: ProcessPool, messages: Messages) -> Iterator[Outcome]:
    return pool.imap(messages, details=True, on_error="return")


def _submitted(pool: ProcessPool, messages: Messages) -> Iterator[Outcome]:
    waiting: Waiting = Queue(maxsize=_max_in_flight(pool))
    # A daemon, since nothing can end it while it waits for input.
    Thread(target=_submit_all, args=(pool, messages, waiting), daemon=True).start()
    for index in count():
        future = waiting.get()
        if future is None:
            return
        if isinstance(future, BaseException):
            raise future
        error = future.exception()
        yield replace(future.record or Outcome(0, error=error), index=index)


def _submit_all(pool: ProcessPool, messages: Iterator[Any], waiting: Waiting) -> None:
    try:
        for message in messages:
            waiting.put(pool.submit(message))
    except BaseException as error:
        waiting.put(error)
    else:
        waiting.put(None)


def _max_in_flight(pool: ProcessPool) -> int:
    """Return how many items may be in flight: enough to keep every worker busy, as in `imap`."""
    worker = pool.config.worker
    pipeline = worker.protocol.pipeline if worker.kind == "command" else 1
    return min(2 * pool.config.size.max * pipeline, pool.config.queue.max_pending)
