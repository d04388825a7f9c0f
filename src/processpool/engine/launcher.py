"""Starting one worker of each kind: the pipes, the shared memory, the process.

Whatever fails on the way leaves no descriptor and no process behind.
"""

from __future__ import annotations

import fcntl
import logging
import os
import pickle
import signal
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import processpool
from processpool.engine.inherited import Inherited
from processpool.engine.workers.command import CommandWorker
from processpool.engine.workers.python import PythonWorker, Shared
from processpool.system.limits import UNLIMITED, Limits
from processpool.system.process import Command, Process
from processpool.wire.python import layout
from processpool.wire.python.arena import Arena
from processpool.wire.python.sources import Sources

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.wire.codecs import Codec
    from processpool.wire.framing.declared import Framing

READY_VARIABLE = "PROCESSPOOL_READY_FD"
"""Tells a worker under `serve` where it can say that it is ready."""
MARK_VARIABLE = "PROCESSPOOL_START"
"""Has what the guard knows a command worker by while it starts."""

_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from processpool.worker.bootstrap import main; main()"
)
_ROOT = str(Path(processpool.__file__).parent.parent)


@dataclass(frozen=True)
class CommandLauncher:
    """Starts command workers."""

    command: Command
    make_framing: Callable[[], Framing]
    codec: Codec
    limits: Limits = UNLIMITED

    def __call__(self, number: int, mark: str) -> CommandWorker:
        """Start one, which the guard can know by `mark`.

        Raises:
            WorkerStartFailed: the program or the working directory is not usable.
            OSError: the system has no process, descriptor or memory left.
        """
        with ExitStack() as undo:
            ready, theirs = os.pipe()
            undo.callback(os.close, ready)
            try:
                told = {READY_VARIABLE: str(theirs), MARK_VARIABLE: mark}
                command = self.command.with_env(told)
                process = Process(command, (theirs,), limits=self.limits)
            finally:
                os.close(theirs)
            undo.pop_all()
        return CommandWorker(number, process, self.make_framing(), self.codec, ready)


@dataclass(frozen=True)
class Orders:
    """What a Python worker does before it is ready; functions by name, or pickled."""

    handler: str | None = None
    setup: str | bytes | None = None
    teardown: str | None = None
    path: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()

    def _names_modules(self) -> bool:
        named = (self.handler, self.setup, self.teardown, *self.preload)
        return any(isinstance(target, str) for target in named)

    def pickled(self, cwd: str) -> bytes:
        """As the worker reads it, with what holds in this process now.

        Modules that are named may also lie in `cwd`: usually the folder of the YAML file.
        """
        orders = {
            "handler": self.handler,
            "setup": self.setup,
            "teardown": self.teardown,
            "path": [*self.path, *_search_path(), *([cwd] if self._names_modules() else ())],
            "argv": sys.argv[:1] if hasattr(sys, "argv") else [""],
            "preload": self.preload,
            "log_level": min(max(logging.root.level, 0), layout.WORD),
            "log_levels": _log_levels(),
            "authkey": _authkey(),
        }
        return pickle.dumps(orders)


@dataclass(frozen=True)
class PythonLauncher:
    """Starts Python workers."""

    cwd: str
    env: dict[str, str] = field(repr=False)
    orders: Orders
    limits: Limits = UNLIMITED
    inherited: Inherited = field(default_factory=Inherited)
    sources: Sources = field(default_factory=Sources)

    def __str__(self) -> str:
        return f"{sys.executable} (a Python worker)"

    def __call__(self, number: int, mark: str) -> PythonWorker:
        """Start one, which the guard can know by `mark`.

        Raises:
            WorkerStartFailed: the working directory is missing, or what it inherits was closed.
            OSError: the system has no process, descriptor or memory left.
        """
        with ExitStack() as undo, ExitStack() as theirs:
            shared = Shared(*(self._memory(undo, name) for name in Shared._fields))
            ready, told = os.pipe()
            undo.callback(os.close, ready)
            theirs.callback(os.close, told)
            os.ftruncate(shared.inbox, layout.ARENA_BASE)
            for fd in (shared.inbox, shared.outbox):  # an item must not cut off what is mapped here
                fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
            inbox = Arena(shared.inbox, layout.ARENA_BASE)
            orders = self.orders.pickled(self.cwd)
            os.pwrite(shared.inbox, orders, layout.PAGE_SIZE)
            arguments = (*shared, told, layout.PAGE_SIZE, len(orders), mark)
            command = self._command(arguments)
            passed = (*shared, told, *self.inherited.descriptors())
            process = Process(command, passed, packets=True, limits=self.limits)
            undo.callback(_discard, process)
            worker = PythonWorker(number, process, shared, inbox, ready, self.sources)
            undo.pop_all()
        return worker

    def _memory(self, undo: ExitStack, name: str) -> int:
        flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
        fd = os.memfd_create(f"processpool-{name}", flags)
        undo.callback(os.close, fd)
        return fd

    def _command(self, arguments: tuple[Any, ...]) -> Command:
        flags = _interpreter_flags()
        argv = (sys.executable, *flags, "-c", _BOOT, _ROOT, *map(str, arguments))
        return Command(argv, self.cwd, self.env)


def _discard(process: Process) -> None:
    """It was started, but the pool has no memory or descriptor to talk with it."""
    process.signal_group(signal.SIGKILL)
    process.reap()
    process.close()


def _search_path() -> list[str]:
    """Where this process looks for modules; '' is its current folder, if that is still there."""
    try:
        here = os.getcwd()
    except OSError:
        here = ""
    return [place for entry in sys.path if (place := entry or here)]


def _log_levels() -> dict[str, int]:
    """The levels that named loggers of this process were given."""
    loggers = dict(logging.root.manager.loggerDict)
    levels = {name: getattr(found, "level", 0) for name, found in loggers.items()}
    return {name: level for name, level in levels.items() if level}


def _authkey() -> bytes | None:
    """What a worker needs to reach the managers of `multiprocessing`, if there may be any."""
    if "multiprocessing.managers" not in sys.modules:
        return None
    from multiprocessing import current_process

    return bytes(current_process().authkey)


def _interpreter_flags() -> list[str]:
    """The flags of this interpreter that hold for its workers too: -O, -W, -X and the like."""
    import subprocess

    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return flags
