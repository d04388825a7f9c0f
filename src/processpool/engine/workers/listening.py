"""Whether an answer is due from a worker that the engine feeds.

What a worker says while nothing is due is unsolicited: it must never answer the next request. So it
is looked for right before a worker is asked something, and that is what this state is for. What is
due from a worker that is lent is the affair of the thread that has it; here it is silent.
"""

from __future__ import annotations

from enum import StrEnum

from processpool.core.machine import Machine


class Listening(StrEnum):
    """What is due from a worker."""

    SILENT = "silent"
    """Nothing: what it says is unsolicited."""
    EXPECTING = "expecting"
    """An answer to what was written to it."""


class ListeningEvent(StrEnum):
    """What changes that."""

    ASKED = "asked"
    """A request is written; with its `io`."""
    SETTLED = "settled"
    """It has answered all that it had, or the rest was taken from it; under the lock."""
    CLOSED = "closed"
    """It will answer nothing any more."""


_S, _E = Listening, ListeningEvent
LISTENING: dict[tuple[Listening, ListeningEvent], Listening] = {
    (_S.SILENT, _E.ASKED): _S.EXPECTING,
    (_S.EXPECTING, _E.ASKED): _S.EXPECTING,
    (_S.EXPECTING, _E.SETTLED): _S.SILENT,
    (_S.SILENT, _E.CLOSED): _S.SILENT,
    (_S.EXPECTING, _E.CLOSED): _S.SILENT,
}
"""State and event → next state."""


def listening() -> Machine[Listening, ListeningEvent]:
    """The state of a new worker."""
    return Machine("a worker's listening", LISTENING, Listening.SILENT)
