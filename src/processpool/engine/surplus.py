"""A worker that has written more than the answers that are due.

One rule holds here: an answer with which more has come is not delivered. Nobody can tell whether it
is the whole of its answer, a part, or an echo, and a wrong answer is worse than an error.
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
    """Why a worker is to be ended that has written so many answers, and then something else.

    Returns:
        None if that may be the beginning of the next answer that is due. It is not if it is no
        answer at all, and the first answer of the worker came with it: a program that does not
        speak the protocol may begin with what looks like an answer.
    """
    if count >= slot.load:
        return ExitReason.WROTE_UNASKED
    untried = not slot.handled and count == 1
    return ExitReason.PROTOCOL if untried and worker.protocol.fault() is not None else None


def spoil(worker: Worker, answers: list[Any], values: list[Any], owed: int) -> bool:
    """Put an error in the place of the last answer that was due, if more has come with it.

    Args:
        worker: whose they are.
        answers: as they came.
        values: the same decoded; changed in place.
        owed: how many of them were due.

    Returns:
        False if nothing more has come: the worker is to be replaced for another reason.
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
