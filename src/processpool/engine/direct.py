"""One request on the calling thread: no queue, no future, no other thread that has to wake up."""

from __future__ import annotations

import select
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.engine import failures
from processpool.engine.answers import CLOSED_STDOUT_GRACE
from processpool.jobs import Reply, attach
from processpool.outcome import Outcome
from processpool.scheduling.scheduler import DUMP_GRACE

if TYPE_CHECKING:
    from processpool.engine.local import Engine
    from processpool.engine.worker import Worker
    from processpool.forms import Request


class NotBegun(Exception):
    """The worker had ended before it read anything of the request."""


def exchange(engine: Engine, worker: Worker, request: Request, timeout: float | None) -> Any:
    """Send one request to a borrowed worker, wait for its answer, and give the worker back.

    Raises:
        ProcessPoolError: the item has no value; the error says why, and carries the record.
        NotBegun: another worker may be asked, nothing has happened.
    """
    began = monotonic()
    try:
        with worker.io:
            answers = _await_answer(worker, request, None if timeout is None else began + timeout)
            if not answers:
                raise _failure(engine, worker, began)
            values, plain = worker.decode(answers)
    except BaseException:
        engine.discard(worker, "interrupted")
        raise
    if len(values) == 1 and worker.fault() is None:
        engine.give_back(worker, 1)
    else:
        engine.discard(worker, "protocol", handled=1)
    if plain or type(values[0]) is not Reply:
        return values[0]
    return _unwrap(worker, values[0], began)


def _unwrap(worker: Worker, reply: Reply, began: float) -> Any:
    """The value of an answer that is more than one; or its error is raised."""
    if reply.error is not None:
        raise _recorded(worker, reply, began)
    return reply.value


def _await_answer(
    worker: Worker, request: Request, deadline: float | None
) -> list[Any]:
    """The answers that came, normally one; none if the worker failed, or the time is over."""
    worker.send(request.payload, request.task)
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
            return answers
    return []


def _failure(engine: Engine, worker: Worker, began: float) -> BaseException:
    """Why there is no answer."""
    fate = engine.fate_of(worker)
    if worker.fault() is not None:
        fate = "protocol"
    elif not worker.ended:
        fate = "timeout"
        worker.dump_stacks()
        _ends(worker, DUMP_GRACE)
    elif not _ends(worker, CLOSED_STDOUT_GRACE):
        fate = "closed stdout"
    elif fate is None and not worker.has_begun():
        return NotBegun()
    reply = worker.unfinished()
    seconds = monotonic() - began
    reply.error = failures.lost_item(worker, fate, engine.command, seconds, reply.stderr)
    return _recorded(worker, reply, began)


def _ends(worker: Worker, seconds: float) -> bool:
    """True if the worker's process ends within so many seconds."""
    poller = select.poll()
    poller.register(worker.process.pidfd, select.POLLIN)
    return bool(poller.poll(seconds * 1000))


def _recorded(worker: Worker, reply: Reply, began: float) -> BaseException:
    """The error of a reply, with the record of its item."""
    assert reply.error is not None
    record = Outcome(
        index=0,
        error=reply.error,
        stdout=reply.stdout or "",
        stderr=worker.item_stderr() if reply.stderr is None else reply.stderr,
        worker_id=worker.id,
        pid=worker.pid,
        running=monotonic() - began,
        raw=reply.raw,
    )
    attach(record)
    return reply.error
