"""The reasons why the pool ends a worker, with their consequences."""

from __future__ import annotations

from enum import StrEnum


class ExitReason(StrEnum):
    """Why the pool ended a worker. A worker that ended by itself has no exit reason."""

    # It did not start.
    START_TIMEOUT = "start timeout"
    GARBLED_START = "garbled start"
    """Its output during the start was not what the protocol declares."""

    # It broke the protocol.
    WROTE_UNASKED = "wrote unasked"
    """It wrote to its stdout without a request."""
    CLOSED_STDIN = "closed stdin"
    TORE_REQUEST = "closed stdin within a request"
    CLOSED_STDOUT = "closed stdout"
    PROTOCOL = "protocol"
    """Its output is not an answer."""
    TIMEOUT = "timeout"
    """An item exceeded its time limit."""

    # There is too little memory.
    MEMORY = "memory"
    """Its item was taken back, to run when there is more memory."""
    OUT_OF_MEMORY = "out of memory"
    """Its item is too large, also if no other one runs."""

    # The user asked for it.
    CANCELLED = "cancelled"
    """Its current item was killed."""
    RESTARTED = "restarted"
    RENEWED = "renewed"
    """All workers are being replaced."""
    INTERRUPTED = "interrupted"
    """The thread that used it for a `call` was interrupted."""
    LEASE_INTERRUPTED = "lease interrupted"
    LEASE_FAILED = "lease failed"
    LEASE_DROPPED = "lease dropped"

    # It is no longer needed.
    RETIRED = "retired"
    """An item of its own has asked for another worker."""
    RECYCLED = "recycled"
    RESIZED = "resized"
    IDLE = "idle"
    CLOSED = "closed"
    """The pool was closed."""
    ENDED = "ended"
    """It had ended, or was about to, before it was sent a request."""

    @property
    def costs_item(self) -> bool:
        """True if the worker's first item fails, even if the worker may not have read it.

        If the item were assigned again, it would end one worker after another.
        """
        return self in _COSTS_ITEM

    @property
    def blames_start(self) -> bool:
        """True if this counts as a failed start, unless the worker had answered something."""
        return self in _BLAMES_START

    @property
    def sentence(self) -> str:
        """A predicate for error messages about the worker; `{limit}` stands for seconds."""
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
