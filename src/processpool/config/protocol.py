"""The `worker.protocol` section: how the pool and a program exchange messages.

Three rules hold here. A protocol starts from a preset, which is a mapping with the same keys; keys
beside `kind` replace the preset's. The result of both is validated. And whatever a framing would
reject is rejected here, at its key.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
    WrapValidator,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from processpool.config.fields import Listed, Positive, PositiveSize
from processpool.config.section import Section
from processpool.wire.framing.declaration import (
    ENDINGS,
    LENGTHS,
    AnswerRule,
    Declaration,
    Rpc,
    Step,
)
from processpool.wire.framing.presets import PRESETS, start_from
from processpool.wire.framing.regex import header_ends, pattern
from processpool.wire.framing.template import RequestTemplate, around_mark

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

AHEAD = 8
"""What `pipeline: auto` is at most."""
_GIB = 1 << 30
_NAMES = tuple(PRESETS)
_VERBS = ("expect", "send", "ask")
_ONESHOT = "does not go with oneshot, where the answer is all that a process writes"


_PROTOCOL_NAMES = {
    "what": "a protocol",
    "known": list(_NAMES),
    "hint": "`processpool presets` lists them",
}
_LENGTH_NAMES = {
    "what": "a length, or a regex for the header",
    "known": list(LENGTHS),
    "hint": f"known are {', '.join(LENGTHS)}",
}


def _known(name: str) -> str:
    if name in PRESETS:
        return name
    spoken = next((key for key, preset in PRESETS.items() if name in preset.programs), None)
    if spoken is None:
        raise PydanticCustomError("name", "", _PROTOCOL_NAMES)
    hint = f"what {name} speaks is called {spoken}"
    raise PydanticCustomError("name", "", {**_PROTOCOL_NAMES, "known": [], "hint": hint})


def _regex(text: str) -> str:
    pattern(text)
    return text


def _template(text: str) -> str:
    RequestTemplate(text, _GIB)
    return text


def _end(text: str) -> str:
    if not text:
        raise ValueError('must not be empty (an empty line is until_line: "^$")')
    around_mark(text)
    return text


def _as_it_is(value: object) -> object:
    return value


def _auto_or_number(value: object, validate: Callable[[object], object]) -> object:
    if value == "auto":
        return value
    if isinstance(value, str) and not value.isdigit():
        raise ValueError("must be auto or a whole number")
    return validate(value)


def _length(text: str) -> str:
    if text not in LENGTHS:
        if re.fullmatch(r"[\w-]*", text):
            raise PydanticCustomError("name", "", _LENGTH_NAMES)
        header_ends(text)
    return text


Preset = Annotated[
    str, AfterValidator(_known), WithJsonSchema({"type": "string", "enum": list(_NAMES)})
]
Regex = Annotated[str, AfterValidator(_regex)]
if TYPE_CHECKING:
    Pipeline = int | Literal["auto"]
else:  # one kind of value, so that an error says one thing
    Pipeline = Annotated[
        Positive,
        WrapValidator(_auto_or_number),
        PlainSerializer(_as_it_is),
        WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"const": "auto"}]}),
    ]
_LENGTH_SCHEMA = {"anyOf": [{"enum": list(LENGTHS)}, {"type": "string"}]}


class AnswerConfig(Section):
    """The end of an answer: exactly one of lines, until, until_line, length."""

    lines: Positive | None = None
    """An answer has this many lines."""
    until: Annotated[str, AfterValidator(_end)] | None = None
    """An answer ends with this text, anywhere in a line; {mark} in it is the request's mark."""
    until_line: Regex | None = None
    """An answer ends with the first complete line that matches this regular expression."""
    length: Annotated[str, AfterValidator(_length), WithJsonSchema(_LENGTH_SCHEMA)] | None = None
    """A header gives the answer's length in bytes: u32be, u32le, varint, hex4, content-length, or a
    regular expression for the header, whose group 1 is the number; if the group is missing or does
    not match, the header itself is the answer."""
    count: Positive = 1
    """With until: how many times the text comes."""
    after: str = ""
    """With length: text that follows the body."""
    keep: bool = False
    """Whether the ending text, the ending line or the header is part of the answer."""
    skip: Regex | None = None
    """Complete messages that match this regular expression are not answers; they are kept in the
    item's record."""

    @field_validator("until", "until_line", "length")
    @classmethod
    def _is_the_only_end(cls, value: str | None, info: ValidationInfo) -> str | None:
        others = [name for name in ENDINGS if info.data.get(name) is not None]
        if value is not None and others:
            raise ValueError(f"must not stand beside {others[0]}: an answer ends in one way")
        return value

    @field_validator("count", "after", "keep")
    @classmethod
    def _belongs_to(cls, value: Any, info: ValidationInfo) -> Any:
        if not value or (value == 1 and info.field_name == "count"):
            return value
        said = {key: info.data.get(key) is not None for key in ("lines", "until", "length")}
        if info.field_name == "count" and not said["until"]:
            raise ValueError("goes with until only")
        if info.field_name == "after" and not said["length"]:
            raise ValueError("goes with length only")
        if info.field_name == "keep" and said["lines"]:
            raise ValueError("does not go with lines, which have no end of their own")
        return value

    @model_validator(mode="after")
    def _has_one_end(self) -> AnswerConfig:
        rule = self.rule
        if rule.has_mark and rule.skip is not None:
            raise ValueError(
                "must not have skip where until holds {mark}: what the mark ends is the answer"
            )
        return self

    @property
    def rule(self) -> AnswerRule:
        """The rule as the framing takes it."""
        return AnswerRule(**self.model_dump())


class StepConfig(Section):
    """One step of the start dialogue: exactly one of expect, send, ask."""

    expect: Annotated[str, AfterValidator(_end)] | None = None
    """Read stdout up to and including this text, and drop it."""
    send: str | None = None
    """Write this text to stdin."""
    ask: str | None = None
    """Send this text as a request, and drop the answer."""

    @field_validator("expect", "send", "ask")
    @classmethod
    def _has_no_mark(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and "{mark}" in value:
            raise ValueError("must not hold {mark}, which there is in requests only")
        return value

    @model_validator(mode="after")
    def _is_one(self) -> StepConfig:
        if sum(getattr(self, verb) is not None for verb in _VERBS) != 1:
            raise ValueError("must have exactly one of expect, send, ask")
        return self

    @property
    def step(self) -> Step:
        """The step as the start dialogue takes it."""
        if self.expect is not None:
            return Step("expect", self.expect)
        return Step("ask", self.ask) if self.ask is not None else Step("send", self.send or "")


class ProtocolConfig(Section):
    """How requests are written, where answers end, and how many requests may be in flight."""

    kind: Preset = "lines"
    """The preset to start from; keys beside it replace the preset's."""
    request: Annotated[str, AfterValidator(_template)] = "{message}\n"
    """The bytes of a request, in which {message}, {length}, {mark}, {u32be}, {u32le}, {varint} and
    {hex4} are replaced."""
    refuse: Regex | None = None
    """Messages that match this regular expression are not sent; by default those with a newline, if
    a request is one line and an answer is a fixed number of lines."""
    answer: AnswerConfig = Field(default_factory=lambda: AnswerConfig(lines=1))
    """Where an answer ends."""
    error: Regex | None = None
    """An answer that matches this regular expression fails its item; the worker is kept."""
    error_stderr: Regex | None = None
    """The same for what the program writes to stderr during the item."""
    after_error: Literal["keep", "replace"] = "keep"
    """Whether the worker is kept or replaced after such an error."""
    start: Annotated[tuple[StepConfig, ...], Listed] = ()
    """The steps before a worker counts as ready, in order."""
    exit: str = ""
    """Text written to a worker's stdin before it is closed."""
    over: Literal["lines", "content-length"] | None = None
    """With jsonrpc, lsp and mcp: how messages are delimited."""
    initialize: dict[str, Any] | None = None
    """With jsonrpc, lsp and mcp: the params of the request that begins the handshake."""
    initialized: str = "initialized"
    """With jsonrpc, lsp and mcp: the notification that ends the handshake."""
    cancel: str = "$/cancelRequest"
    """With jsonrpc, lsp and mcp: the notification that cancels a request whose time is over, before
    its worker is replaced; empty for none."""
    pipeline: Pipeline = "auto"
    """How many requests may be sent to a worker before it has answered the first; auto: 1, or up
    to 8 under serve while items take less than a millisecond. Above 1, an answer too many or too
    few after the first ones of a process shifts all that follow, and nobody sees it."""
    max_message: PositiveSize = _GIB
    """The longest answer that is accepted, in bytes."""

    if TYPE_CHECKING:
        # An answer may be given as a mapping, which the signature from the fields does not allow.
        def __init__(self, /, **data: Any) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _start_from_preset(cls, value: object) -> object:
        if isinstance(value, dict):
            name = value.get("kind", "lines")
            if isinstance(name, str) and name in PRESETS:
                return start_from(name, value)
        return value

    @field_validator("answer")
    @classmethod
    def _mark_is_said(cls, value: AnswerConfig, info: ValidationInfo) -> AnswerConfig:
        request = info.data.get("request")
        if value.rule.has_mark and request is not None:
            RequestTemplate(request, _GIB).end_finder(b"", b"")
        return value

    @field_validator("request", "refuse", "answer", "error")
    @classmethod
    def _is_not_rpc(cls, value: Any, info: ValidationInfo) -> Any:
        if is_rpc(info.data.get("kind")):
            raise ValueError("does not go with JSON-RPC, which has requests and answers of its own")
        return value

    @field_validator("answer", "after_error", "start", "exit", "pipeline")
    @classmethod
    def _is_not_oneshot(cls, value: Any, info: ValidationInfo) -> Any:
        if is_oneshot(info.data.get("kind")):
            raise ValueError(_ONESHOT)
        return value

    @field_validator("over", "initialize")
    @classmethod
    def _is_rpc(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None and "kind" in info.data and not is_rpc(info.data["kind"]):
            raise ValueError("goes with the kinds jsonrpc, lsp and mcp only")
        return value

    @field_validator("after_error")
    @classmethod
    def _replaces_after_something(cls, value: str, info: ValidationInfo) -> str:
        if value == "replace" and not (info.data.get("error") or info.data.get("error_stderr")):
            raise ValueError("has no effect without error or error_stderr")
        return value

    @field_validator("pipeline")
    @classmethod
    def _goes_with_errors(cls, value: int | str, info: ValidationInfo) -> int | str:
        if isinstance(value, str):
            return value
        if value > 1 and info.data.get("error_stderr") is not None:
            raise ValueError("must be 1 with error_stderr, which cannot tell whose stderr it is")
        if value > 1 and info.data.get("after_error") == "replace":
            raise ValueError("must be 1 with after_error: replace, which would lose those behind")
        return value

    @property
    def window(self) -> int:
        """Requests that a worker of any program may have at a time."""
        return 1 if isinstance(self.pipeline, str) else self.pipeline

    @property
    def ahead(self) -> int:
        """Requests that a worker under `serve` may have at a time."""
        if not isinstance(self.pipeline, str):
            return self.pipeline
        return 1 if self.error_stderr is not None or self.after_error == "replace" else AHEAD

    @property
    def declaration(self) -> Declaration:
        """The protocol as the framing takes it."""
        return Declaration(
            request=self.request,
            refuse=self.refuse,
            answer=self.answer.rule,
            error=self.error,
            error_stderr=self.error_stderr,
            after_error=self.after_error,
            start=tuple(step.step for step in self.start),
            exit=self.exit,
            max_message=self.max_message,
            rpc=self._rpc,
            oneshot="input" if is_oneshot(self.kind) else None,
        )

    @property
    def _rpc(self) -> Rpc | None:
        if self.over is None:
            return None
        initialize = None if self.initialize is None else json.dumps(self.initialize)
        return Rpc(self.over, initialize, self.initialized, self.cancel)


def is_rpc(kind: str | None) -> bool:
    """Return whether `kind` is a preset that speaks JSON-RPC."""
    return kind is not None and "over" in PRESETS[kind].protocol


def is_oneshot(kind: str | None) -> bool:
    """True for the name of the protocol that starts a process for each message."""
    return kind == "oneshot"


def _long_form(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


class _ShortForm:
    """Adds the short form `protocol: lines` to the JSON Schema."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string", "enum": list(_NAMES)}, handler(core)]}


Protocol = Annotated[ProtocolConfig, BeforeValidator(_long_form), _ShortForm()]
