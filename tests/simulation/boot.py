"""Loads the product onto the simulated machine: `boot()` before anything of it is imported.

While its modules are imported, `os`, `select`, `time` and the like are the simulated ones; nothing
in the product knows of that. So this is done once in a process which does nothing else.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any

from tests.simulation import machine as sim
from tests.simulation.kernel import Epoll, Poll, kernel
from tests.simulation.machine import machine

PRODUCT = (
    "processpool.engine.local", "processpool.engine.workers.command", "processpool.api.futures",
    "processpool.api.lease", "processpool.wire.framing.declaration", "processpool.wire.codecs",
    "processpool.engine.workers.programs",
)  # fmt: skip
WAITS = (
    "system.monitor", "engine.lead", "engine.keeper", "engine.workers.channel", "engine.direct",
)  # fmt: skip
"""Modules that have a copy of `WAIT`: without it, a wake-up that was lost is a hang."""


def boot() -> None:
    """Import the product, once, so that it runs on the simulated machine."""
    if any(name == "processpool" or name.startswith("processpool.") for name in sys.modules):
        raise RuntimeError("the product was imported before, on the real machine")
    for name in ("concurrent.futures", "logging", "multiprocessing", "subprocess", "unittest"):
        import_module(name)
    for name in (
        "asyncio", "array", "contextlib", "copyreg", "dataclasses", "fcntl", "gc", "hashlib",
        "heapq", "inspect", "io", "json", "marshal", "mmap", "pathlib", "pickle", "pprint",
        "glob", "resource", "shlex", "shutil",
        "tempfile", "termios", "traceback", "tty", "weakref", "zlib",
        "importlib.metadata", "linecache", "tokenize", "secrets", "textwrap", "concurrent.futures",
    ):  # fmt: skip
        import_module(name)
    fakes = _fakes()
    real = {name: sys.modules.get(name) for name in fakes}
    known = set(sys.modules)
    sys.modules.update(fakes)
    try:
        for name in PRODUCT:
            import_module(name)
    finally:
        for name, module in real.items():
            if module is not None:
                sys.modules[name] = module
    others = {n for n in set(sys.modules) - known if not n.startswith("processpool")}
    if others:
        raise RuntimeError(f"these got the simulated modules, too; import them before: {others}")
    _settle()


def _settle() -> None:
    """Take out of the loaded product what concerns real signals and processes."""
    for name in WAITS:
        vars(import_module(f"processpool.{name}"))["WAIT"] = 1e9
    modules: dict[str, Any] = {
        name: import_module(f"processpool.{name}")
        for name in (
            "system.interrupts",
            "engine.life",
            "engine.workers.failures",
            "engine.workers.readiness",
        )
    }
    modules["system.interrupts"].SHIELD.main = -1  # no thread is the main one
    modules["engine.life"].Guard = Guard
    modules["engine.workers.failures"].oom_kills = lambda: None
    for name in ("engine.direct", "engine.peaks", "engine.readying"):
        vars(import_module(f"processpool.{name}"))["read_peak"] = lambda _: None
    readiness = modules["engine.workers.readiness"]
    readiness.receive = lambda end, size: (readiness.os.read(end, size), -1)


class Guard:
    """Knows which processes there are."""

    def __init__(self) -> None:
        self.groups: set[int] = set()

    def starting(self) -> Guard:
        return self

    def __enter__(self) -> str:
        return "mark"

    def __exit__(self, *_: object) -> None:
        pass

    def add(self, group: int) -> None:
        self.groups.add(group)

    def remove(self, group: int) -> None:
        self.groups.remove(group)

    def close(self) -> None:
        pass


def _fakes() -> dict[str, ModuleType]:
    eventfd = {
        "eventfd": kernel.eventfd,
        "eventfd_read": kernel.eventfd_read,
        "eventfd_write": kernel.eventfd_write,
    }
    files = {
        "read": kernel.read, "write": kernel.write, "writev": kernel.writev, "close": kernel.close,
        "set_blocking": lambda fd, blocking: None, "register_at_fork": lambda **_: None,
        "fstat": lambda fd: SimpleNamespace(st_ino=fd),
    }  # fmt: skip
    threads = {"Thread": sim.Thread, "current_thread": sim.current_thread, "Lock": sim.Lock,
               "RLock": sim.RLock, "get_ident": sim.get_ident}  # fmt: skip
    low = {"RLock": sim.RLock, "allocate_lock": sim.Lock, "get_ident": sim.get_ident}
    return {
        "os": _copy("os", **eventfd, **files),
        "select": _copy("select", epoll=Epoll, poll=Poll),
        "fcntl": _copy("fcntl", ioctl=kernel.ioctl, fcntl=lambda *_: 0),
        "time": _copy("time", monotonic=machine.monotonic, sleep=machine.sleep),
        "threading": _copy("threading", **threads),
        "_thread": _copy("_thread", **low),
        "queue": _copy("queue", SimpleQueue=sim.SimpleQueue),
    }


def _copy(name: str, **changes: object) -> ModuleType:
    """The module, in which these names are others."""
    module = ModuleType(name)
    module.__dict__.update(vars(import_module(name)))
    module.__dict__.update(changes)
    return module
