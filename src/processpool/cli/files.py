"""The files that lines are read from and answers are written to.

Input is read from the descriptor: a thread that blocks in a file object's `read` holds its lock,
and would keep the interpreter from exiting. Answers are flushed at once, unless they go to a
regular file: there once a second.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

STREAM = "-"
"""The file name that means stdin or stdout on the command line."""
FLUSH_EVERY = 1.0
"""Seconds after which answers are in their file."""
_CHUNK = 1 << 18


class FileError(Exception):
    """A file on the command line, or stdin or stdout, cannot be used."""

    status = 2
    """The exit status: the command line is wrong."""


class BrokenOffError(FileError):
    """Reading a line or writing an answer failed during a run."""

    status = 1


@contextmanager
def opened_source(name: str) -> Iterator[int]:
    """Return a context with the descriptor of the input file `name`, or of stdin for `-`.

    Raises:
        FileError: it cannot be opened.
    """
    stdin = name == STREAM
    try:
        source = open(0 if stdin else name, "rb", buffering=0, closefd=not stdin)  # noqa: SIM115
    except OSError as error:
        raise FileError(f"cannot read {'stdin' if stdin else name}: {_why(error)}") from None
    with source:
        yield source.fileno()


def is_file(descriptor: int) -> bool:
    """Return whether a descriptor is a regular file, which never blocks."""
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


def count_lines(descriptor: int, end: bytes = b"\n") -> int:
    """Return how many lines follow the current position of a regular file; the position stays."""
    at, ends, last = os.lseek(descriptor, 0, os.SEEK_CUR), 0, end
    while chunk := os.pread(descriptor, _CHUNK, at):
        ends += chunk.count(end)
        at += len(chunk)
        last = chunk[-1:]
    return ends + (last != end)


def read_lines(descriptor: int, end: bytes = b"\n") -> Iterator[bytes]:
    """Yield lines from a descriptor, without what ends them, each as soon as it has arrived.

    Raises:
        BrokenOffError: reading failed.
    """
    pieces: list[bytes] = []
    while chunk := _read(descriptor):
        *whole, rest = chunk.split(end)
        if whole:
            yield b"".join([*pieces, whole[0]])
            yield from whole[1:]
            pieces.clear()
        if rest:
            pieces.append(rest)
    if pieces:
        yield b"".join(pieces)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _CHUNK)
    except OSError as error:
        raise BrokenOffError(f"cannot read the input: {_why(error)}") from None


def _why(error: OSError) -> str:
    """Return what is wrong with a descriptor, in words that say it of a shell's `<&-` too."""
    return "it is closed" if error.errno == errno.EBADF else str(error.strerror)


def refuse_same(source: int, output: Path | None) -> None:
    """Check that the output file is not the input file, which it would overwrite.

    Raises:
        FileError: they are the same regular file.
    """
    if output is None or not is_file(source):
        return
    with suppress(OSError):
        if os.path.samestat(os.fstat(source), output.stat()):
            raise FileError(f"{output} is the input; the answers would overwrite it")


def refuse_unwritable(path: Path | None) -> None:
    """Check that a file which is written at the end can be: a long run must not end with that.

    Raises:
        FileError: its folder is missing, or it cannot be written there.
    """
    if path is None:
        return
    if not path.parent.is_dir():
        raise FileError(f"cannot write {path}: there is no folder {path.parent}")
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise FileError(f"cannot write {path}")


class Answers:
    """The output: a file, or stdout."""

    def __init__(self, path: Path | None) -> None:
        """Open the file at `path`, emptying it, or take stdout.

        Raises:
            FileError: it cannot be written.
        """
        self._path = path
        try:
            self._file: BinaryIO = open(path or 1, "wb", closefd=path is not None)  # noqa: SIM115
        except OSError as error:
            raise FileError(self._error_text(error)) from None
        self._at_once = not is_file(self._file.fileno())
        self._ended = Event()
        self._has_more = False
        self.is_terminal = self._file.isatty()

    def __enter__(self) -> Self:
        if not self._at_once:
            Thread(target=self._flush_now_and_then, daemon=True).start()
        return self

    def _flush_now_and_then(self) -> None:
        """Let a run that is killed lose no more than the answers of a second."""
        while not self._ended.wait(FLUSH_EVERY):
            if self._has_more:
                self._has_more = False
                with suppress(OSError, ValueError):  # whoever writes next is told of it
                    self._file.flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if isinstance(error, BrokenPipeError | FileError):
            self._discard()
            return
        try:
            self._put(b"", at_once=True)
        except (BrokenPipeError, FileError):
            self._discard()
            raise
        self._file.close()

    def write(self, line: bytes) -> None:
        """Write one answer.

        Raises:
            BrokenPipeError: the reader has closed the pipe.
            BrokenOffError: writing failed.
        """
        self._put(line, at_once=self._at_once)

    def _put(self, line: bytes, *, at_once: bool) -> None:
        try:
            self._file.write(line)
            self._has_more = True
            if at_once:
                self._file.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise BrokenOffError(self._error_text(error)) from None

    def _discard(self) -> None:
        """Drop what is still buffered, by redirecting it: closing would try to write it again."""
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, self._file.fileno())
        os.close(nothing)
        self._file.close()

    def _error_text(self, error: OSError) -> str:
        return f"cannot write {self._path or 'stdout'}: {_why(error)}"
