"""Captures whatever a worker prints, in a file that descriptor 1 leads to.

Three rules hold here. Everything that can print shares the file: `print`, C code, child processes.
It is opened for appending, so that a child which prints late, or has opened /dev/stdout by itself,
neither leaves a hole nor overwrites. And whatever was printed outside of a request goes to stderr.
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
    """Takes descriptor 1, and `sys.stdout` with it; sends what was printed so far to stderr."""

    def __init__(self) -> None:
        self._file = high(_nameless_file())
        fcntl.fcntl(self._file, fcntl.F_SETFL, os.O_APPEND)
        unbuffer_c_stdout()
        os.dup2(2, 1)
        self._stdout = _stdout()
        self._flush()
        os.dup2(self._file, 1)

    def take(self) -> bytes:
        """Return what was printed since the last time, all streams flushed."""
        self._flush()
        # The size, not the position: whoever opened /dev/stdout has a position of its own.
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
        """Move to stderr what was printed and belongs to no request."""
        printed = memoryview(self.take())
        try:
            while printed:
                printed = printed[os.write(2, printed) :]
        except OSError:
            pass  # nobody reads it

    def close(self) -> None:
        """Let descriptor 1 lead to stderr from now on."""
        self.spill()
        os.dup2(2, 1)
        os.close(self._file)

    def spill_if_any(self) -> None:
        """Like `spill`, but cheaper: what still waits in a stream's buffer is left there."""
        if lseek(self._file, 0, 2):
            self.spill()

    def _flush(self) -> None:
        try:
            self._stdout.flush()
            sys.stderr.flush()
            if sys.stdout is not self._stdout:
                sys.stdout.flush()
        except (AttributeError, ValueError, OSError):
            pass  # closed or replaced by the handler: what it prints there is its own affair


def _nameless_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("processpool-stdout")
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _stdout() -> TextIO:
    """Return `sys.stdout`, set up so that lines keep their order with those of child processes."""
    stdout = sys.stdout
    if not isinstance(stdout, io.TextIOWrapper):
        stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stdout = stdout
    stdout.reconfigure(encoding="utf-8", line_buffering=True, write_through=False)
    return stdout
