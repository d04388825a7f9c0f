"""Capture of a `serve` worker's stdout, in a file in memory that is descriptor 1.

Three rules hold here. All output goes to the file: that of `print`, of C code, and of child
processes. It is opened for appending, so that a child that prints late, or has opened /dev/stdout
itself, neither leaves a hole nor overwrites anything. And output outside of requests is moved to
stderr.
"""

from __future__ import annotations

import fcntl
import io
import os
import sys
from os import lseek

from processpool.worker.c_stdio import unbuffer_c_stdout
from processpool.worker.descriptors import high

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


class Capture:
    """Takes over descriptor 1 and `sys.stdout`; earlier output is flushed to stderr."""

    def __init__(self) -> None:
        self._file = high(_nameless_file())
        fcntl.fcntl(self._file, fcntl.F_SETFL, os.O_APPEND)
        unbuffer_c_stdout()
        os.dup2(2, 1)
        self._stdout = _stdout()
        self._flush()
        os.dup2(self._file, 1)

    def take(self) -> bytes:
        """Flush all streams, and return the output since the last call."""
        self._flush()
        # The size, not the position: a process that has opened /dev/stdout has its own position.
        size = lseek(self._file, 0, 2)
        if not size:
            return b""
        printed = os.pread(self._file, size, 0)
        while len(printed) < size:  # one read gives at most 2 GiB
            more = os.pread(self._file, size - len(printed), len(printed))
            if not more:
                break  # a child process has truncated the file
            printed += more
        os.ftruncate(self._file, 0)
        return printed

    def spill(self) -> None:
        """Move output that belongs to no request to stderr."""
        printed = memoryview(self.take())
        try:
            while printed:
                printed = printed[os.write(2, printed) :]
        except OSError:
            pass  # stderr has no reader

    def close(self) -> None:
        """Redirect descriptor 1 to stderr from now on."""
        self.spill()
        os.dup2(2, 1)
        os.close(self._file)

    def spill_if_any(self) -> None:
        """Like `spill`, but cheaper, as output in a stream's buffer is left there."""
        if lseek(self._file, 0, 2):
            self.spill()

    def _flush(self) -> None:
        try:
            self._stdout.flush()
            sys.stderr.flush()
            if sys.stdout is not self._stdout:
                sys.stdout.flush()
        except (AttributeError, ValueError, OSError):
            pass  # closed or replaced by the handler


def _nameless_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("processpool-stdout")
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _stdout() -> TextIO:
    """Return `sys.stdout`, line-buffered, so that lines keep their order with those of children."""
    stdout = sys.stdout
    if not isinstance(stdout, io.TextIOWrapper):
        stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stdout = stdout
    stdout.reconfigure(encoding="utf-8", line_buffering=True, write_through=False)
    return stdout
