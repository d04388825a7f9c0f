"""What a declared protocol says, read and compiled once for all workers of a pool.

Two rules hold here. Whatever is wrong with a declaration is a `ValueError` in words that its author
understands, raised before anything is started. And a declaration has no state: each worker has a
framing of its own, made from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from processpool.wire.framing.regex import pattern
from processpool.wire.framing.template import RequestTemplate, around_mark

if TYPE_CHECKING:
    import re

GIB = 1 << 30
LINE = "{message}\n"
"""The request of the `lines` protocol."""
NEWLINE = "\n"
LENGTHS = ("u32be", "u32le", "varint", "hex4", "content-length")
"""The ways to give a length that have a name; any other is a regular expression."""
ENDINGS = ("lines", "until", "until_line", "length")
"""The ways to say where an answer ends."""


@dataclass(frozen=True)
class AnswerRule:
    r"""Where an answer ends; exactly one of the first four is given.

    Attributes:
        lines: after so many lines.
        until: with this text, wherever it comes; `{mark}` in it is the request's own.
        until_line: with the first complete line in which this regex is found.
        length: after as many bytes as a header says: one of `LENGTHS`, or a regex for the header,
            whose group 1 is the number of bytes; without it the header is the whole answer.
        count: of `until`, so many of them.
        after: of `length`, what follows the body.
        keep: the text, the line or the header belongs to the answer.
        skip: complete messages in which this regex is found are no answers.
    """

    lines: int | None = None
    until: str | None = None
    until_line: str | None = None
    length: str | None = None
    count: int = 1
    after: str = ""
    keep: bool = False
    skip: str | None = None

    def __post_init__(self) -> None:
        given = [name for name in ENDINGS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"must have exactly one of {', '.join(ENDINGS)}")

    @property
    def has_mark(self) -> bool:
        """True if the end is told by the request's mark."""
        return self.until is not None and not isinstance(around_mark(self.until), bytes)


@dataclass(frozen=True)
class Step:
    """One thing that happens before a worker is ready."""

    verb: Literal["expect", "send", "ask"]
    text: str


@dataclass(frozen=True)
class Rpc:
    """What makes a protocol JSON-RPC: how messages are delimited, and the handshake.

    Attributes:
        over: lines, or content-length.
        initialize: the params of `initialize`, as JSON; None for no handshake.
        initialized: the notification that ends the handshake.
        cancel: the notification that cancels a request.
    """

    over: Literal["lines", "content-length"]
    initialize: str | None = None
    initialized: str = "initialized"
    cancel: str = ""


@dataclass(frozen=True)
class Declaration:
    """A protocol: how a request is written, where an answer ends, and what else there is to it.

    Attributes:
        request: the template of a request; see `RequestTemplate`.
        refuse: a regex of messages that must not be sent; None for none.
        answer: where an answer ends.
        error: a regex; an answer in which it is found is an error.
        error_stderr: the same, in what was written to stderr during the item.
        after_error: whether the worker is kept after such an error.
        start: what happens before a worker is ready, in order.
        exit: what asks a worker to exit, before its stdin is closed.
        max_message: the most bytes that a request or an answer may have.
        rpc: set for JSON-RPC, which has requests and answers of its own.
        oneshot: set where each message has a process of its own: what the message is for it.
    """

    request: str = LINE
    refuse: str | None = NEWLINE
    answer: AnswerRule = field(default_factory=lambda: AnswerRule(lines=1))
    error: str | None = None
    error_stderr: str | None = None
    after_error: Literal["keep", "replace"] = "keep"
    start: tuple[Step, ...] = ()
    exit: str = ""
    max_message: int = GIB
    rpc: Rpc | None = None
    oneshot: Literal["input", "argument"] | None = None

    @cached_property
    def template(self) -> RequestTemplate:
        """The request, compiled; one for all workers, so that all marks differ."""
        return RequestTemplate(self.request, self.max_message)

    @cached_property
    def refused(self) -> re.Pattern[bytes] | None:
        """What is searched for in each message."""
        return None if self.refuse is None else pattern(self.refuse)

    @cached_property
    def error_pattern(self) -> re.Pattern[bytes] | None:
        """What makes an answer an error."""
        return None if self.error is None else pattern(self.error)

    @cached_property
    def error_stderr_pattern(self) -> re.Pattern[bytes] | None:
        """What on stderr makes an answer an error."""
        return None if self.error_stderr is None else pattern(self.error_stderr)

    @property
    def has_start(self) -> bool:
        """True if something is to be said or heard before a worker is ready."""
        return bool(self.start) or (self.rpc is not None and self.rpc.initialize is not None)

    @property
    def has_errors(self) -> bool:
        """True if an answer may be an error."""
        return self.error is not None or self.error_stderr is not None

    @property
    def skips(self) -> bool:
        """True if messages may come that are no answers."""
        return self.rpc is not None or self.answer.skip is not None

    @cached_property
    def skipped(self) -> re.Pattern[bytes] | None:
        """What makes a complete message no answer."""
        return None if self.answer.skip is None else pattern(self.answer.skip)

    @cached_property
    def end_line(self) -> re.Pattern[bytes]:
        """What is searched for in each line of an answer that ends with a line."""
        return pattern(self.answer.until_line or "")


LINES = Declaration()
"""One line in, one line out."""
FRAMED = Declaration(
    request="1;{length}\n{message}", refuse=None, answer=AnswerRule(length=r"(\d+);"), exit="0;\n"
)
"""What ssigwart/process-pool speaks: every message behind its length."""
