"""Workers that close a pipe of theirs before they are asked to exit.

Most of them exit in the next moment, and then their exit status says more than the pipe; so each
has a moment for that. One that lives on can never answer again, and is ended.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from processpool.core.exit_reason import ExitReason

if TYPE_CHECKING:
    from processpool.engine.core import Core
    from processpool.engine.workers.worker import Worker

CLOSED_GRACE = 0.5
"""Seconds that a worker may live on after it has closed its stdin or stdout."""


def see_to_stdin(core: Core, worker: Worker) -> None:
    """If the worker has closed its stdin, look again in a moment."""
    if worker.nobody_reads and not worker.closed:
        core.loop.post(partial(core.loop.later, CLOSED_GRACE, partial(_end_deaf, core, worker)))


def see_to_stdout(core: Core, worker: Worker) -> None:
    """The worker has closed its stdout: look again in a moment."""
    core.loop.later(CLOSED_GRACE, partial(_end_mute, core, worker))


def _end_deaf(core: Core, worker: Worker) -> None:
    """What it has not begun goes elsewhere."""
    with worker.io:
        deaf = not worker.closed and worker.is_deaf()
    if deaf:
        core.decide(partial(core.scheduler.kill, worker.id, ExitReason.CLOSED_STDIN))
    else:  # it may still answer what it had read before
        see_to_stdin(core, worker)


def _end_mute(core: Core, worker: Worker) -> None:
    if not worker.closed:
        core.decide(partial(core.scheduler.kill, worker.id, ExitReason.CLOSED_STDOUT))
