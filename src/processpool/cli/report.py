"""Output of answers, failures and the progress bar.

Only answers go to the output file or stdout. Text for stderr is escaped, so that what a worker
writes can neither move the cursor nor pass for a message of this program.
"""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from processpool.system.text import escape_control
from processpool.wire.python.remote_errors import format_error

if TYPE_CHECKING:
    from typing import Self

    from processpool.cli.files import Answers
    from processpool.cli.lines import Line


ANSWERED, FAILED, HALTED, NOBODY_READS = 0, 1, 3, 141
"""Exit statuses: all is well; something went wrong; too much did; as after SIGPIPE."""
_QUOTED = 60
"""Characters that are shown of the line that failed."""


def complain(message: str) -> None:
    """Write a message to stderr, with control characters escaped."""
    print(escape_control(message), file=sys.stderr, flush=True)


def say(text: str) -> None:
    """Write text to stdout, with control characters escaped, and flush it.

    Raises:
        SystemExit: writing failed, with status `NOBODY_READS` if the reader is gone, else `FAILED`.
    """
    if sys.stdout is None:
        complain("cannot write stdout: it is closed")
        raise SystemExit(FAILED)
    try:
        print(escape_control(text), flush=True)
    except OSError as error:
        unread = isinstance(error, BrokenPipeError)
        if not unread:
            complain(f"cannot write stdout: {error.strerror}")
        # The interpreter flushes the buffer again when it exits: let that succeed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise SystemExit(NOBODY_READS if unread else FAILED) from None


def failure_text(line: Line, error: BaseException) -> str:
    """What is said of a line that failed; every line but the first is indented."""
    begin = line.text[:_QUOTED]
    shown = repr(begin if len(line.text) <= _QUOTED else begin + "…")
    text = f"line {line.number}: {format_error(error)}\nthe line: {shown}"
    return escape_control(text).replace("\n", "\n    ")


class Report:
    """Writes answers and failures during a run, updates the progress bar, and counts both."""

    def __init__(self, answers: Answers, total: int | None, *, bar: bool) -> None:
        self._answers = answers
        self.done = 0
        self.failed = 0
        self._bar: Any = _make_bar(total) if bar else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def answer(self, line: bytes) -> None:
        """An item was answered."""
        self.write(line)
        self._count()

    def write(self, line: bytes) -> None:
        """Write an answer; a terminal is shown it without its escape sequences."""
        if self._answers.is_terminal:
            with self._bar_hidden():
                self._answers.write(
                    escape_control(line.decode("utf-8", "backslashreplace")).encode()
                )
        else:
            self._answers.write(line)

    def tell(self, text: str) -> None:
        """Write to stderr, beside the bar."""
        with self._bar_hidden():
            print(escape_control(text), file=sys.stderr, flush=True)

    def failure(self, line: Line, error: BaseException) -> None:
        """A line failed."""
        self.failed += 1
        with self._bar_hidden():
            print(failure_text(line, error), file=sys.stderr, flush=True)
        if self._bar is not None:
            self._bar.set_postfix(failed=self.failed, refresh=False)
        self._count()

    def summary(self) -> str:
        """Return how many items failed, as a sentence."""
        return f"{self.failed} of {self.done} items failed"

    def _count(self) -> None:
        self.done += 1
        if self._bar is not None:
            self._bar.update()

    def _bar_hidden(self) -> AbstractContextManager[None]:
        """Return a context in which the bar is hidden, to write something else to the terminal."""
        if self._bar is None:
            return nullcontext()
        aside: AbstractContextManager[None] = self._bar.external_write_mode(file=sys.stderr)
        return aside


def _make_bar(total: int | None) -> Any:
    from tqdm import tqdm

    # A terminal of unknown size reports 0 x 0, for which tqdm would draw nothing.
    unknown = not all(os.get_terminal_size(sys.stderr.fileno()))
    size: dict[str, Any] = {"ncols": 80, "nrows": 24} if unknown else {"dynamic_ncols": True}
    return tqdm(total=total, unit=" items", file=sys.stderr, **size)
