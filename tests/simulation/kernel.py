"""The kernel of the simulated machine: pipes, eventfds, epoll, and what `os` has of them.

Only what the engine uses, and that as Linux does it: pipes have an end, a capacity and partial
writes; a level-triggered epoll tells again what is still there, an edge-triggered one does not;
a closed descriptor leaves every epoll; and its number is given to the next who opens something.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from tests.simulation.machine import Fault, machine

if TYPE_CHECKING:
    from collections.abc import Sequence

IN, OUT, ERR, HUP = 1, 4, 8, 16
EDGE, ONESHOT = 1 << 31, 1 << 30
FIRST_FD = 10


class File:
    """What a descriptor stands for."""

    edges = 0
    """Counts what an edge-triggered epoll tells."""
    may_close_watched = False
    watchers = 0
    """Epolls that it is in."""

    def state(self) -> int:
        """What epoll would tell of it."""
        return 0

    def close(self) -> None:
        """Its descriptor was closed."""


class Pipe:
    """Bytes on their way from one process to another."""

    def __init__(self, capacity: int) -> None:
        self.buffer = bytearray()
        self.passed = bytearray()
        """All that was ever written to it."""
        self.capacity = capacity
        self.reader = Reader(self)
        self.writer = Writer(self)
        self.has_reader = self.has_writer = True

    def write(self, data: bytes) -> int:
        """As much as there is room for."""
        taken = data[: self.capacity - len(self.buffer)]
        self.buffer += taken
        self.passed += taken
        self.reader.edges += 1
        machine.version += 1
        return len(taken)

    def read(self, size: int) -> bytes:
        """What is there, up to that size."""
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        self.writer.edges += 1
        machine.version += 1
        return data

    def end_writing(self) -> None:
        """Nothing more will come."""
        self.has_writer = False
        self.reader.edges += 1
        machine.version += 1

    def end_reading(self) -> None:
        """Nobody reads any more."""
        self.has_reader = False
        self.writer.edges += 1
        machine.version += 1


class Reader(File):
    """The end of a pipe that is read from."""

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe

    def state(self) -> int:
        return (IN if self.pipe.buffer else 0) | (0 if self.pipe.has_writer else HUP)

    def close(self) -> None:
        self.pipe.end_reading()


class Writer(File):
    """The end of a pipe that is written to."""

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe

    def state(self) -> int:
        if not self.pipe.has_reader:
            return OUT | ERR
        return OUT if len(self.pipe.buffer) < self.pipe.capacity else 0

    def close(self) -> None:
        self.pipe.end_writing()


class EventFd(File):
    """A counter that can be waited for."""

    may_close_watched = True

    def __init__(self) -> None:
        self.value = 0

    def state(self) -> int:
        return IN if self.value else 0


class Watched:
    """One descriptor in an epoll."""

    __slots__ = ("file", "mask", "seen")

    def __init__(self, file: File, mask: int) -> None:
        self.file = file
        self.mask = mask
        self.seen = -1

    def events(self) -> int:
        mask = self.mask
        if mask == ONESHOT:  # it has told
            return 0
        state = self.file.state() & (mask | ERR | HUP)
        if state and mask & EDGE and self.seen == self.file.edges:
            return 0
        return state


class Epoll(File):
    """As `select.epoll`."""

    may_close_watched = True

    def __init__(self) -> None:
        self._fd = kernel.open(self)
        self._watched: dict[int, Watched] = {}
        self._known = -1, False
        self.closed = False

    def fileno(self) -> int:
        return self._fd

    def register(self, fd: int, mask: int) -> None:
        file = kernel.file(fd)
        old = self._watched.get(fd)
        if old is not None and old.file is file:
            raise FileExistsError(17, "File exists")
        self._watched[fd] = Watched(file, mask)
        file.watchers += 1
        machine.version += 1

    def modify(self, fd: int, mask: int) -> None:
        watched = self._find(fd)
        watched.mask, watched.seen = mask, -1
        machine.version += 1
        machine.pause()

    def unregister(self, fd: int) -> None:
        self._find(fd).file.watchers -= 1
        del self._watched[fd]
        machine.version += 1

    def _find(self, fd: int) -> Watched:
        watched = self._watched.get(fd)
        if watched is None or kernel.files.get(fd) is not watched.file:
            raise FileNotFoundError(2, "No such file or directory")
        return watched

    def is_ready(self) -> bool:
        """True if `poll` would return something."""
        version, ready = self._known
        if version != machine.version:
            ready = any(
                watched.events() and kernel.files.get(fd) is watched.file
                for fd, watched in self._watched.items()
            )
            self._known = machine.version, ready
        return ready

    def state(self) -> int:
        return IN if self.is_ready() else 0

    def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
        if self.closed:
            raise ValueError("I/O operation on closed epoll object")
        if machine.switch_rate:
            machine.pause()
        if timeout == 0 or self.is_ready():
            return self._collect()
        machine.block(self.is_ready, None if timeout is None else machine.now + timeout)
        return self._collect()

    def _collect(self) -> list[tuple[int, int]]:
        if not self.is_ready():
            return []
        found = []
        for fd, watched in list(self._watched.items()):
            if kernel.files.get(fd) is not watched.file:
                del self._watched[fd]
                continue
            events = watched.events()
            if events:
                found.append((fd, events))
                watched.seen = watched.file.edges
                if watched.mask & ONESHOT:
                    watched.mask = ONESHOT
        machine.version += 1
        if len(found) > 1:
            machine.random.shuffle(found)
        return found

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            for watched in self._watched.values():
                watched.file.watchers -= 1
            if kernel.files.get(self._fd) is self:
                kernel.close(self._fd)


class Poll:
    """As `select.poll`."""

    def __init__(self) -> None:
        self._watched: dict[int, int] = {}

    def register(self, fd: int, mask: int = IN | OUT) -> None:
        self._watched[fd] = mask

    def modify(self, fd: int, mask: int) -> None:
        if fd not in self._watched:
            raise FileNotFoundError(2, "No such file or directory")
        self._watched[fd] = mask

    def unregister(self, fd: int) -> None:
        del self._watched[fd]

    def poll(self, milliseconds: float | None = None) -> list[tuple[int, int]]:
        found = self._collect()
        if found or milliseconds == 0:
            return found
        deadline = None if milliseconds is None else machine.now + milliseconds / 1000
        machine.block(self._collect, deadline)
        return self._collect()

    def _collect(self) -> list[tuple[int, int]]:
        files = kernel.files
        return [
            (fd, state)
            for fd, mask in self._watched.items()
            if (state := files[fd].state() & (mask | ERR | HUP))
        ]


class Kernel:
    """The table of open files, and the system's calls on them."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Nothing is open."""
        self.files: dict[int, File] = {}
        self._free: list[int] = []
        self._next = FIRST_FD
        self.capacity = 1 << 16

    def open(self, file: File) -> int:
        """A descriptor for a file: one that was closed, if there is one."""
        if self._free:
            fd = self._free.pop()
        else:
            fd = self._next
            self._next += 1
        self.files[fd] = file
        return fd

    def file(self, fd: int) -> File:
        """What a descriptor stands for."""
        try:
            return self.files[fd]
        except KeyError:
            raise OSError(9, "Bad file descriptor") from None

    def close(self, fd: int) -> None:
        file = self.files.pop(fd, None)
        if file is None:
            raise Fault(f"descriptor {fd} is closed, and was not open")
        if file.watchers and not file.may_close_watched:
            raise Fault(f"descriptor {fd} ({type(file).__name__}) is closed while it is watched")
        self._free.append(fd)
        file.close()
        machine.version += 1

    def read(self, fd: int, size: int) -> bytes:
        file = self.file(fd)
        if not isinstance(file, Reader):
            raise Fault(f"descriptor {fd} is read, which is a {type(file).__name__}")
        pipe = file.pipe
        if not pipe.buffer and pipe.has_writer:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return pipe.read(size)

    def write(self, fd: int, data: bytes) -> int:
        file = self.file(fd)
        if not isinstance(file, Writer):
            raise Fault(f"descriptor {fd} is written to, which is a {type(file).__name__}")
        pipe = file.pipe
        if not pipe.has_reader:
            raise BrokenPipeError(32, "Broken pipe")
        if data and len(pipe.buffer) >= pipe.capacity:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return pipe.write(bytes(data))

    def writev(self, fd: int, buffers: Sequence[bytes]) -> int:
        return self.write(fd, b"".join(buffers))

    def eventfd(self, value: int = 0, flags: int = 0) -> int:
        file = EventFd()
        file.value = value
        return self.open(file)

    def eventfd_read(self, fd: int) -> int:
        file: Any = self.file(fd)
        if not file.value:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        value: int = file.value
        file.value = 0
        machine.version += 1
        return value

    def eventfd_write(self, fd: int, value: int) -> None:
        file: Any = self.file(fd)
        file.value += value
        machine.version += 1
        if machine.switch_rate:
            machine.pause()

    def ioctl(self, fd: int, request: int, _: bytes) -> bytes:
        """FIONREAD of a pipe: the bytes in it."""
        file: Any = self.file(fd)
        return struct.pack("i", len(file.pipe.buffer))


kernel = Kernel()
