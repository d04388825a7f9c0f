"""On another system than Linux everything can be imported, and opening a pool says what runs where.

A script stands in for such a system: what Windows or macOS lack is taken away before the import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cases.conftest import Ran

STAND_IN = """
import os, select, shutil, signal, sys, sysconfig  # shutil: it asks for the system when imported

sysconfig.get_config_vars()  # which the interpreter has for its own system only

def lack(module, *names):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)

lack(select, "epoll", "EPOLLIN")
lack(os, "pidfd_open", "eventfd", "memfd_create", "MFD_CLOEXEC", "MFD_ALLOW_SEALING")
if sys.argv[1] == "win32":
    for name in ("fcntl", "resource", "termios", "tty", "pty", "grp", "pwd", "syslog"):
        sys.modules[name] = None
    lack(select, "poll", "POLLIN")
    lack(os, "fork", "setpgid", "getpriority", "pwrite", "preadv", "killpg", "register_at_fork")
    for name in ("KILL", "HUP", "QUIT", "ALRM", "USR1", "USR2", "CHLD", "XCPU", "CONT", "WINCH"):
        lack(signal, f"SIG{name}")
else:
    import fcntl, resource
    lack(fcntl, "F_ADD_SEALS", "F_SEAL_WRITE", "F_SEAL_SHRINK", "F_GETPIPE_SZ", "F_SETPIPE_SZ")
    lack(resource, "prlimit")
sys.platform = sys.argv[1]

def words(action):
    try:
        action()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
"""


@pytest.mark.parametrize("kind", ["python", "command"])
@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_opening_says_what_runs_where(run: Callable[..., Ran], system: str, kind: str) -> None:
    worker = {"kind": kind} if kind == "python" else {"kind": kind, "command": ["cat"]}
    ran = run(
        f"""
        from processpool import ProcessPool
        pool = ProcessPool.from_dict({{"worker": {worker!r}}})
        print(repr(words(pool.open)))
        """,
        system,
        before=STAND_IN,
    )
    assert ran.value.startswith("WorkerStartFailed: ")
    assert f"({system})" in ran.value
    assert "runs on Linux" in ran.value
    assert "WSL" in ran.value


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_the_drop_in_executor_says_it_too(run: Callable[..., Ran], system: str) -> None:
    ran = run(
        """
        from processpool import ProcessPoolExecutor
        print(repr(words(lambda: ProcessPoolExecutor(2).submit(len, "abc").result())))
        """,
        system,
        before=STAND_IN,
    )
    assert "runs on Linux" in ran.value


def test_what_cannot_be_imported_there_says_it(run: Callable[..., Ran]) -> None:
    ran = run(
        """
        import processpool
        print(repr(words(lambda: processpool.serve)))
        """,
        "win32",
        before=STAND_IN,
    )
    assert ran.value.startswith("ImportError: processpool.serve is not there on win32: ")
    assert "runs on Linux" in ran.value
