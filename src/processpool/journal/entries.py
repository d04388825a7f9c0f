"""What is written in a journal: the bodies of its records, and answers as they stand in them.

A body is a pickle of plain data, which names no class and no function, so that reading one runs no
code. An answer that does name one is a pickle within it, and stays closed until somebody takes it.

    (BEGIN, what)                      what is run; answers before it do not count any more
    (VALUES, keys, indexes, values)    plain answers; the indexes are a list, or the first one
    (REPLIES, entries)                 others: `Entry`
"""

from __future__ import annotations

import pickle
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

from processpool.core.replies import PickledReply, Reply
from processpool.errors import RemoteError
from processpool.wire.python.raised import describe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processpool.journal.keys import Key
    from processpool.wire.python.raised import Raised

BEGIN, VALUES, REPLIES = 0, 1, 2
_PROTOCOL = 5
_KEPT = 4096
"""Characters kept of what an item has written to stderr."""


class Entry(NamedTuple):
    """An answer that is more than a plain value."""

    key: Key
    at: int
    """The index of the item in the run that has answered it."""
    parts: list[bytes] | None
    """The pickle of the value, and the buffers that it refers to; None if there is an error."""
    raised: Raised | None
    stdout: str | None
    stderr: str

    @property
    def size(self) -> int:
        """Bytes of the value, roughly."""
        return sum(map(len, self.parts or ()))

    def answer(self, *, closed: bool = False) -> PickledReply | Reply:
        """Return the answer as a worker has given it; `closed` leaves its error pickled."""
        if self.raised is None:
            parts: list[Any] | None = None if self.parts is None else list(self.parts)
            return PickledReply(parts, None, self.stdout, self.stderr)
        pickled, name, message, text, _ = self.raised
        if text or closed:
            return PickledReply(None, self.raised, self.stdout, self.stderr)
        return Reply(error=_loaded(pickled, name, message), stdout=self.stdout, stderr=self.stderr)


def make_entry(key: Key, index: int, answer: Any, stderr: str) -> Entry:
    """Return the entry of an answer that is a `Reply` or a `PickledReply`."""
    stderr = (stderr if answer.stderr is None else answer.stderr)[-_KEPT:]
    if type(answer) is PickledReply:
        parts = None if answer.parts is None else [bytes(part) for part in answer.parts]
        raised = answer.raised
        if isinstance(raised, BaseException):
            raised = _told_here(raised)
        return Entry(key, index, parts, raised, answer.stdout, stderr)
    if answer.error is not None:
        return Entry(key, index, None, _told_here(answer.error), answer.stdout, stderr)
    return Entry(key, index, [pickle.dumps(answer.value, _PROTOCOL)], None, answer.stdout, stderr)


def _told_here(error: BaseException) -> Raised:
    """An error of the pool's own: it was raised by nobody, and has no traceback."""
    pickled, name, message, _, _ = describe(error, {})
    return pickled, name, message, "", None


def _loaded(pickled: bytes | None, name: str, message: str) -> BaseException:
    try:
        error = None if pickled is None else pickle.loads(pickled)
    except Exception:
        error = None
    if isinstance(error, BaseException):
        return error
    remote = RemoteError(f"{name}: {message}")
    remote.type_name = name
    return remote


def begin_body(what: dict[str, Any]) -> bytes:
    """Return the body of the record that says what is run."""
    return pickle.dumps((BEGIN, what), _PROTOCOL)


def values_body(keys: list[Key], indexes: list[int] | int, values: list[Any]) -> bytes:
    """Return the body of a record of plain answers."""
    return pickle.dumps((VALUES, keys, indexes, values), _PROTOCOL)


def replies_body(entries: list[Entry]) -> bytes:
    """Return the body of a record of other answers."""
    return pickle.dumps((REPLIES, [tuple(entry) for entry in entries]), _PROTOCOL)


class _PlainUnpickler(pickle.Unpickler):
    """Reads what names no class, and so can run no code."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it names {module}.{name}, and no record does")


def load_plain(stream: bytes, buffers: Sequence[Any] = ()) -> Any:
    """Return the plain data in a pickle.

    Raises:
        pickle.UnpicklingError: it is none, or names a class.
    """
    try:
        return _PlainUnpickler(BytesIO(stream), buffers=buffers).load()
    except pickle.UnpicklingError:
        raise
    except Exception as error:
        raise pickle.UnpicklingError(str(error)) from error


def read_body(body: bytes) -> tuple[Any, ...]:
    """Return what is in the body of a record.

    Raises:
        pickle.UnpicklingError: no journal writes this.
    """
    found = load_plain(body)
    if type(found) is not tuple or not found or found[0] not in (BEGIN, VALUES, REPLIES):
        raise pickle.UnpicklingError("it holds no answers")
    return found
