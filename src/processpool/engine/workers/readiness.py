"""When a worker is ready for its first request.

A worker that knows of it says so itself, on a pipe of its own: a Python worker, or a program under
`serve`. Any other program is looked at: it is ready when it awaits input (`system/readiness.py`).

This module says what is the case and what follows; `engine/readying.py` does it.
"""

from __future__ import annotations

import os
import select
from enum import StrEnum
from typing import TYPE_CHECKING

from processpool.core.machine import Machine
from processpool.system.packets import receive

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.wire.framing.start import StartDialogue

MESSAGE = 64 * 1024
"""Bytes read at a time of what a worker says when it is ready."""


class ReadinessState(StrEnum):
    """How it is found out whether a worker is ready."""

    AWAITED = "awaited"
    """It is to say something first: that it is ready, or its part of the dialogue of the start."""
    PROBED = "probed"
    """It is looked at now and then; and if it says that it is ready, it is believed."""
    READY = "ready"
    """It has been seen to await requests, or has said so."""


class ReadinessEvent(StrEnum):
    """What can be found out."""

    DIALOGUE_OVER = "at the end of its dialogue"
    SEEN = "seen to await requests"
    SAID = "said to be ready by itself"


_S, _E = ReadinessState, ReadinessEvent
READINESS: dict[tuple[ReadinessState, ReadinessEvent], ReadinessState] = {
    (_S.AWAITED, _E.DIALOGUE_OVER): _S.PROBED,
    (_S.AWAITED, _E.SAID): _S.READY,
    (_S.PROBED, _E.SEEN): _S.READY,
    (_S.PROBED, _E.SAID): _S.READY,
}
"""State and event → next state."""


class Readiness(Machine[ReadinessState, ReadinessEvent]):
    """What is known of one worker."""

    __slots__ = ("_understand", "dialogue", "fd", "memory", "says_more")

    def __init__(
        self,
        fd: int,
        understand: Callable[[bytes], bool] | None = None,
        dialogue: StartDialogue | None = None,
    ) -> None:
        """Begin with a process that runs.

        Args:
            fd: where it can say that it is ready.
            understand: takes what is said there, of a worker that is sure to say something; True
                once that is all. Programs say no more than that they are ready, if they do.
            dialogue: what is to be said and heard on its standard pipes before it is ready.
        """
        is_awaited = understand is not None or dialogue is not None
        state = ReadinessState.AWAITED if is_awaited else ReadinessState.PROBED
        super().__init__("a worker's readiness", READINESS, state)
        self.fd = fd
        """-1 once nothing more is to be read there."""
        self.memory = -1
        """The page of memory that a program under `serve` has handed over, until it is taken."""
        self.dialogue = dialogue
        self.says_more = understand is None
        """True if it may have more to say there, once it is ready."""
        self._understand = understand

    def has_said_something(self) -> bool:
        """True if there is something to be heard."""
        if self.fd < 0:
            return False
        poller = select.poll()
        poller.register(self.fd, select.POLLIN)
        return bool(poller.poll(0))

    def hear(self) -> bytes:
        """Read what it says; nothing if it has closed where it could."""
        if self._understand is not None:
            return os.read(self.fd, MESSAGE)
        said, self.memory = receive(self.fd, MESSAGE)
        return said

    def understand(self, said: bytes) -> bool:
        """It says that it is ready, and perhaps more; True once it has said all.

        Raises:
            Exception: that is not what it says.
        """
        return bool(said) if self._understand is None else self._understand(said)

    def close(self) -> None:
        """Nothing more is to be read of what it says."""
        if self.memory >= 0:
            os.close(self.memory)
            self.memory = -1
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
