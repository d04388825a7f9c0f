"""Why the pool ends a worker, and what follows from that for its item and for the next start."""

from __future__ import annotations

from enum import StrEnum


class ExitReason(StrEnum):
    """Why the pool ended a worker. One that ended by itself has none."""

    # It did not start.
    START_TIMEOUT = "start timeout"
    GARBLED_START = "garbled start"
    """What it wrote while it started makes no sense."""

    # It broke the rules.
    WROTE_UNASKED = "wrote unasked"
    """It wrote to its stdout, and nobody had asked it anything."""
    CLOSED_STDIN = "closed stdin"
    TORE_REQUEST = "closed stdin within a request"
    CLOSED_STDOUT = "closed stdout"
    PROTOCOL = "protocol"
    """What it wrote is not an answer."""
    TIMEOUT = "timeout"
    """It had an item for too long."""

    # Somebody asked for it.
    CANCELLED = "cancelled"
    """Its item was to be ended."""
    RESTARTED = "restarted"
    RENEWED = "renewed"
    """Every worker is replaced."""
    INTERRUPTED = "interrupted"
    """The thread that had it for a call was interrupted."""
    LEASE_INTERRUPTED = "lease interrupted"
    LEASE_FAILED = "lease failed"
    LEASE_DROPPED = "lease dropped"

    # Nobody needs it any more.
    RECYCLED = "recycled"
    RESIZED = "resized"
    IDLE = "idle"
    CLOSED = "closed"
    """The pool was closed."""
    ENDED = "ended"
    """It had ended, or was about to, before it was given anything."""

    @property
    def costs_item(self) -> bool:
        """True if its first item fails with it, though the worker may not have read it.

        Otherwise a second worker would come to the same end, and a third.
        """
        return self in _COSTS_ITEM

    @property
    def blames_start(self) -> bool:
        """True if a worker that had answered nothing counts as one that failed to start."""
        return self in _BLAMES_START

    @property
    def sentence(self) -> str:
        """What the worker did, or what was done to it; `{limit}` is in seconds."""
        return _SENTENCES.get(self, f"was ended ({self})")


_R = ExitReason
_COSTS_ITEM = frozenset({_R.TIMEOUT, _R.PROTOCOL, _R.CLOSED_STDOUT, _R.TORE_REQUEST})
_BLAMES_START = frozenset({_R.START_TIMEOUT, _R.GARBLED_START, _R.WROTE_UNASKED, _R.CLOSED_STDIN})
_SENTENCES = {
    _R.START_TIMEOUT: "was not ready within {limit:.3g} s (timeouts.start)",
    _R.GARBLED_START: "wrote something else where it should have said that it is ready",
    _R.WROTE_UNASKED: "wrote to its standard output before it was asked anything",
    _R.CLOSED_STDIN: "closed its standard input before it had read a request",
    _R.TORE_REQUEST: "closed its standard input in the middle of the request",
    _R.CLOSED_STDOUT: "closed its standard output without an answer; one answer a request is due",
    _R.PROTOCOL: "broke the protocol",
    _R.TIMEOUT: (
        "did not answer within {limit:.3g} s{where}, and was replaced; "
        "raise timeouts.request, or give the call its own timeout"
    ),
    _R.CANCELLED: "was ended while it had the item",
}
