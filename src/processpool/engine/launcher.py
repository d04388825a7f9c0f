"""Starting one worker of each kind: the pipes, the shared memory, the process.

Whatever fails on the way leaves no descriptor and no process behind.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from processpool.engine.identity import Identity
from processpool.engine.inheritance import Environ, flags, inheritance, resource_tracker
from processpool.engine.inherited import Inherited
from processpool.engine.workers.programs import command_worker, oneshot_worker
from processpool.engine.workers.python import Shared, python_worker
from processpool.errors import WorkerStartFailed
from processpool.system.limits import UNLIMITED, Limits
from processpool.system.packets import packet_pair
from processpool.system.process import Command, Process
from processpool.wire.framing.oneshot import traced_shell, waiting_shell
from processpool.wire.python import layout
from processpool.wire.python.arena import Arena
from processpool.wire.python.sources import Sources
from processpool.wire.variables import READY_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.engine.workers.worker import Worker
    from processpool.wire.codecs import Codec
    from processpool.wire.framing.declaration import Declaration

MARK_VARIABLE = "PROCESSPOOL_START"
"""Has what the guard knows a command worker by while it starts."""

_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from processpool.worker.bootstrap import main; main()"
)
_Start = TypeVar("_Start", bound="Callable[[Any, int, int, str], Worker]")
_ROOT = str(Path(__file__).parents[2])
"""Where a worker finds this package."""


def interpreter() -> str:
    """The Python that runs workers in Python: the one that runs the pool.

    Raises:
        WorkerStartFailed: this process is a program of its own, and would only be run once more.
    """
    found = sys.executable
    name = os.path.basename(found or "").lower()
    if getattr(sys, "frozen", False):
        trouble = f"{found} is a frozen application, which has no interpreter for them"
    elif not found:
        trouble = "sys.executable is not set, so that no interpreter is known"
    elif "python" not in name and "pypy" not in name:
        trouble = f"sys.executable ({found}) is no Python interpreter"
    else:
        return found
    raise WorkerStartFailed(
        f"cannot start workers in Python: {trouble}; set sys.executable to the path of one before "
        "the pool opens, or name one in worker.command"
    )


def _refused_in_words(start: _Start) -> _Start:
    """Whatever keeps a worker from being launched is a `WorkerStartFailed`, or of the system."""

    @wraps(start)
    def started(self: Any, number: int, place: int, mark: str) -> Any:
        try:
            return start(self, number, place, mark)
        except (OSError, WorkerStartFailed):
            raise
        except Exception as error:
            what = f"{type(error).__name__}: {error}".encode("ascii", "backslashreplace").decode()
            raise WorkerStartFailed(
                f"cannot start worker {number}: {what}; correct `worker` in the pool's declaration"
            ) from error

    return started  # type: ignore[return-value]


@dataclass(frozen=True)
class CommandLauncher:
    """Starts command workers."""

    command: Command
    env: Environ = field(repr=False)
    protocol: Declaration
    codec: Codec
    limits: Limits = UNLIMITED
    identity: Identity = field(default_factory=Identity)
    terminal: bool = False
    """Whether a worker's stdout is a terminal."""
    traced: bool = False
    """Whether a process for one item is told which span that is below."""

    @_refused_in_words
    def __call__(self, number: int, place: int, mark: str) -> Worker:
        """Start one for this place, which the guard can know by `mark`.

        Raises:
            WorkerStartFailed: the program or the working directory is not usable.
            OSError: the system has no process, descriptor or memory left.
        """
        if self.command.argv[0] == sys.executable or not self.command.argv[0]:
            interpreter()
        if self.protocol.oneshot is not None:
            return self._start_oneshot(number, place, mark)
        with ExitStack() as undo:
            ready, theirs = packet_pair()
            undo.callback(os.close, ready)
            try:
                told = {READY_VARIABLE: str(theirs), MARK_VARIABLE: mark}
                told |= self.identity.variables(number, place)
                command = replace(self.command, env={**self.env(), **told})
                process = Process(command, (theirs,), terminal=self.terminal, limits=self.limits)
            finally:
                os.close(theirs)
            undo.pop_all()
        return command_worker(number, process, self.protocol, self.codec, ready)

    def _start_oneshot(self, number: int, place: int, mark: str) -> Worker:
        """Start one that ends with its first item; or a shell that will be it."""
        told = {MARK_VARIABLE: mark, **self.identity.variables(number, place)}
        command = replace(self.command, env={**self.env(), **told})
        if self.protocol.oneshot == "argument":
            argv = waiting_shell(command.find(), command.argv[1:], traced=self.traced)
            command = replace(command, argv=argv)
        elif self.traced:
            command = replace(command, argv=traced_shell(command.find(), command.argv[1:]))
        process = Process(command, terminal=self.terminal, limits=self.limits)
        return oneshot_worker(number, process, self.protocol, self.codec, traced=self.traced)


class Orders(NamedTuple):
    """What a Python worker does before it is ready; functions by name, or pickled."""

    handler: str | None = None
    setup: str | bytes | None = None
    teardown: str | None = None
    path: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()

    def _names_modules(self) -> bool:
        named = (self.handler, self.setup, self.teardown, *self.preload)
        return any(isinstance(target, str) for target in named)

    def pickled(self, who: tuple[int, int, str], cwd: str, environ: Environ) -> bytes:
        """As a worker reads it, with what holds in this process now.

        `who` it is: its slot, its number, and its pool.

        Modules that are named may also lie in `cwd`: usually the folder of the YAML file.
        """
        inherited = inheritance(environ)
        places = [*self.path, *inherited["path"], *([cwd] if self._names_modules() else ())]
        orders = {
            "handler": self.handler,
            "setup": self.setup,
            "teardown": self.teardown,
            "preload": self.preload,
            "who": who,
            "inherited": {**inherited, "path": places},
        }
        return pickle.dumps(orders)


@dataclass(frozen=True)
class PythonLauncher:
    """Starts Python workers."""

    cwd: str
    env: Environ = field(repr=False)
    orders: Orders
    limits: Limits = UNLIMITED
    identity: Identity = field(default_factory=Identity)
    inherited: Inherited = field(default_factory=Inherited)
    sources: Sources = field(default_factory=Sources)

    def __str__(self) -> str:
        return f"{sys.executable or 'python'} (a Python worker)"

    @_refused_in_words
    def __call__(self, number: int, place: int, mark: str) -> Worker:
        """Start one for this place, which the guard can know by `mark`.

        Raises:
            WorkerStartFailed: the working directory is missing, or what it inherits was closed.
            OSError: the system has no process, descriptor or memory left.
        """
        import fcntl

        with ExitStack() as undo, ExitStack() as theirs:
            shared = Shared(*(self._memory(undo, name) for name in Shared._fields))
            ready, told = os.pipe()
            undo.callback(os.close, ready)
            theirs.callback(os.close, told)
            os.ftruncate(shared.inbox, layout.ARENA_BASE)
            for fd in (shared.inbox, shared.outbox):  # an item must not cut off what is mapped here
                fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
            inbox = Arena(shared.inbox, layout.ARENA_BASE)
            who = place, number, self.identity.pool
            orders = self.orders.pickled(who, self.cwd, self.env)
            os.pwrite(shared.inbox, orders, layout.PAGE_SIZE)
            arguments = (*shared, told, layout.PAGE_SIZE, len(orders), mark)
            command = self._command(arguments, self.identity.variables(number, place))
            tracker = resource_tracker()
            passed = (*shared, told, *self.inherited.descriptors())
            passed = passed if tracker is None or tracker in passed else (*passed, tracker)
            process = Process(command, passed, packets=True, limits=self.limits)
            undo.callback(_discard, process)
            worker = python_worker(number, process, shared, inbox, ready, self.sources)
            undo.pop_all()
        return worker

    def _memory(self, undo: ExitStack, name: str) -> int:
        flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
        fd = os.memfd_create(f"processpool-{name}", flags)
        undo.callback(os.close, fd)
        return fd

    def _command(self, arguments: tuple[Any, ...], who: dict[str, str]) -> Command:
        argv = (interpreter(), *flags(), "-c", _BOOT, _ROOT, *map(str, arguments))
        return Command(argv, self.cwd, {**self.env(), **who})


def _discard(process: Process) -> None:
    """It was started, but the pool has no memory or descriptor to talk with it."""
    process.signal_group(signal.SIGKILL)
    process.reap()
    process.close()
