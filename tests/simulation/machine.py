"""A simulated machine: its clock, and threads that switch only where the machine says so.

A thread is a greenlet. It gives up the processor where it must wait, and, at random, where it lets
go of a lock or enters the kernel: there threads of a real machine would be interleaved. Which of
them goes on is the driver's choice, so a seed replays everything.
"""

from __future__ import annotations

from collections import deque
from random import Random
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent, greenlet

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self


SLICE = 100
"""Places where a thread could be interrupted, after which it is: it may wait for another one."""


class Fault(AssertionError):
    """What was to be true in this history is not."""


class Task(greenlet):
    """What runs on one thread, or waits there."""

    def __init__(self, run: Callable[[], object], name: str, thread: Thread | None = None) -> None:
        super().__init__(run, machine.hub)
        self.name = name
        self.thread = thread or Thread(name=name)
        self.thread.task = self
        self.ready: Callable[[], object] | None = None
        """What it waits for; None if it can go on."""
        self.deadline: float | None = None

    @property
    def is_runnable(self) -> bool:
        """True if it can go on now."""
        if self.ready is None or self.ready():
            return True
        return self.deadline is not None and self.deadline <= machine.now


class Machine:
    """The clock, the threads, and chance."""

    def __init__(self) -> None:
        self.hub = getcurrent()
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Start anew."""
        self.random = Random(seed)
        self.now = 1000.0
        self.version = 0
        """Counts what has happened to descriptors."""
        self.switch_rate = 0.0
        """How often a thread is interrupted where it could be."""
        self.tasks: list[Task] = []
        self.current: Task | None = None
        self._slice = SLICE
        self.hub = getcurrent()
        self.on_start: Callable[[Task], object] = lambda _: None

    def spawn(self, run: Callable[[], object], name: str, thread: Thread | None = None) -> Task:
        """A new thread; it runs when the driver lets it."""
        task = Task(run, name, thread)
        self.tasks.append(task)
        return task

    def run(self, task: Task) -> None:
        """Let a thread go on until it waits, is interrupted, or ends."""
        task.ready = task.deadline = None
        self.current = task
        self._slice = SLICE
        try:
            task.switch()
        finally:
            self.current = None
            if task.dead:
                self.tasks.remove(task)

    def block(self, ready: Callable[[], object], deadline: float | None = None) -> None:
        """The current thread waits until it is ready, or until that time."""
        task = self.current
        if task is None:
            raise Fault("the driver itself would have to wait")
        task.ready, task.deadline = ready, deadline
        self.hub.switch()

    def pause(self) -> None:
        """Here the current thread may be interrupted."""
        if self.current is None:
            return
        self._slice -= 1
        if self._slice <= 0 or (self.switch_rate and self.random.random() < self.switch_rate):
            self.hub.switch()

    def monotonic(self) -> float:
        """The time; to ask for it takes some, too."""
        self.now += 1e-7
        return self.now

    def sleep(self, seconds: float) -> None:
        """The current thread sleeps."""
        self.block(_never, self.now + seconds)


def _never() -> bool:
    return False


class Lock:
    """As `_thread.allocate_lock()`."""

    def __init__(self) -> None:
        self._held = False

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if self._held:
            if not blocking:
                machine.pause()
                return False
            deadline = None if timeout < 0 else machine.now + timeout
            machine.block(self._is_free, deadline)
            if self._held:
                return False
        self._held = True
        return True

    def release(self) -> None:
        if not self._held:
            raise RuntimeError("release unlocked lock")
        self._held = False
        machine.pause()

    def locked(self) -> bool:
        held = self._held
        machine.pause()
        return held

    def _is_free(self) -> bool:
        return not self._held

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class RLock:
    """As `_thread.RLock`, which monitors and conditions are made of."""

    __slots__ = ("_depth", "_owner")
    _owner: Task | None
    _depth: int

    def __new__(cls, *_: object) -> Self:
        self = object.__new__(cls)
        self._owner = None
        self._depth = 0
        return self

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        task = machine.current
        if self._owner is None:
            self._owner, self._depth = task, 1
        elif self._owner is task:
            self._depth += 1
        elif not blocking:
            return False
        else:
            machine.block(self._is_free, None if timeout < 0 else machine.now + timeout)
            if self._owner is not None:
                return False
            self._owner, self._depth = task, 1
        return True

    __enter__ = acquire

    def release(self) -> None:
        if self._owner is not machine.current:
            raise RuntimeError("cannot release un-acquired lock")
        self._depth -= 1
        if not self._depth:
            self._owner = None
            if machine.switch_rate:
                machine.pause()

    def __exit__(self, *_: object) -> None:
        self.release()

    @property
    def is_free(self) -> bool:
        return self._owner is None

    def _is_free(self) -> bool:
        return self._owner is None

    def _is_owned(self) -> bool:
        return self._owner is not None and self._owner is machine.current

    def _release_save(self) -> tuple[int, Task | None]:
        state = self._depth, self._owner
        self._depth, self._owner = 0, None
        machine.pause()
        return state

    def _acquire_restore(self, state: tuple[int, Task | None]) -> None:
        if self._owner is not None:
            machine.block(self._is_free)
        self._depth, self._owner = state


class Thread:
    """As `threading.Thread`."""

    _main: Thread | None = None

    def __init__(
        self,
        group: None = None,
        target: Callable[..., object] | None = None,
        name: str | None = None,
        *,
        daemon: bool | None = None,
    ) -> None:
        self.name = name or "thread"
        self.daemon = daemon
        self.task: Task | None = None
        self._target = target

    @property
    def ident(self) -> int:
        return id(self.task)

    def start(self) -> None:
        machine.spawn(self.run, self.name, self)

    def run(self) -> None:
        if self._target is not None:
            self._target()

    def is_alive(self) -> bool:
        return self.task is not None and not self.task.dead

    def join(self, timeout: float | None = None) -> None:
        if self.is_alive():
            deadline = None if timeout is None else machine.now + timeout
            machine.block(lambda: not self.is_alive(), deadline)


class SimpleQueue:
    """As `queue.SimpleQueue`."""

    def __init__(self) -> None:
        self._items: deque[Any] = deque()

    def put(self, item: Any) -> None:
        self._items.append(item)
        machine.pause()

    def get(self) -> Any:
        if not self._items:
            machine.block(lambda: self._items)
        return self._items.popleft()

    def empty(self) -> bool:
        return not self._items

    @classmethod
    def __class_getitem__(cls, _: object) -> type[SimpleQueue]:
        return cls


machine = Machine()
_driver = Thread(name="driver")


def get_ident() -> int:
    """The number of the current thread."""
    return id(machine.current)


def current_thread() -> Thread:
    """The current thread."""
    return _driver if machine.current is None else machine.current.thread
