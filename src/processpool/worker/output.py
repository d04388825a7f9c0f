"""Captures what an item prints, in files in memory that descriptors 1 and 2 lead to.

The pool holds the same files, so that what an item has printed is known even if it kills its
worker. Python code that prints raises a flag. What C code or a child process prints is noticed by
the size of the file, which is checked after slow items, after the first items of each function, and
after every item of a function that has printed this way before. In a run of fast items it is
checked at the end: what is found then cannot be attributed to an item, and goes to the log.
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
"""Nanoseconds from which on an item is checked for what C code has printed."""
KEPT = 16 * 1024 * 1024
"""Bytes that are kept of what an item prints to stdout, and as many to stderr: the last ones."""


class Printed(io.FileIO):
    """What is under a `sys.stdout` or `sys.stderr`: it says when it was written to."""

    def __init__(self, output: Output, number: int) -> None:
        """`number` is that of the descriptor, 1 or 2."""
        super().__init__(number, "w", closefd=False)
        self._output = output
        self._number = number
        self._unchecked = 0
        """Bytes written since the file was last made shorter, if that was necessary."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Raise the flag, and write at once."""
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
        if self._unchecked > KEPT:
            self._unchecked = 0
            output.shorten(self._number)
        if output.echo is not None and b"\n" in bytes(data):
            output.show(self._number)
        return written


class Text(io.TextIOWrapper):
    """A `sys.stdout` or `sys.stderr` that keeps nothing back, and stays open for the next item."""

    def close(self) -> None:
        """Flush, and no more."""
        if not self.closed:
            self.flush()

    def reconfigure(self, **options: Any) -> None:
        """As of any, but what is written goes on being written at once."""
        super().reconfigure(**{**options, "write_through": True})


class Output:
    """Takes descriptors 1 and 2, and what Python calls stdout and stderr."""

    def __init__(self, stdout: int, stderr: int, journal: Journal) -> None:
        self.flags = [0, SLOW]
        """True once Python code has printed something; and from how many nanoseconds on an item
        is asked what C code has printed."""
        self.echo: Callable[[bytes], None] | None = None
        """Takes whole lines as they are printed, with the number of their stream before them."""
        self.surprised = False
        """Set when something was printed though no flag was raised."""
        self.checked = 0
        """The last item that was checked for output."""
        self.journal = journal
        self._shown = {1: 0, 2: 0}
        self._dropped = {1: 0, 2: 0}
        self._log = high(os.dup(2))
        self._files = {1: self._take_over(1, stdout), 2: self._take_over(2, stderr)}
        self._modules: int | None = len(sys.modules)
        sys.stdout = sys.__stdout__ = self._stream(1)  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = self._stream(2)  # type: ignore[misc]

    def take(self) -> tuple[str, str]:
        """Return what was printed to stdout and stderr since the last time."""
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
        """True if anything was printed, by whatever code."""
        if self._modules is not None:
            self._see_to_c()
        files = self._files
        return bool(os.lseek(files[1], 0, 2) or os.lseek(files[2], 0, 2))

    def own(self, item: int) -> None:
        """Attribute to this item what is printed from here on.

        What is there already may come from earlier items that were not checked: it goes to the log,
        and from now on all items are checked.
        """
        asked = self.checked >= item - 1
        self.checked = item
        if not asked and self.any():
            flagged = self.flags[0]
            self.spill()
            self.flags[:] = flagged, -1
            self.surprised = True

    def spill(self) -> bool:
        """Send what was printed outside of an item to the worker's log; True if there was any."""
        if not self.flags[0] and not self.any():
            return False
        for text in self.take():
            try:  # noqa: SIM105
                os.write(self._log, text.encode("utf-8", "replace"))
            except OSError:
                pass
        return True

    def reopen(self, number: int) -> None:
        """Let descriptor 1 or 2 lead to its file again."""
        os.dup2(self._files[number], number)

    def close(self) -> None:
        """Let everything that is still printed go to the log."""
        self.echo = None
        self.spill()
        os.dup2(self._log, 1)
        os.dup2(self._log, 2)

    def show(self, number: int, *, rest: bool = False) -> None:
        """Echo what was printed to 1 or 2 and was not shown yet: whole lines, or all of it."""
        shown = self._shown[number]
        fresh = self._read(number, shown)
        if not rest:
            fresh = fresh[: fresh.rfind(b"\n") + 1]
        if fresh and self.echo is not None:
            self._shown[number] = shown + len(fresh)
            self.echo(b"%d%b" % (number, fresh))

    def shorten(self, number: int) -> None:
        """Keep only the end of what was printed to 1 or 2, if that is much."""
        file = self._files[number]
        surplus = os.lseek(file, 0, 2) - KEPT
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
        """Let a descriptor lead to a file, which is itself out of the items' reach."""
        fcntl.fcntl(file, fcntl.F_SETFL, os.O_APPEND)
        os.dup2(file, number)
        return high(file)

    def _stream(self, number: int) -> Text:
        raw = Printed(self, number)
        return Text(raw, encoding="utf-8", errors="backslashreplace", write_through=True)

    def _see_to_c(self) -> None:
        """Have C code print at once. Only when modules were imported: Python itself never does."""
        if len(sys.modules) != self._modules:
            self._modules = None
            from processpool.worker.c_stdio import unbuffer_c_stdout

            unbuffer_c_stdout()
