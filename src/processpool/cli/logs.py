"""What a run writes down beside its answers: the lines that failed, and when each ran."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from processpool.cli.files import BrokenOffError, FileError
from processpool.cli.lines import Line
from processpool.errors import WorkerDied

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from processpool.core.outcome import Outcome

_COLUMNS = (
    "Seq", "Host", "Starttime", "JobRuntime", "Send", "Receive", "Exitval", "Signal", "Command",
)  # fmt: skip


class Log:
    """A file to which a line is written for some of the items."""

    def __init__(self, file: TextIO | None, path: Path | None) -> None:
        self._file = file
        self._path = path

    def write(self, text: str) -> None:
        """Write a line, at once.

        Raises:
            BrokenOffError: it cannot be written.
        """
        if self._file is None:
            return
        try:
            self._file.write(text + "\n")
            self._file.flush()
        except OSError as error:
            raise BrokenOffError(f"cannot write {self._path}: {error.strerror}") from None

    def __bool__(self) -> bool:
        return self._file is not None


@contextmanager
def opened_log(path: Path | None) -> Iterator[Log]:
    """A log in a new file; one that writes nothing, without a path.

    Raises:
        FileError: it cannot be written.
    """
    if path is None:
        yield Log(None, None)
        return
    try:
        file = path.open("w", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}") from None
    with file:
        yield Log(file, path)


def failed_line(line: Line, outcome: Outcome, error: BaseException) -> str:
    """Return the record of a line that failed, as JSON; `--replay` reads it."""
    record = {
        "index": outcome.index,
        "line": line.number,
        "input": line.text,
        "error": type(error).__name__,
        "message": str(error),
        "stderr": outcome.stderr,
        "attempts": outcome.attempts,
    }
    return json.dumps(record)


def replayed(lines: Iterator[bytes], path: Path) -> Iterator[Line]:
    """Yield the lines in a file that `--failed` has written, each with its old number.

    Raises:
        FileError: it is no such file.
    """
    for at, content in enumerate(lines, 1):
        try:
            record = json.loads(content)
            text, number = record["input"], record["line"]
        except (ValueError, KeyError, TypeError):
            raise FileError(
                f"{path}: line {at} is no record of a failed item; --replay takes what --failed "
                "has written"
            ) from None
        yield Line(number, text.encode("utf-8", "surrogateescape"))


def joblog_head() -> str:
    """Return the names of the columns, as GNU parallel has them."""
    return "\t".join(_COLUMNS)


def joblog_line(line: Line, outcome: Outcome, error: BaseException | None, received: int) -> str:
    """Return the row of one item, as GNU parallel would write it."""
    status, signal = _status(error)
    columns = (
        str(outcome.index + 1),
        ":",
        f"{outcome.started or 0.0:.3f}",
        f"{outcome.seconds:.3f}",
        str(len(line.content)),
        str(received),
        str(status),
        str(signal),
        line.text.replace("\t", "\\t").replace("\n", "\\n"),
    )
    return "\t".join(columns)


def _status(error: BaseException | None) -> tuple[int, int]:
    """The exit value and the signal: of a worker that died its own, else 1 for a failure."""
    if error is None:
        return 0, 0
    code = error.exitcode if isinstance(error, WorkerDied) else None
    if code is None:
        return 1, 0
    return (0, -code) if code < 0 else (code or 1, 0)
