"""For every test: a signal is what it always is, wherever the tests were started from."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Undo what a shell does to its background jobs, and `nohup` to anything: children inherit it.

    The handler of SIGHUP does nothing, so that what `nohup` was for still holds; in the programs
    that the tests start, the signal has its usual effect again.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda number, frame: None)
