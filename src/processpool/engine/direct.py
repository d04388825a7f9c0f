"""One request on the calling thread: no queue, no future, and no other thread to wake up."""

from __future__ import annotations

from os import read, write
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from processpool.core.events import ItemFailed, ItemsFinished
from processpool.core.exit_reason import ExitReason
from processpool.core.exits import DUMP_GRACE
from processpool.core.jobs import attach
from processpool.core.outcome import Outcome
from processpool.core.replies import Reply, asks_to_retire, load_all
from processpool.engine.backend import NotBegun
from processpool.engine.closed_pipes import CLOSED_GRACE
from processpool.engine.last_words import note_silence
from processpool.engine.settling import settle
from processpool.engine.surplus import spoil
from processpool.engine.workers import failures
from processpool.engine.workers.attribution import Lateness
from processpool.engine.workers.channel import SMALL_READ
from processpool.engine.workers.protocol import UNUSUAL
from processpool.system.clock import wall_clock
from processpool.system.interrupts import is_raised_by_a_handler, uninterrupted
from processpool.system.memory import read_peak
from processpool.system.monitor import WAIT
from processpool.wire.python.remote_errors import format_error

if TYPE_CHECKING:
    from processpool.engine.checkout import Checkout
    from processpool.engine.core import Core
    from processpool.engine.event_hub import EventHub
    from processpool.engine.workers.worker import Worker
    from processpool.wire.python.functions import Request, Task


PROMPT = Lateness.PROMPT
SENT = object()
"""Instead of a value: the request was sent, and that may have taken a while."""


class Caller(NamedTuple):
    """What calls need of an engine."""

    core: Core
    checkout: Checkout
    hub: EventHub


def exchange(caller: Caller, request: Request, timeout: float | None) -> Any:
    """Send one request to an idle worker, and wait for its answer.

    Raises:
        ProcessPoolError: the item has no value; the error says why, and carries the record.
        NotBegun: nothing has happened: no worker is idle, or it had ended.
    """
    loan: list[Worker] = []
    try:
        return _exchange(caller, loan, request, timeout)
    except BaseException:
        if loan:
            caller.checkout.lost.append(loan)  # a single step: no further interrupt comes before it
            caller.checkout.end_lost()
        raise


def _exchange(caller: Caller, loan: list[Worker], request: Request, timeout: float | None) -> Any:
    payload, task = request
    began = monotonic()
    caller.checkout.borrow(loan)
    if not loan:
        raise NotBegun
    worker = loan[0]
    value = _ask(worker, payload, task, timeout)
    if value is SENT:
        value, began = UNUSUAL, monotonic()
    if value is UNUSUAL:
        value, *more = _ask_patiently(caller, worker, began, timeout)
        if type(value) is not Reply:
            worker.stderr.take()  # it is this request's, and nobody asks for it
        if more or not worker.protocol.is_clean:
            worker.failed_calls += type(value) is Reply and value.error is not None
            _report(caller, worker, more)
            caller.checkout.end(loan, ExitReason.WROTE_UNASKED, handled=1)
            return _unwrap(caller, worker, value, began)
    if type(value) is Reply and asks_to_retire(value):
        caller.checkout.retire(loan)
        raise NotBegun
    worker.calls += 1
    if type(value) is Reply and value.error is not None:
        worker.failed_calls += 1
    if caller.hub.has_listeners:
        _tell(caller, worker, began, failed=type(value) is Reply and value.error is not None)
    caller.checkout.keep(loan)
    if type(value) is Reply:
        return _unwrap(caller, worker, value, began)
    return value


def _report(caller: Caller, worker: Worker, more: list[Any]) -> None:
    """The worker has answered, and then wrote more."""
    unsolicited = repr(more[0]).encode() if more else worker.protocol.unfinished().raw or b""
    caller.hub.report_unsolicited(worker, unsolicited)


def _tell(caller: Caller, worker: Worker, began: float, *, failed: bool) -> None:
    who = monotonic(), worker.id, worker.pid
    caller.hub.publish(ItemsFinished(*who, 0, count=1, since=began, job=0, failed=int(failed)))


def _ask(worker: Worker, payload: Any, task: Task | None, timeout: float | None) -> Any:
    """Send a request and take its answer, as it goes nearly always: one write, one read.

    Returns:
        the value or `Reply`; or `UNUSUAL`, if it was sent and there is more to it; or `SENT`, if
        that may have taken a while.
    """
    data = worker.protocol.small_request(payload, task)
    if data is None:
        _send(worker, payload, task)
        return SENT
    channel = worker.channel
    try:
        written = write(channel.stdin, data)
    except OSError as error:
        if is_raised_by_a_handler(error):
            raise
        written = 0
    if written != len(data):
        channel.not_written(data, written)
        return UNUSUAL
    events = channel.poll(1000 * (WAIT if timeout is None else min(timeout, WAIT)))
    if events != channel.only_stdout or worker.attribution.state is not PROMPT:
        return UNUSUAL
    return worker.protocol.only_answer(read(channel.stdout, SMALL_READ))


@uninterrupted
def _send(worker: Worker, payload: Any, task: Task | None) -> None:
    worker.send(payload, task)


@uninterrupted
def _ask_patiently(
    caller: Caller, worker: Worker, began: float, timeout: float | None
) -> list[Any]:
    """Wait for the answer to what was sent, whatever else happens; with what came after it."""
    answers = worker.protocol.early_answers()
    if not answers:
        answers = _await_answer(caller, worker, began, timeout)
    if not answers:
        raise _failure(caller, worker, began, timeout)
    values = load_all(worker.protocol.decode(answers)[0])
    if len(values) > 1 or not worker.protocol.is_clean:
        spoil(worker, answers, values, owed=1)
    return values


def _unwrap(caller: Caller, worker: Worker, reply: Any, began: float) -> Any:
    """The value of an answer that is more than one; or its error is raised."""
    if type(reply) is not Reply:
        return reply
    if reply.error is not None:
        raise _recorded(caller, worker, reply, began)
    return reply.value


def _await_answer(caller: Caller, worker: Worker, began: float, timeout: float | None) -> list[Any]:
    """The answers that come, normally one; none if the worker failed, or the time is over."""
    deadline = None if timeout is None else began + timeout
    answers: list[Any] = []
    left, is_torn = None, False
    while (
        not answers
        and not worker.has_ended
        and worker.protocol.fault() is None
        and not worker.is_deaf()
    ):
        if not is_torn and worker.is_torn():  # most likely it exits
            is_torn, grace = True, monotonic() + CLOSED_GRACE
            deadline = grace if deadline is None else min(deadline, grace)
        if deadline is not None:
            left = deadline - monotonic()
            if left <= 0:
                return []
        answers = worker.pump(left)
        if not answers and worker.trial.is_foreign:
            caller.checkout.hangs.look_at(worker, began)
    if answers and worker.attribution.state is not PROMPT:
        worker.attribution.linger()
        if worker.trial.left:
            answers += settle(worker, deadline)
    return answers


def _failure(caller: Caller, worker: Worker, began: float, timeout: float | None) -> BaseException:
    """Why there is no answer."""
    exit_reason = caller.checkout.exit_reason_of(worker)
    if worker.protocol.fault() is not None:
        exit_reason = ExitReason.PROTOCOL
    elif not worker.has_ended and worker.is_deaf():
        worker.process.wait(CLOSED_GRACE)
        return NotBegun()
    elif not worker.has_ended and worker.is_torn():
        exit_reason = ExitReason.TORE_REQUEST
    elif not worker.has_ended:
        exit_reason = ExitReason.TIMEOUT
        note_silence(worker)
        if worker.protocol.dump_stacks():
            worker.process.wait(DUMP_GRACE)
    elif not worker.process.wait(CLOSED_GRACE):
        exit_reason = ExitReason.CLOSED_STDOUT
    elif exit_reason is None and not worker.has_begun() and not worker.protocol.died_loading():
        return NotBegun()
    reply = worker.protocol.unfinished()
    seconds = monotonic() - began if timeout is None else timeout
    reply.error = failures.lost_item(worker, exit_reason, caller.core.command, seconds, reply)
    worker.calls += 1
    worker.failed_calls += 1
    error = _recorded(caller, worker, reply, began)
    now, text = monotonic(), format_error(error)
    caller.hub.publish(ItemFailed(now, worker.id, worker.pid, index=0, error=text))
    return error


def _recorded(caller: Caller, worker: Worker, reply: Reply, began: float) -> BaseException:
    """The error of a reply, with the record of its item; the displays show it as the last one."""
    assert reply.error is not None
    stderr = worker.item_stderr() if reply.stderr is None else reply.stderr
    caller.hub.remember(format_error(reply.error), worker.id, worker, stderr)
    record = Outcome(
        index=0,
        error=reply.error,
        stdout=reply.stdout or "",
        stderr=stderr,
        worker_id=worker.id,
        pid=worker.pid,
        slot=worker.place,
        peak_memory=read_peak(worker.pid) or worker.memory.peak,
        seconds=monotonic() - began,
        started=wall_clock(began),
        raw=reply.raw,
        skipped=worker.protocol.take_skipped(),
    )
    attach(record)
    return reply.error
