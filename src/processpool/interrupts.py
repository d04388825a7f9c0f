"""Ctrl-C at the right moment: never while the pool's state is half changed.

Python raises `KeyboardInterrupt` between any two instructions of the main thread. In the few
microseconds in which something is decided and carried out it would lose a worker or an item; so
there it is held back, and raised at the end. Waiting is never shielded: it ends at once.
"""

from __future__ import annotations

import os
import signal
import threading
from _signal import getsignal
from _thread import get_ident
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_SIGINT = int(signal.SIGINT)

P = ParamSpec("P")
T = TypeVar("T")


class Shield:
    """Holds back SIGINT between `enter` and `leave`; on other threads than the main one, nothing.

    The process's own handler, whatever it is, is called in the end: Jupyter's, or a user's. It is
    looked at each time, since a notebook sets another one for each cell.
    """

    def __init__(self) -> None:
        self._main = threading.main_thread().ident
        self._depth = 0
        self._held_back = False
        self._handler: Callable[[int, FrameType | None], object] | None = None
        self._own = self._on_sigint

    def enter(self) -> None:
        """From here on, an interrupt waits."""
        if get_ident() == self._main:
            self._depth += 1
            if getsignal(_SIGINT) is not self._own:
                self._install()

    def leave(self) -> None:
        """An interrupt that has come meanwhile is raised now, if this was the outermost."""
        if get_ident() == self._main:
            self._depth -= 1
            if self._held_back and not self._depth:
                self._held_back = False
                if self._handler is not None:
                    self._handler(_SIGINT, None)

    def forget(self) -> None:
        """In a forked child: whatever was going on in the parent does not go on here."""
        self._main = threading.main_thread().ident
        self._depth = 0
        self._held_back = False

    def _install(self) -> None:
        handler = signal.getsignal(signal.SIGINT)
        if callable(handler):  # otherwise SIGINT is ignored, or ends the process
            self._handler = handler
            signal.signal(signal.SIGINT, self._own)

    def _on_sigint(self, number: int, frame: FrameType | None) -> None:
        if self._depth:
            self._held_back = True
        elif self._handler is not None:
            self._handler(number, frame)


SHIELD = Shield()
os.register_at_fork(after_in_child=SHIELD.forget)


def uninterrupted(method: Callable[P, T]) -> Callable[P, T]:
    """Let a method that never waits run to its end before an interrupt is raised."""

    @wraps(method)
    def shielded(*args: P.args, **kwargs: P.kwargs) -> T:
        SHIELD.enter()
        try:
            return method(*args, **kwargs)
        finally:
            SHIELD.leave()

    return shielded
