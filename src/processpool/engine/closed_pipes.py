"""The handling of workers that close stdin or stdout before they are asked to exit.

Most of them exit a moment later, and then their exit status says more than the closed pipe, so each
is given that moment. A worker that keeps running, but has closed its stdout or cannot read its
requests, can never answer again, and is ended.
"""

from __future__ import annotations

import select
from functools import partial
from typing import TYPE_CHECKING

from processpool.core.exit_reason import ExitReason
from processpool.engine.workers.listening import Listening
from processpool.engine.workers.owner import Owner

if TYPE_CHECKING:
    from processpool.engine.core import Core
    from processpool.engine.workers.worker import Worker

STDIN_CLOSED = select.EPOLLET
"""The epoll events for a stdin that is writable: only the loss of its reader, reported once."""
CLOSED_GRACE = 0.5
"""The seconds that a worker may keep running after it has closed its stdin or stdout."""


def watch_stdin(core: Core, worker: Worker) -> None:
    """Watch for the closing of a worker's stdin, and for its becoming writable; under the lock."""
    core.loop.watch(worker.process.stdin, STDIN_CLOSED, partial(_on_stdin, core, worker))


def _on_stdin(core: Core, worker: Worker) -> None:
    """Handle a worker's stdin that has become writable or lost its reader.

    Only the rest of what was begun is written. What lies in the outbox is written by the thread
    that has put it there, which first notes that an answer is due: one that came before would be
    taken for unsolicited output, and the answers behind it for those of other items.
    """
    with worker.io:
        is_over = worker.is_closed or worker.channel.has_no_reader()
        done = is_over or worker.channel.write()
    with core.lock:
        if is_over:
            core.loop.forget(worker.process.stdin)
        elif done:
            core.loop.change(worker.process.stdin, STDIN_CLOSED)
    if worker.protocol.answers_by_exit:
        if is_over:  # it may well answer without its input, or with a part of it
            worker.channel.unsent.clear()
        end_input(core, worker)
    elif is_over and not worker.is_closed:
        see_to_stdin(core, worker)


def end_input(core: Core, worker: Worker) -> None:
    """Let a worker that has its only item see the end of its input."""
    with core.lock:
        if worker.is_closed or not worker.protocol.input_is_complete:
            return
        core.loop.forget(worker.process.stdin)
    with worker.io:
        if not worker.is_closed:
            worker.channel.end_input(b"")


def see_to_stdin(core: Core, worker: Worker) -> None:
    """Check a worker that has closed its stdin, in a moment."""
    core.loop.later(CLOSED_GRACE, partial(_end_deaf, core, worker))


def see_to_stdout(core: Core, worker: Worker) -> None:
    """Check a worker that has closed its stdout, in a moment."""
    core.loop.later(CLOSED_GRACE, partial(_end_mute, core, worker))


def _end_deaf(core: Core, worker: Worker) -> None:
    """End a worker that has closed its stdin; unbegun items are requeued, a torn one is lost."""
    with worker.io:
        if worker.is_closed:
            return
        reason = _why_deaf(worker) if worker.owner.state is Owner.POOL else None
    if reason is None:  # it may still answer what it had read before
        see_to_stdin(core, worker)
    else:
        core.decide(partial(core.scheduler.kill, worker.id, reason))


def _why_deaf(worker: Worker) -> ExitReason | None:
    """Return why a worker that has closed its stdin must be ended; None if it may still answer."""
    worker.channel.stdin_closed()
    if worker.is_torn():
        return ExitReason.TORE_REQUEST
    is_idle = worker.listening.state is Listening.SILENT
    return ExitReason.CLOSED_STDIN if is_idle or worker.is_deaf() else None


def why_over(worker: Worker) -> ExitReason:
    """Return the exit reason for a running worker that has closed a pipe and will not answer."""
    if worker.is_torn():
        return ExitReason.TORE_REQUEST
    return ExitReason.CLOSED_STDIN if worker.is_deaf() else ExitReason.CLOSED_STDOUT


def _end_mute(core: Core, worker: Worker) -> None:
    if not worker.is_closed:
        core.decide(partial(core.scheduler.kill, worker.id, ExitReason.CLOSED_STDOUT))
