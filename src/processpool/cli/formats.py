"""How answers are written: as they are, behind their input, or as records in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from processpool.cli.lines import answer_line, compact
from processpool.errors import CodecError
from processpool.wire.python.remote_errors import format_error

if TYPE_CHECKING:
    from typing import Self

    from processpool.cli.lines import Line
    from processpool.core.outcome import Outcome


class Format(NamedTuple):
    """What the command line wants of an answer."""

    details: bool = False
    """JSON lines with what is known of each item."""
    tag: bool = False
    """Each answer behind its input and a tab."""
    blank_failed: bool = False
    """An empty line for an item that failed."""
    as_json: bool = False
    """Text is written as JSON, too."""

    def writing_json(self, as_json: bool) -> Self:
        """Return the same format, with text written as JSON or not."""
        return self._replace(as_json=as_json)

    def answer(self, line: Line, outcome: Outcome) -> bytes:
        """Return what is written for an item that has a value.

        Raises:
            CodecError: it is nothing that can be written.
        """
        if self.details:
            return compact(_record(line, outcome) | {"value": _value(outcome)}) + b"\n"
        answer = answer_line(outcome.value, as_json=self.as_json)
        return line.content + b"\t" + answer if self.tag else answer

    def failure(self, line: Line, outcome: Outcome, error: BaseException) -> bytes:
        """Return what is written for an item that has failed; mostly nothing."""
        if self.details:
            return (
                compact(_record(line, outcome, ok=False) | {"error": format_error(error)}) + b"\n"
            )
        if not self.blank_failed:
            return b""
        return line.content + b"\t\n" if self.tag else b"\n"


def _record(line: Line, outcome: Outcome, *, ok: bool = True) -> dict[str, Any]:
    return {
        "index": outcome.index,
        "line": line.number,
        "input": line.text,
        "ok": ok,
        "seconds": round(outcome.seconds, 6),
        "worker": outcome.worker_id,
    }


def _value(outcome: Outcome) -> Any:
    value = outcome.value
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    try:
        compact(value)
    except CodecError:
        raise CodecError("the answer cannot be written as JSON") from None
    return value
