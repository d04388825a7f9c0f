"""Ctrl-C at the right moment: never while the pool's state is half changed.

Python raises `KeyboardInterrupt` between any two instructions of the main thread. Where something
is decided and carried out it would lose a worker or an item; so there it is held back, and raised
at the end. Whoever waits in there, or runs code of the user's, says that it may be raised: so
waiting ends at once. Nothing but these places raises, and each of them raises once: even a storm of
interrupts finds everything in order.

Meanwhile the process's own handler of SIGINT, whatever it is, is replaced by one that only takes
note; at the end it is back, and is called. Other threads are never interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from _signal import getsignal
from _signal import signal as set_handler
from _thread import get_ident
from concurrent.futures import _base as futures
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType

    Handler = Callable[[int, FrameType | None], object]

_SIGINT = int(signal.SIGINT)
HOLDERS = {__file__, futures.__file__}
"""The files of the code that holds interrupts back, or takes locks that do."""

P = ParamSpec("P")
T = TypeVar("T")


class Shield:
    """Holds back SIGINT between `enter` and `leave`, which may be nested; see `INTERRUPTIBLE`."""

    def __init__(self) -> None:
        self.main = threading.main_thread().ident
        self._depth = 0
        self._open: list[int] = []
        """The depths at which an interrupt may be raised; the last one counts."""
        self._held_back = False
        self._raised = 0
        """The `id` of what the last interrupt has raised, where it might be raised."""
        self._handler: Handler | None = None
        """The process's own one, while ours is in its place."""
        self._own = self._on_sigint

    @property
    def is_up(self) -> bool:
        """True on a thread that is in the middle of something, as a signal's handler may find."""
        up = get_ident() == self.main and self._depth > 0 and not self._is_open
        return up and self._is_held(sys._getframe(1))

    def enter(self) -> None:
        """From here on, an interrupt waits."""
        if get_ident() == self.main:
            if not self._depth:
                handler = getsignal(_SIGINT)
                if callable(handler) and handler is not self._own:  # else it is ignored, or ends us
                    self._handler = handler
                    set_handler(_SIGINT, self._own)
            self._depth += 1

    def leave(self) -> None:
        """An interrupt that has come meanwhile is raised now, if this was the outermost."""
        if get_ident() == self.main:
            self._depth -= 1
            if not self._depth and self._handler is not None:
                self._restore(self._handler)

    def open(self) -> None:
        """Here an interrupt may be raised, and one that was held back is."""
        if self._depth and get_ident() == self.main and not self._is_open:
            self._raised = 0
            if self._held_back and self._handler is not None:
                self._held_back = False
                self._handler(_SIGINT, sys._getframe(1))
            self._open.append(self._depth)

    def shut(self) -> None:
        """From here on, an interrupt waits again."""
        if self._open and get_ident() == self.main and self._is_open:
            self._open.pop()

    def has_raised(self, error: BaseException) -> bool:
        """True if it comes from an interrupt, and not from the code that was bracketed."""
        return get_ident() == self.main and self._raised == id(error)

    def hold_back(self) -> None:
        """An interrupt was raised where others must not see it yet: it is raised once more."""
        self._held_back = True

    def forget(self) -> None:
        """Nobody holds anything back: in a forked child, or when `leave` will never be called."""
        self.main = threading.main_thread().ident
        self._depth = 0
        self._open.clear()
        self._held_back = False
        if self._handler is not None:
            self._restore(self._handler)

    @property
    def _is_open(self) -> bool:
        return bool(self._open) and self._open[-1] == self._depth

    def _restore(self, handler: Handler) -> None:
        self._handler = None
        if getsignal(_SIGINT) is self._own:
            set_handler(_SIGINT, handler)
        if self._held_back:
            self._held_back = False
            handler(_SIGINT, sys._getframe(1))

    def _on_sigint(self, number: int, frame: FrameType | None) -> None:
        handler = self._handler or signal.default_int_handler
        if self._is_open:
            self._open.pop()
            try:
                handler(number, frame)
            except BaseException as error:
                self._raised = id(error)
                raise
        elif self._is_held(frame):
            self._held_back = True
        else:
            handler(number, frame)

    def _is_held(self, frame: FrameType | None) -> bool:
        """True if somebody holds interrupts back; if nobody does, all is forgotten.

        The handler of another signal may have raised where `enter` had been called, and nobody was
        yet to call `leave`.
        """
        while frame is not None:
            if frame.f_code.co_filename in HOLDERS:
                return True
            frame = frame.f_back
        self.forget()
        return False


SHIELD = Shield()
os.register_at_fork(after_in_child=SHIELD.forget)


class Interruptible:
    """Brackets, inside of what is uninterrupted, a wait or the user's code.

    When it raises, nothing may be lost: neither what was waited for, nor that it has come.
    """

    def __enter__(self) -> None:
        SHIELD.open()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        SHIELD.shut()


INTERRUPTIBLE = Interruptible()


def is_interrupt(error: BaseException) -> bool:
    """True if somebody wants this thread to stop, and not the code that it runs."""
    return isinstance(error, KeyboardInterrupt) and get_ident() == SHIELD.main


def uninterrupted(method: Callable[P, T]) -> Callable[P, T]:
    """Let a method run to its end before an interrupt is raised; see `INTERRUPTIBLE`."""
    enter, leave = SHIELD.enter, SHIELD.leave

    @wraps(method)
    def shielded(*args: P.args, **kwargs: P.kwargs) -> T:
        enter()
        try:
            return method(*args, **kwargs)
        finally:
            leave()

    return shielded
