"""The errors of items and workers: one sentence each, with everything that is known."""

from __future__ import annotations

import json
import signal
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

from processpool.core.exit_reason import ExitReason
from processpool.errors import (
    OutOfMemory,
    PoolClosed,
    ProtocolError,
    RequestTimeout,
    UnexpectedEOF,
    WorkerDied,
    WorkerStartFailed,
)
from processpool.system.cgroups import oom_kills
from processpool.system.process import UNKNOWN, describe_exit
from processpool.system.text import escape_control
from processpool.system.units import SIZES, format_measured, format_units

if TYPE_CHECKING:
    from processpool.core.policy import MemoryPolicy
    from processpool.core.replies import Reply
    from processpool.engine.workers.worker import Worker

_ONE_ANSWER = (
    "a request is to have exactly one answer: worker.protocol.answer says where it ends "
    "(lines, until, until_line or length)"
)
_SHOWN = 64
"""Bytes of what a worker wrote to stdout that are quoted."""
_STDERR_LINES = 12
_FATAL = "Fatal Python error: "
_START_LINES = 60
"""Lines of stderr that are quoted: of a failed start enough for a whole traceback."""


def lost_item(
    worker: Worker,
    exit_reason: ExitReason | None,
    command: str,
    seconds: float,
    reply: Reply,
) -> BaseException:
    """Why a worker did not answer the item that it had.

    Args:
        worker: who had it.
        exit_reason: why the pool ended the worker; None if it ended by itself.
        command: what the worker was started with.
        seconds: how long it had the item, or might have it.
        reply: what there is of its answer.
    """
    stderr = worker.stderr.request if reply.stderr is None else reply.stderr
    who = f"worker {worker.id} (pid {worker.pid})"
    match exit_reason:
        case ExitReason.TIMEOUT:
            half = worker.protocol.cut_off()
            where = f" ({half})".replace("ended", "had stopped", 1) if half else ""
            how = exit_reason.sentence.format(limit=seconds, where=where)
            why = f"; {worker.trial.silence}" if worker.trial.silence else ""
            return RequestTimeout(f"{who} {how}{why}{_what_came(reply.raw, stderr)}")
        case ExitReason.PROTOCOL:
            fault = worker.protocol.fault() or ProtocolError(f"{who} {exit_reason.sentence}")
            return broken(worker, fault, stderr)
        case ExitReason.CLOSED:
            return PoolClosed(f"the pool was closed while {who} had the item")
        case ExitReason.CANCELLED:
            return CancelledError(f"{who} {exit_reason.sentence}")
        case ExitReason.CLOSED_STDOUT:
            cut_off = worker.protocol.cut_off() or UnexpectedEOF(f"{who} {exit_reason.sentence}")
            return type(cut_off)(f"{cut_off}{_what_came(reply.raw, stderr)}")
        case _:
            return died(worker, exit_reason, command, reply.stderr)


def out_of_memory(worker: Worker, memory: MemoryPolicy | None) -> OutOfMemory:
    """The error of an item that needs more memory than there is."""
    who, peak = f"worker {worker.id} (pid {worker.pid})", worker.memory.peak
    used = f"; it was seen to use {format_measured(peak)}" if peak else ""
    budget = "" if memory is None else f" of {format_units(memory.budget, SIZES)}"
    if worker.was_starved:
        how = "was killed by the kernel for lack of memory"
    elif memory is not None and not memory.retries:
        how = f"was ended, since the workers used more than the budget{budget}"
    else:
        how = f"was ended, since the item alone needs more than the budget{budget}"
    error = OutOfMemory(
        f"{who} {how}{used}; raise memory.budget, run fewer workers, or make the item smaller"
    )
    error.pid, error.peak, error.exitcode = worker.pid, peak, worker.process.reap()
    error.stderr = worker.stderr.request
    return error


def died(
    worker: Worker, exit_reason: ExitReason | None, command: str, stderr: str | None = None
) -> BaseException:
    """The error of an item whose worker has ended; `stderr` is the item's, where it is known."""
    exitcode = worker.process.reap()
    how = describe_exit(exitcode) if exit_reason is None else f"was ended ({exit_reason})"
    cut_off = worker.protocol.fault() or worker.protocol.cut_off()
    if stderr is None:  # of earlier requests nothing is told
        stderr = worker.stderr.request
    if cut_off is not None and exitcode >= 0:
        came = _what_came(worker.protocol.unfinished().raw, stderr)
        return type(cut_off)(f"{cut_off}; worker {worker.id} (pid {worker.pid}) {how}{came}")
    limit = worker.process.limit_reached if exit_reason is None else None
    before = f": {limit}; it had not answered" if limit else " before it answered"
    if exit_reason is None and limit is None and exitcode == -signal.SIGKILL:
        before += " (out of memory?)"
        kills = oom_kills()
        if kills is not None:
            before += f"; killed for lack of memory in this control group so far: {kills}"
    kind = OutOfMemory if worker.was_starved else WorkerDied
    if worker.was_starved:
        before = before.replace(" (out of memory?)", ", by the kernel for lack of memory")
    error = kind(
        f"worker {worker.id} (pid {worker.pid}) {how}{before}; "
        f"its command: {command}{quote_stderr(stderr)}"
    )
    if isinstance(error, OutOfMemory):
        error.peak = worker.memory.peak
    error.pid, error.stderr = worker.pid, stderr
    error.exitcode = None if exitcode == UNKNOWN else exitcode
    error.__cause__ = cut_off
    return error


def surplus(worker: Worker, answer: Any, more: Any) -> ProtocolError:
    """Why an answer is not delivered: more came with it than was asked for."""
    advice = worker.protocol.advice or _ONE_ANSWER
    if worker.trial.left and not worker.protocol.advice and isinstance(answer, bytes):
        advice += f"; {_how_it_begins(answer)}"
    return ProtocolError(
        f"worker {worker.id} (pid {worker.pid}) answered {_shown(answer)}, and with that came "
        f"{_shown(more)}, for which nobody had asked; neither is delivered, and the worker was "
        f"replaced; {advice}{quote_stderr(worker.stderr.request)}"
    )


def _how_it_begins(output: bytes) -> str:
    """What to declare if a program has begun with this output."""
    text = output.decode("utf-8", "replace")
    last = text[text.rstrip().rfind("\n") + 1 :][-_SHOWN:]
    return (
        "if that is how the program begins, let the pool wait for it: "
        f"worker.protocol.start: [{{expect: {json.dumps(last, ensure_ascii=False)}}}]"
    )


def broken(worker: Worker, fault: ProtocolError, stderr: str) -> ProtocolError:
    """What is wrong with what a worker has written, with what may help."""
    advice = f"; {worker.protocol.advice}" if worker.protocol.advice else ""
    return type(fault)(f"{fault}{advice}{quote_stderr(stderr)}")


def _what_came(raw: bytes | None, stderr: str) -> str:
    """What a worker has written in vain, as the end of a message."""
    came = f"; of its answer had come {_shown(raw)}" if raw else ""
    return came + quote_stderr(stderr)


def _shown(output: Any) -> str:
    """The first of what a worker wrote, as an error quotes it."""
    if isinstance(output, bytes):
        return repr(output[:_SHOWN])
    return escape_control(repr(output)[:_SHOWN])


def start_failed(
    worker: Worker, exit_reason: ExitReason | None, command: str, limit: float
) -> WorkerStartFailed:
    """The error of a worker that ended before it was ready."""
    exitcode = worker.process.reap()
    if exit_reason is not None and exit_reason.blames_start:
        how = exit_reason.sentence.format(limit=limit)
        if exit_reason is ExitReason.WROTE_UNASKED and worker.trial.unsolicited:
            output = worker.trial.unsolicited
            how = f"{how}: {_shown(output)}; {_how_it_begins(output)}"
    else:
        limit_reached = worker.process.limit_reached
        reason = f" ({limit_reached})" if limit_reached else ""
        how = f"{describe_exit(exitcode)}{reason} before it was ready"
        if worker.protocol.answers_by_exit and exitcode == 0:
            how += f" ({worker.protocol.advice})"
    dialogue = worker.readiness.dialogue
    awaited = dialogue.awaited() if dialogue is not None else ""
    if awaited:
        how = f"{how} ({awaited})"
    return WorkerStartFailed(
        f"worker {worker.id} (pid {worker.pid}) {how}; its command: {command}"
        f"{quote_stderr(worker.stderr.tail, _START_LINES)}"
    )


def quote_stderr(text: str, most: int = _STDERR_LINES) -> str:
    """A worker's stderr, as the end of a message: of a long one how it begins and how it ends.

    What faulthandler writes is quoted from its beginning, where it says what happened and where.
    """
    lines = escape_control(text).strip().splitlines()
    if not lines:
        return "; it wrote nothing to stderr"
    fatal = [number for number, line in enumerate(lines) if line.startswith(_FATAL)]
    if fatal:
        begin = min(max(len(lines) - most, 0), fatal[-1])
        quoted = lines[begin : begin + most]
    elif len(lines) > most:
        left_out = f"[… {len(lines) - most} lines …]"
        quoted = [*lines[: most // 2], left_out, *lines[most // 2 - most :]]
    else:
        quoted = lines
    return "; the last it wrote to stderr:\n" + "\n".join(f"  | {line}" for line in quoted)
