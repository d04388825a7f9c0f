"""Answers to items: a plain value, a `Reply`, or a `PickledReply`.

Unpickling runs the user's code, which may take long or never end. So anything but a simple value
stays pickled until its consumer takes it, and is unpickled on the consumer's thread; the engine
must not block.
"""

from __future__ import annotations

from dataclasses import dataclass
from pickle import loads
from typing import TYPE_CHECKING, Any

from processpool.system.interrupts import SHIELD, USERS_CODE, uninterrupted
from processpool.wire.python.remote_errors import (
    add_note,
    format_error,
    rebuild,
    wants_another_worker,
)

if TYPE_CHECKING:
    from processpool.wire.python.raised import Raised

_MAX_RAW = 1024 * 1024
"""The most bytes that are kept of a result that cannot be unpickled."""


@dataclass(slots=True)
class Reply:
    """An answer that is an error, or a value with output that the item wrote."""

    value: Any = None
    error: BaseException | None = None
    stdout: str | None = None
    stderr: str | None = None
    raw: bytes | None = None


@dataclass(slots=True, eq=False)
class PickledReply:
    """An answer of a Python worker that has not been unpickled."""

    parts: list[Any] | None
    """The pickle of the value, followed by its out-of-band buffers; None if the item raised."""
    raised: Raised | BaseException | None = None
    stdout: str | None = None
    stderr: str | None = None

    @property
    def format_reply_error(self) -> str:
        """The class and message of the exception, without running the user's code."""
        assert self.raised is not None
        if isinstance(self.raised, BaseException):
            return format_error(self.raised)
        _, name, message, _, _ = self.raised
        return f"{name.rpartition('.')[2]}: {message}"

    def load(self) -> Any:
        """Return the value or a `Reply`; one with the error, if unpickling fails."""
        if self.parts is None:
            return Reply(error=self._error(), stdout=self.stdout, stderr=self.stderr)
        try:
            value = loads(self.parts[0], buffers=self.parts[1:])
        except BaseException as trouble:
            if SHIELD.has_raised(trouble):
                raise
            add_note(trouble, "The result came from the worker, and cannot be unpickled here.")
            raw = bytes(self.parts[0][:_MAX_RAW])
            return Reply(error=trouble, stdout=self.stdout, stderr=self.stderr, raw=raw)
        return value if self.stdout is None else Reply(value, None, self.stdout, self.stderr)

    def _error(self) -> BaseException:
        assert self.raised is not None
        return self.raised if isinstance(self.raised, BaseException) else rebuild(self.raised)


def loaded(answer: Any) -> Any:
    """Return an answer with its pickle loaded: the value, or a `Reply`."""
    return load_all([answer])[0] if type(answer) is PickledReply else answer


@uninterrupted
def load_all(answers: list[Any]) -> list[Any]:
    """Return answers with their pickles loaded; raises nothing but an interrupt."""
    with USERS_CODE:
        return [answer.load() if type(answer) is PickledReply else answer for answer in answers]


def has_failed(answer: Any) -> bool:
    """True if an answer is known to be an error; a pickled one may still fail to unpickle."""
    if type(answer) is PickledReply:
        return answer.raised is not None
    return type(answer) is Reply and answer.error is not None


def asks_to_retire(answer: Any) -> bool:
    """True if an answer asks for another worker to do its item."""
    if type(answer) is PickledReply:
        return wants_another_worker(answer.raised)
    return type(answer) is Reply and wants_another_worker(answer.error)


def format_reply_error(answer: Any) -> str:
    """Return the class and message of a failed answer's error."""
    return answer.format_reply_error if type(answer) is PickledReply else format_error(answer.error)
