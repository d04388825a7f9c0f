"""Ctrl-C, SIGTERM and SIGHUP: work stops, the workers are ended, the exit status gives the signal.

The first signal raises an exception, so that every `finally` runs. A second one exits immediately;
the pool's guard process then ends the workers.
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from processpool.system.platform import signals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import NoReturn

_SIGNALS = signals("INT", "TERM", "HUP")


class Stopped(BaseException):
    """A signal ended the program; a `BaseException`, so that no `except Exception` swallows it."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.status = 128 + signum
        """The exit status, as a shell reports it: 128 + the signal's number."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Return a context in which these signals raise `Stopped`; those ignored (nohup) stay so."""
    stopping = False

    def stop(signum: int, frame: FrameType | None) -> NoReturn:
        nonlocal stopping
        if stopping:
            os._exit(128 + signum)
        stopping = True
        raise Stopped(signum)

    caught = [signum for signum in _SIGNALS if signal.getsignal(signum) != signal.SIG_IGN]
    before = [signal.signal(signum, stop) for signum in caught]
    try:
        yield
    finally:
        for signum, handler in zip(caught, before, strict=True):
            signal.signal(signum, handler)
