"""Capture of the output of items, in files in memory that are descriptors 1 and 2.

The pool has the same files open, so an item's output is known even if it kills its worker. Output
of Python code sets a flag. Output of C code or of child processes only shows in the size of the
file, which is checked after slow items, after the first items of each function, and after every
item of a function that has printed in this way before. In a run of fast items it is checked at the
end: output found then cannot be attributed to an item, and goes to the log.
"""

from __future__ import annotations

import fcntl
import io
import os
import sys

from processpool.worker.descriptors import high

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from _typeshed import ReadableBuffer

    from processpool.wire.python.journal import Journal

SLOW = 50_000
"""The duration of an item, in nanoseconds, from which it is checked for output of C code."""
MAX_OUTPUT = 16 * 1024 * 1024
"""The most bytes of an item's stdout that are kept, and of its stderr: the last ones."""


class Printed(io.FileIO):
    """The raw file below `sys.stdout` or `sys.stderr`, which notes when it is written to."""

    def __init__(self, output: Output, number: int) -> None:
        """`number` is that of the descriptor, 1 or 2."""
        super().__init__(number, "w", closefd=False)
        self._output = output
        self._number = number
        self._unchecked = 0
        """The number of bytes written since the file's size was last checked."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Set the flag, and write."""
        output = self._output
        item = output.journal.cut_short()
        if not output.flags[0]:
            output.flags[0] = True
            output.own(item)
        try:
            written = io.FileIO.write(self, data)
        except OSError:  # an item has closed the descriptor
            output.reopen(self._number)
            written = io.FileIO.write(self, data)
        self._unchecked += written
        if self._unchecked > MAX_OUTPUT:
            self._unchecked = 0
            output.shorten(self._number)
        if output.echo is not None and b"\n" in bytes(data):
            output.show(self._number)
        return written


class Text(io.TextIOWrapper):
    """A `sys.stdout` or `sys.stderr` that does not buffer, and that items cannot close."""

    def close(self) -> None:
        """Flush, but do not close."""
        if not self.closed:
            self.flush()

    def reconfigure(self, **options: Any) -> None:
        """As for any text file, except that it remains unbuffered."""
        super().reconfigure(**{**options, "write_through": True})


class Output:
    """Takes over descriptors 1 and 2, `sys.stdout` and `sys.stderr`."""

    def __init__(self, stdout: int, stderr: int, journal: Journal) -> None:
        self.flags = [0, SLOW]
        """Whether Python code has printed something, and the duration in nanoseconds from which
        an item is checked for output of C code; a list, which the loop over items can keep."""
        self.echo: Callable[[bytes], None] | None = None
        """Called with whole lines while an item runs, each preceded by its descriptor's number."""
        self.surprised = False
        """True if there was output without the flag being set."""
        self.checked = 0
        """The number of the last item that was checked for output."""
        self.journal = journal
        self._shown = {1: 0, 2: 0}
        self._dropped = {1: 0, 2: 0}
        self._log = high(os.dup(2))
        self._files = {1: self._take_over(1, stdout), 2: self._take_over(2, stderr)}
        self._modules: int | None = len(sys.modules)
        sys.stdout = sys.__stdout__ = self._stream(1)  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = self._stream(2)  # type: ignore[misc]

    def take(self) -> tuple[str, str]:
        """Return the output to stdout and stderr since the last call."""
        if self._modules is not None:
            self._see_to_c()
        for stream in (sys.stdout, sys.stderr):
            try:  # noqa: SIM105 - contextlib takes too long to import
                stream.flush()
            except (AttributeError, ValueError, OSError):
                pass  # replaced or closed by the item
        flagged, self.flags[0] = self.flags[0], False
        if self.echo is not None:
            self.show(1, rest=True)
            self.show(2, rest=True)
        printed = self._take(1), self._take(2)
        if not flagged and any(printed):
            self.surprised = True
        return printed

    def any(self) -> bool:
        """True if there is any output, of whatever code."""
        if self._modules is not None:
            self._see_to_c()
        files = self._files
        return bool(os.lseek(files[1], 0, 2) or os.lseek(files[2], 0, 2))

    def own(self, item: int) -> None:
        """Attribute the output from here on to this item.

        If earlier items were not checked, output that exists already may be theirs: it is moved to
        the log, and all items are checked from now on.
        """
        asked = self.checked >= item - 1
        self.checked = item
        if not asked and self.any():
            flagged = self.flags[0]
            self.spill()
            self.flags[:] = flagged, -1
            self.surprised = True

    def spill(self) -> bool:
        """Move output outside of items to the worker's log; return whether there was any."""
        if not self.flags[0] and not self.any():
            return False
        for text in self.take():
            try:  # noqa: SIM105
                os.write(self._log, text.encode("utf-8", "replace"))
            except OSError:
                pass
        return True

    def reopen(self, number: int) -> None:
        """Restore descriptor 1 or 2, which an item has closed."""
        os.dup2(self._files[number], number)

    def close(self) -> None:
        """Redirect all further output to the log."""
        self.echo = None
        self.spill()
        os.dup2(self._log, 1)
        os.dup2(self._log, 2)

    def show(self, number: int, *, rest: bool = False) -> None:
        """Echo new output to descriptor 1 or 2: whole lines, or with `rest` all of it."""
        shown = self._shown[number]
        fresh = self._read(number, shown)
        if not rest:
            fresh = fresh[: fresh.rfind(b"\n") + 1]
        if fresh and self.echo is not None:
            self._shown[number] = shown + len(fresh)
            self.echo(b"%d%b" % (number, fresh))

    def shorten(self, number: int) -> None:
        """Drop all but the last `MAX_OUTPUT` bytes of the output to descriptor 1 or 2."""
        file = self._files[number]
        surplus = os.lseek(file, 0, 2) - MAX_OUTPUT
        if surplus > 0:
            kept = self._read(number, surplus)
            os.ftruncate(file, 0)
            os.write(file, kept)
            self._dropped[number] += surplus
            self._shown[number] = max(self._shown[number] - surplus, 0)

    def _take(self, number: int) -> str:
        self.shorten(number)
        printed = self._read(number, 0)
        if not printed:
            return ""
        os.ftruncate(self._files[number], 0)
        self._shown[number] = 0
        dropped, self._dropped[number] = self._dropped[number], 0
        note = f"[… {dropped} bytes dropped …]\n" if dropped else ""
        return note + printed.decode("utf-8", "replace")

    def _read(self, number: int, begin: int) -> bytes:
        file = self._files[number]
        printed = b""
        while (size := os.lseek(file, 0, 2) - begin) > 0:
            piece = os.pread(file, size, begin)  # one read gives at most 2 GiB
            printed += piece
            begin += len(piece)
        return printed

    def _take_over(self, number: int, file: int) -> int:
        """Redirect a descriptor to a file, and move the file's own descriptor out of the way."""
        fcntl.fcntl(file, fcntl.F_SETFL, os.O_APPEND)
        os.dup2(file, number)
        return high(file)

    def _stream(self, number: int) -> Text:
        raw = Printed(self, number)
        return Text(raw, encoding="utf-8", errors="backslashreplace", write_through=True)

    def _see_to_c(self) -> None:
        """Make C's stdout unbuffered, once modules were imported, which may contain C code."""
        if len(sys.modules) != self._modules:
            self._modules = None
            from processpool.worker.c_stdio import unbuffer_c_stdout

            unbuffer_c_stdout()
