"""The handling of output beyond the answers that are due.

One rule holds here: an answer that arrives together with surplus output is not delivered. It might
be the whole answer, a part of it, or an echo, and a wrong answer is worse than an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processpool.core.exit_reason import ExitReason
from processpool.core.replies import Reply
from processpool.engine.workers import failures

if TYPE_CHECKING:
    from processpool.core.slot import Slot
    from processpool.engine.workers.worker import Worker


def end_reason(worker: Worker, slot: Slot, count: int) -> ExitReason | None:
    """Return why to end a worker that has written `count` answers and then something else.

    Returns:
        None if that can be the beginning of the next answer that is due. It cannot if it violates
        the protocol, and came together with the worker's very first answer: the output of a
        program that does not speak the protocol may begin with something like an answer.
    """
    if count >= slot.load:
        return ExitReason.WROTE_UNASKED
    untried = not slot.handled and count == 1
    return ExitReason.PROTOCOL if untried and worker.protocol.fault() is not None else None


def spoil(worker: Worker, answers: list[Any], values: list[Any], owed: int) -> bool:
    """Replace the last answer that was due by an error, if surplus output came with it.

    Args:
        worker: the worker.
        answers: the answers as received.
        values: the decoded answers; changed in place.
        owed: how many of them were due.

    Returns:
        False if there was no surplus.
    """
    written = answers if type(answers[0]) is bytes else values
    count = min(len(values), owed)
    if not count:
        return False
    if count < len(values):
        more = written[count]
    elif worker.protocol.has_surplus:
        more = worker.protocol.unfinished().raw or b""
    else:
        return False
    answer = written[count - 1]
    error = failures.surplus(worker, answer, more)
    values[count - 1] = Reply(error=error, raw=answer if type(answer) is bytes else None)
    return True
