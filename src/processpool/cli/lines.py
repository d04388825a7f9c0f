"""Conversion of input lines to messages, and of answers to output lines.

Three rules hold here. Only a newline ends a line: a carriage return, or any other line break of
Unicode, is part of the message. A line that cannot be decoded is passed on as an `Unreadable`,
which every codec rejects, so that it fails in its place like any other item. And answers are not
changed: newlines in a text are written as they are.
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
    """A placeholder for a line that cannot be decoded."""


class Messages(Iterator[Any]):
    """The messages decoded from lines; errors of lines that cannot be decoded are in `refused`."""

    def __init__(self, lines: Iterable[bytes], config: PoolConfig) -> None:
        self._lines = iter(lines)
        self._count = 0
        self.refused: dict[int, CodecError] = {}
        """The errors of unreadable items, by index; the code that reports one removes it."""
        self._decode: Callable[[bytes], Any]
        if config.worker.kind == "command":
            self._decode = make_codec(config.worker.codec).decode
            self._skip_blank = config.worker.codec == "json"
        else:  # functions get a str, whatever the bytes are: a line may be a file's name
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
    """Return an answer as bytes, with a newline at the end.

    Args:
        value: the answer.
        as_json: whether str and bytes are written as JSON too; all other values are.

    Raises:
        CodecError: the value cannot be written as JSON.
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
    # Lone surrogates, which an answer can contain as \ud800, are written as \ud800 again.
    return text.encode("utf-8", "backslashreplace")
