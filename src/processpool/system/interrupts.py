"""Interrupts at the right moment: never while the pool's state is half changed.

Python raises `KeyboardInterrupt` between any two instructions of the main thread, as it does with
whatever the handlers of other signals raise, such as those of time limits and of `kill`. In the
middle of a decision that would lose a worker or an item. So there it is held back, and raised at
the end. Code in there that waits, or runs the user's code, allows it to be raised, so that a wait
ends at once. It is raised in no other place, and once in each: even a storm of interrupts finds
everything in order.

Meanwhile the process's own handlers, whatever they are, are replaced by one that only takes note;
at the end they are put back, and called. Other threads are never interrupted.
"""

from __future__ import annotations

import sys
import threading
from _signal import getsignal
from _signal import signal as set_handler
from _thread import get_ident
from functools import wraps

from processpool.system.platform import in_forks, signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType
    from typing import ParamSpec, TypeVar

    Handler = Callable[[int, FrameType | None], object]
    P = ParamSpec("P")
    T = TypeVar("T")

_SIGNALS = signals("INT", "TERM", "ALRM")
"""Those whose handlers may well raise."""
_RARE = signals("HUP", "QUIT", "USR1", "USR2", "VTALRM", "PROF", "XCPU", "CHLD", "CONT", "WINCH")
"""Those whose handlers may raise as well: they are held back where much would be lost."""
HOLDERS = {__file__}
"""The files of the code that holds interrupts back, or takes locks that do."""


class StandIn:
    """Stands for one of the process's own handlers, which it calls unless that must wait.

    Code that sets a handler meanwhile may get one of these in return, and put it back later: it
    works as well as the one that it stands for.
    """

    __slots__ = ("original",)

    def __init__(self, original: Handler) -> None:
        self.original = original

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        SHIELD.on_signal(number, frame, self.original)


class Shield:
    """Holds interrupts back from `enter` to `leave`, which may be nested; see `INTERRUPTIBLE`."""

    def __init__(self) -> None:
        self.main = threading.main_thread().ident
        self._depth = 0
        self._open: list[tuple[int, bool]] = []
        """Depths at which interrupts may be raised, and whether only one may; the last counts."""
        self.held: list[int] = []
        """Signals that came where nothing may be raised, and wait until something may."""
        self._stand_ins: dict[int, StandIn] = {}
        """Signal → what stands in for its handler, or did the last time."""
        self._raised: tuple[int, int, BaseException] | None = None
        """The last interrupt that was raised: the depth, the signal, and the error."""
        self._replaced: list[int] = []
        """Signals whose handlers are replaced now."""
        self.wake: Callable[[], None] | None = None
        """Ends the wait of a main thread that holds back what comes meanwhile."""
        self.on_raise: Callable[[BaseException], None] | None = None
        """Told of what a handler raises in the pool's code, which it must not delay."""

    @property
    def is_up(self) -> bool:
        """True on a thread that is in the middle of something: for code in a signal's handler."""
        up = self._depth > 0 and get_ident() == self.main and not self._is_open
        return up and self._is_held(sys._getframe(1))

    def enter(self) -> None:
        """Hold interrupts back from here on."""
        if get_ident() != self.main:
            return
        if self._depth:
            self._depth += 1
            return
        try:
            self._depth = 1
            self._replace(_SIGNALS)
        except BaseException:  # by a handler that is not replaced yet
            self._depth = 1
            self.leave()
            raise

    def widen(self) -> None:
        """From here on all signals wait whose handlers may raise; on the main thread only.

        To be called after `enter`: this thread is about to do the work of others, which must not be
        cut off.
        """
        self._replace(_RARE)

    def _replace(self, numbers: tuple[int, ...]) -> None:
        for number in numbers:
            handler = getsignal(number)
            if handler is None or type(handler) is int:  # the system's own, as nearly all are
                continue
            if type(handler) is StandIn:  # somebody has put it back, at the wrong time
                self._replaced.append(number)
            else:
                stand_in = self._stand_ins.get(number)
                if stand_in is None or stand_in.original is not handler:
                    stand_in = self._stand_ins[number] = StandIn(handler)
                self._replaced.append(number)  # first: a handler that raises may come in between
                set_handler(number, stand_in)

    def leave(self) -> None:
        """Raise an interrupt that has come meanwhile, if this was the outermost `enter`."""
        if get_ident() == self.main:
            while (
                self._open and self._open[-1][0] >= self._depth
            ):  # `open` was cut off by a handler
                self._open.pop()
            self._depth -= 1
            if not self._depth:
                self._raised = None
                try:
                    self._restore()
                finally:  # a handler may have raised: what came before it is not to come later
                    if self.held:
                        self._raise_held()

    def open(self, *, once: bool) -> None:
        """Allow an interrupt to be raised from here on, and raise one that was held back.

        With `once`, only one is.
        """
        if self._depth and get_ident() == self.main and not self._is_open:
            self._raised = None
            self._open.append((self._depth, once))
            if self.held:
                self._raise_held()

    def shut(self) -> BaseException | None:
        """Hold interrupts back again; return what one has raised since `open`."""
        if get_ident() == self.main:
            if self._is_open:
                self._open.pop()
            elif self._raised is not None and self._raised[0] == self._depth:
                return self._raised[2]
        return None

    def has_raised(self, error: BaseException) -> bool:
        """True if it comes from an interrupt, and not from the code that was bracketed."""
        return self._raised is not None and self._raised[2] is error and get_ident() == self.main

    def forget(self) -> None:
        """Hold nothing back any more: in a forked child, or if `leave` will never be called."""
        self.main = threading.main_thread().ident
        self._depth = 0
        self._open.clear()
        self.held.clear()
        self._raised = None
        self._restore()

    @property
    def _is_open(self) -> bool:
        return bool(self._open) and self._open[-1][0] == self._depth

    def _restore(self) -> None:
        try:
            for number in reversed(self._replaced):  # a handler may come in between, and enter
                handler = getsignal(number)
                if type(handler) is StandIn:
                    set_handler(number, handler.original)
            self._replaced.clear()
        finally:
            if self._replaced:
                self._restore()

    def _raise_held(self) -> None:
        """Call the handlers of what was held back: all of them, even if one raises."""
        number = self.held.pop(0)
        handler = getsignal(number)
        try:
            if type(handler) is StandIn:
                handler = handler.original
            if callable(handler):
                self._call(handler, number, sys._getframe(1))
        finally:
            if self.held:
                self._raise_held()

    def _call(self, handler: Handler, number: int, frame: FrameType | None) -> None:
        """Call one of the process's own handlers."""
        try:
            handler(number, frame)
        except BaseException as error:
            if self._depth:
                self._raised = self._depth, number, error
            if self.on_raise is not None:
                self.on_raise(error)
            if self._is_open and self._open[-1][1]:
                self._open.pop()
            raise

    def on_signal(self, number: int, frame: FrameType | None, handler: Handler) -> None:
        """Call the signal's own handler, or take note of the signal if that must wait."""
        if self._is_open or not self._is_held(frame):
            self._call(handler, number, frame)
        elif number not in self.held:
            self.held.append(number)
            if self.wake is not None:
                self.wake()

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
in_forks(SHIELD.forget)


class Interruptible:
    """Brackets a wait or the user's code inside of uninterrupted code.

    When it raises, nothing must be lost: neither what was waited for, nor the fact that it came.
    """

    def __init__(self, *, once: bool) -> None:
        """With `once`, it is over when one interrupt was raised."""
        self._once = once

    def __enter__(self) -> None:
        SHIELD.open(once=self._once)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        SHIELD.shut()


class Unswallowed(Interruptible):
    """One whose code may swallow an interrupt as an error of its own: it is raised all the same."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        raised = SHIELD.shut()
        if raised is not None and error is None:
            raise raised


INTERRUPTIBLE = Interruptible(once=True)
"""For waits."""
USERS_CODE = Interruptible(once=False)
"""For the user's code, which may set itself a time limit and go on when it is over."""
PICKLING = Unswallowed(once=True)
"""For pickling, which tries another way when one has failed."""


def is_raised_by_a_handler(error: OSError) -> bool:
    """True if it was raised by a signal's handler, such as a `TimeoutError`.

    Errors of the system have a number.
    """
    return error.errno is None


def uninterrupted(method: Callable[P, T]) -> Callable[P, T]:
    """Have a method run to its end before an interrupt is raised; see `INTERRUPTIBLE`."""
    enter, leave = SHIELD.enter, SHIELD.leave

    @wraps(method)
    def shielded(*args: P.args, **kwargs: P.kwargs) -> T:
        enter()
        try:
            return method(*args, **kwargs)
        finally:
            leave()

    return shielded
