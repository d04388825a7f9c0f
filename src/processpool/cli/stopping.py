"""Ctrl-C, SIGTERM and SIGHUP: the work stops, the workers are ended, the status says why.

The first signal unwinds the program as an exception does, so that every `finally` runs. A
second one ends the program on the spot; the pool's guard then ends the workers.
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
    """A signal asked the program to end; not an `Exception`, so that nobody takes it for one."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.status = 128 + signum
        """The exit status that a shell would report."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Within it, a signal raises `Stopped`; those that are ignored, as under nohup, stay so."""
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
