"""One request on the calling thread: no queue, no future, no other thread that has to wake up."""

from __future__ import annotations

import select
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.engine import failures
from processpool.engine.answers import CLOSED_STDOUT_GRACE
from processpool.errors import CodecError
from processpool.jobs import attach
from processpool.outcome import Outcome

if TYPE_CHECKING:
    from processpool.engine.local import Engine
    from processpool.engine.worker import Worker


class NotBegun(Exception):
    """The worker had ended before it read anything of the request."""


def exchange(
    engine: Engine, worker: Worker, payload: tuple[bytes, ...], timeout: float | None
) -> Any:
    """Send one request to a borrowed worker, wait for its answer, and give the worker back.

    Raises:
        ProcessPoolError: the item has no value; the error says why, and carries the record.
        NotBegun: another worker may be asked, nothing has happened.
    """
    began = monotonic()
    try:
        with worker.io:
            answers = _await_answer(worker, payload, None if timeout is None else began + timeout)
            if not answers:
                raise _failure(engine, worker, began)
    except BaseException:
        engine.discard(worker, "interrupted")
        raise
    if len(answers) == 1 and worker.fault() is None:
        engine.give_back(worker, 1)
    else:
        engine.discard(worker, "protocol", handled=1)
    try:
        return worker.codec.decode(answers[0])
    except CodecError as error:
        raise _recorded(worker, error, began, answers[0]) from error.__cause__


def _await_answer(
    worker: Worker, payload: tuple[bytes, ...], deadline: float | None
) -> list[bytes]:
    """The answers that came, normally one; none if the worker failed, or the time is over."""
    worker.send(payload)
    left = None
    while not worker.ended and worker.fault() is None:
        if deadline is not None:
            left = deadline - monotonic()
            if left <= 0:
                break
        answers = worker.pump(left)
        if answers:
            if worker.lingers:
                worker.linger()
            worker.stderr.take()
            return answers
    return []


def _failure(engine: Engine, worker: Worker, began: float) -> BaseException:
    """Why there is no answer."""
    fate = engine.fate_of(worker)
    if worker.fault() is not None:
        fate = "protocol"
    elif not worker.ended:
        fate = "timeout"
    elif not _exits(worker):
        fate = "closed stdout"
    elif fate is None and worker.untouched():
        return NotBegun()
    seconds = monotonic() - began
    error = failures.lost_item(worker, fate, engine.command, seconds)
    return _recorded(worker, error, began, worker.framing.partial)


def _exits(worker: Worker) -> bool:
    """True if a worker whose output has ended is exiting, rather than only mute."""
    poller = select.poll()
    poller.register(worker.process.pidfd, select.POLLIN)
    return bool(poller.poll(CLOSED_STDOUT_GRACE * 1000))


def _recorded(worker: Worker, error: BaseException, began: float, raw: bytes) -> BaseException:
    record = Outcome(
        index=0,
        error=error,
        stderr=worker.stderr.take(),
        worker_id=worker.id,
        pid=worker.pid,
        running=monotonic() - began,
        raw=raw or None,
    )
    attach(record)
    return error
