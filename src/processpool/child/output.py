"""What an item prints: caught in files in memory that descriptors 1 and 2 lead to.

The pool holds the same files, so that what an item has printed is known even if it kills its
worker. Python code that prints raises a flag; what C code or a child process prints is noticed by
the size of the file, which is only looked at after items that took a while.
"""

from __future__ import annotations

import fcntl
import io
import os
import sys

_PASS_FD = 100


class Printed(io.TextIOWrapper):
    """A `sys.stdout` or `sys.stderr` that says when it was written to."""

    flags: list[bool]

    def write(self, text: str, /) -> int:
        """Write at once, and raise the flag."""
        self.flags[0] = True
        return super().write(text)


class Output:
    """Takes descriptors 1 and 2, and what Python calls stdout and stderr."""

    def __init__(self, stdout: int, stderr: int) -> None:
        self.flags = [False]
        """True once Python code has printed something."""
        self._log = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, _PASS_FD)
        for target, file in ((1, stdout), (2, stderr)):
            fcntl.fcntl(file, fcntl.F_SETFL, os.O_APPEND)
            os.dup2(file, target)
            os.close(file)
        sys.stdout = sys.__stdout__ = self._stream(1)
        sys.stderr = sys.__stderr__ = self._stream(2)

    def take(self) -> tuple[str, str]:
        """What was printed since the last time, to stdout and to stderr."""
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (AttributeError, ValueError, OSError):
                pass  # replaced or closed by the item
        self.flags[0] = False
        return _take(1), _take(2)

    def any(self) -> bool:
        """True if something was printed, by whomever."""
        return bool(os.lseek(1, 0, os.SEEK_END) or os.lseek(2, 0, os.SEEK_END))

    def spill(self) -> None:
        """Send what was printed outside of an item to the worker's log."""
        if self.flags[0] or self.any():
            for text in self.take():
                try:
                    os.write(self._log, text.encode("utf-8", "replace"))
                except OSError:
                    pass

    def _stream(self, fd: int) -> Printed:
        raw = io.FileIO(fd, "w", closefd=False)
        stream = Printed(raw, encoding="utf-8", errors="backslashreplace", write_through=True)  # type: ignore[arg-type]
        stream.flags = self.flags
        return stream


def _take(fd: int) -> str:
    size = os.lseek(fd, 0, os.SEEK_END)
    if not size:
        return ""
    with open(f"/proc/self/fd/{fd}", "rb") as file:
        text = file.read().decode("utf-8", "replace")
    os.ftruncate(fd, 0)
    return text
