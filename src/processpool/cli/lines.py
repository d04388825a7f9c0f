"""A line of input becomes a message, an answer becomes a line of output.

Three rules hold here. Only a newline ends a line: a carriage return, or any other character that
Unicode calls a line's end, belongs to the message. A line that is no message is passed on as an
`Unreadable`, which every codec refuses, so that it fails in its place like any other item. And an
answer is never changed: text that has newlines in it is written with them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from processpool.errors import CodecError
from processpool.wire.codecs import make_codec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from processpool.config import PoolConfig


class Unreadable:
    """Stands for a line that is no message."""


class Messages(Iterator[Any]):
    """The messages that lines stand for; what was wrong with a line is in `refused`."""

    def __init__(self, lines: Iterable[bytes], config: PoolConfig) -> None:
        self._lines = iter(lines)
        self._count = 0
        self.refused: dict[int, CodecError] = {}
        """Why the item with this index is `Unreadable`; whoever reports it takes it out."""
        self._decode: Callable[[bytes], Any]
        if config.worker.kind == "command":
            self._decode = make_codec(config.worker.codec).decode
            self._skip_blank = config.worker.codec == "json"
        else:  # whatever bytes a line has, such as a file's name, a function gets a str
            self._decode = os.fsdecode
            self._skip_blank = False

    def __next__(self) -> Any:
        line = next(self._lines)
        while self._skip_blank and not line.strip():
            line = next(self._lines)
        index, self._count = self._count, self._count + 1
        try:
            return self._decode(line)
        except CodecError as error:
            self.refused[index] = error.with_traceback(None)
            return Unreadable()


def answer_line(value: Any, *, as_json: bool) -> bytes:
    """An answer, with a newline at its end if it has none.

    Args:
        value: the answer.
        as_json: write strings as JSON, too; everything but str and bytes always is.

    Raises:
        CodecError: the value is nothing that JSON can say.
    """
    if isinstance(value, bytes) and not as_json:
        line = value
    elif isinstance(value, str) and not as_json:
        line = value.encode("utf-8", "surrogateescape")
    else:
        line = _compact(value)
    return line if line.endswith(b"\n") else line + b"\n"


def _compact(value: Any) -> bytes:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise CodecError(f"the answer cannot be written as JSON: {error}") from None
    # Half a surrogate pair, which an answer can have as \ud800, becomes that again.
    return text.encode("utf-8", "backslashreplace")
