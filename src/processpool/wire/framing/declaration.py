"""The declaration of a protocol, parsed and compiled once for all workers of a pool.

Two rules hold here. A mistake in a declaration is a `ValueError` in the terms of the YAML file,
raised before anything is started. And a declaration has no state: each worker has a framing of its
own, made from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

from processpool.wire.framing.regex import pattern
from processpool.wire.framing.template import RequestTemplate, around_mark

if TYPE_CHECKING:
    import re

GIB = 1 << 30
LINE = "{message}\n"
"""The request of the `lines` protocol."""
NEWLINE = "\n"
LENGTHS = ("u32be", "u32le", "varint", "hex4", "content-length")
"""The names of length formats; any other length is a regular expression for the header."""
ENDINGS = ("lines", "until", "until_line", "length")
"""The keys that declare where an answer ends."""


@dataclass(frozen=True)
class AnswerRule:
    r"""The end of an answer; exactly one of the first four is given.

    Attributes:
        lines: the number of lines of an answer.
        until: the text that ends it, anywhere in a line; `{mark}` in it is the request's mark.
        until_line: a regex; the first complete line that matches it ends the answer.
        length: the format of a header with the number of bytes: one of `LENGTHS`, or a regex whose
            group 1 is the number. If the group is missing, the header itself is the answer.
        count: with `until`, how many times the text comes.
        after: with `length`, text that follows the body.
        keep: whether the ending text, the ending line or the header is part of the answer.
        skip: a regex; complete messages that match it are not answers.
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
        """True if the request's mark is part of the end."""
        return self.until is not None and not isinstance(around_mark(self.until), bytes)


class Step(NamedTuple):
    """A step of the start dialogue."""

    verb: Literal["expect", "send", "ask"]
    text: str


class Rpc(NamedTuple):
    """The options of JSON-RPC.

    Attributes:
        over: how messages are delimited: by lines, or by a Content-Length header.
        initialize: the params of the request `initialize`, as JSON; None for no handshake.
        initialized: the notification that ends the handshake.
        cancel: the notification that cancels a request.
    """

    over: Literal["lines", "content-length"]
    initialize: str | None = None
    initialized: str = "initialized"
    cancel: str = ""


@dataclass(frozen=True)
class Declaration:
    """A protocol between the pool and a program.

    Attributes:
        request: the template of a request; see `RequestTemplate`.
        refuse: a regex; messages that match it are not sent. None for none.
        answer: where an answer ends.
        error: a regex; an answer that matches it fails its item.
        error_stderr: a regex; stderr output that matches it fails the item.
        after_error: whether the worker is kept or replaced after such an error.
        start: the steps of the start dialogue, in order.
        exit: text that is written to stdin before it is closed, to ask a worker to exit.
        max_message: the most bytes of a request or an answer.
        rpc: the options of JSON-RPC, if it is that; `request` and `answer` then have no effect.
        oneshot: what the message is, if each has a process of its own; None if it has not.
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
        """The compiled template of a request; shared by all workers, so that all marks differ."""
        return RequestTemplate(self.request, self.max_message)

    @cached_property
    def refused(self) -> re.Pattern[bytes] | None:
        """The compiled `refuse`."""
        return None if self.refuse is None else pattern(self.refuse)

    @cached_property
    def error_pattern(self) -> re.Pattern[bytes] | None:
        """The compiled `error`."""
        return None if self.error is None else pattern(self.error)

    @cached_property
    def error_stderr_pattern(self) -> re.Pattern[bytes] | None:
        """The compiled `error_stderr`."""
        return None if self.error_stderr is None else pattern(self.error_stderr)

    @property
    def has_start(self) -> bool:
        """True if there is a start dialogue, or a handshake."""
        return bool(self.start) or (self.rpc is not None and self.rpc.initialize is not None)

    @property
    def has_errors(self) -> bool:
        """True if an answer may be declared an error."""
        return self.error is not None or self.error_stderr is not None

    @property
    def skips(self) -> bool:
        """True if messages may come that are no answers."""
        return self.rpc is not None or self.answer.skip is not None

    @cached_property
    def skipped(self) -> re.Pattern[bytes] | None:
        """The compiled `answer.skip`."""
        return None if self.answer.skip is None else pattern(self.answer.skip)

    @cached_property
    def end_line(self) -> re.Pattern[bytes]:
        """The compiled `answer.until_line`."""
        return pattern(self.answer.until_line or "")


LINES = Declaration()
"""The `lines` protocol: one line in, one line out."""
FRAMED = Declaration(
    request="1;{length}\n{message}", refuse=None, answer=AnswerRule(length=r"(\d+);"), exit="0;\n"
)
"""The `framed` protocol, that of ssigwart/process-pool: every message is preceded by its length."""
