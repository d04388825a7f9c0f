"""What travels between a pool and its nodes, as bytes: batches there, answers back.

Arguments and answers stay pickled on the way, as they are between a pool and its workers, so none
of the user's code runs on a node outside of its workers. Clocks of machines differ, so times travel
as seconds before the moment of packing.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field, replace
from struct import Struct
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.core.replies import PickledReply, Reply
from processpool.errors import RemoteError
from processpool.wire.python.arguments import Pickled
from processpool.wire.python.class_table import ClassTable
from processpool.wire.python.functions import HANDLER, Function, Task
from processpool.wire.python.remote_errors import add_note, format_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processpool.core.jobs import Batch, Origin
    from processpool.core.terms import Terms


_COUNT = Struct("<I")
_SIZE = Struct("<Q")
LARGE = 16 * 1024
"""Bytes from which a buffer is copied once, instead of with all that is around it."""
RIDES_ALONG = 16 * 1024
"""Bytes up to which a function is part of every batch; a larger one is sent when a node asks."""


def pack(what: Any) -> bytes:
    """Return an object of plain data as bytes; buffers in it are copied once."""
    buffers: list[pickle.PickleBuffer] = []
    stream = pickle.dumps(what, pickle.HIGHEST_PROTOCOL, buffer_callback=buffers.append)
    parts: list[Any] = [stream, *(buffer.raw() for buffer in buffers)]
    sizes = [_SIZE.pack(len(part)) for part in parts]
    return b"".join([_COUNT.pack(len(parts)), *sizes, *parts])


def unpack(data: bytes) -> Any:
    """Return what `pack` was given; its buffers are views of `data`."""
    view = memoryview(data)
    (count,) = _COUNT.unpack_from(view)
    at = _COUNT.size + count * _SIZE.size
    parts = []
    for index in range(count):
        (size,) = _SIZE.unpack_from(view, _COUNT.size + index * _SIZE.size)
        parts.append(view[at : at + size])
        at += size
    return pickle.loads(parts[0], buffers=parts[1:])


# -- batches ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class Order:
    """A batch as it travels to a node."""

    number: int
    start: int
    timeout: float | None
    terms: Terms
    items: list[Any]
    tables: list[bytes]
    """The pickled classes that items refer to."""
    style: int | None
    """How a function is called; None for programs."""
    function: int = 0
    name: str = ""
    parts: list[Any] | None = None
    """The pickle of the function; None if the node is believed to have it."""
    life: str = ""
    """The life of the node that alone may do it; empty if any may."""
    map: int = 0
    """The number of the map that the items are of; 0 if they are of none."""
    errands: list[int] = field(default_factory=list)
    """The numbers of what the workers must have done first."""


def order_of(number: int, batch: Batch, *, with_function: bool = False) -> Order:
    """Return a batch as it travels; `with_function` if a node has said that it lacks that."""
    task: Task | None = batch.job.task
    items, tables = _outward(batch.payloads)
    order = Order(number, batch.start, batch.job.timeout, batch.job.terms, items, tables, None)
    order.map = batch.job.number
    if task is not None:
        function = task.function
        order.style, order.function, order.name = task.style, function.number, function.name
        if function is not HANDLER and (with_function or function.size <= RIDES_ALONG):
            order.parts = list(map(_buffer, function.parts))
    return order


def _outward(payloads: Sequence[Any]) -> tuple[list[Any], list[bytes]]:
    if Pickled not in set(map(type, payloads)):
        return list(payloads), []
    places: dict[int, int] = {}
    tables: list[bytes] = []
    items: list[Any] = []
    for payload in payloads:
        if type(payload) is not Pickled:
            items.append((payload,))
            continue
        at = None
        if payload.classes is not None:
            at = places.setdefault(id(payload.classes), len(tables))
            if at == len(tables):
                tables.append(payload.classes.stream)
        items.append([_buffer(payload.stream), list(map(_buffer, payload.buffers)), at])
    return items, tables


def _buffer(data: Any) -> Any:
    return pickle.PickleBuffer(data) if len(data) >= LARGE else bytes(data)


class Inward:
    """Turns orders into batches, on a node; knows the functions that have come so far."""

    def __init__(self) -> None:
        self._functions: dict[int, Function] = {HANDLER.number: HANDLER}

    def task(self, order: Order) -> Task | None:
        """Return the task of an order.

        Raises:
            KeyError: its function has not come yet.
        """
        if order.style is None:
            return None
        if order.function not in self._functions and order.parts is not None:
            parts = [bytes(part) for part in order.parts]
            self._functions[order.function] = Function(order.function, parts, order.name)
        return Task(self._functions[order.function], order.style)

    def items(self, order: Order) -> list[Any]:
        """Return the items of an order, as an engine takes them."""
        if order.style is None:
            return [tuple(map(bytes, item)) for item in order.items]
        if list not in set(map(type, order.items)):
            return order.items
        tables = []
        for stream in order.tables:
            table = ClassTable()
            table.stream = stream
            tables.append(table)
        return [_pickled(item, tables) if type(item) is list else item[0] for item in order.items]


def _pickled(item: list[Any], tables: list[ClassTable]) -> Pickled:
    stream, buffers, at = item
    return Pickled(None, bytes(stream), buffers, None if at is None else tables[at])


# -- answers ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class Answers:
    """Answers to consecutive items of a batch, as they travel back."""

    offset: int
    count: int
    answers: list[Any]
    origin: Origin
    attempts: int
    waited: float
    """Seconds that the items had waited on the node before a worker had them."""
    history: list[tuple[Any, Origin, int]] = field(default_factory=list)


@dataclass(slots=True)
class Result:
    """What has become of a batch on a node."""

    number: int
    node: str
    """The address of the node."""
    runs: list[Answers] = field(default_factory=list)
    seconds: float = 0.0
    """How long the node had it."""
    dropped: list[tuple[int, int]] = field(default_factory=list)
    """Offset and number of items that were not begun."""
    printed: list[tuple[int, bytes]] = field(default_factory=list)
    """What the items have printed, if that is to be shown."""
    trouble: str = ""
    """Why the node cannot do it: a sentence; empty if it can."""
    lacks_function: bool = False
    lacks_errand: bool = False
    is_another: bool = False
    """The node is not the one that the batch was meant for: that was lost."""


def shifted(origin: Origin, seconds: float) -> Origin:
    """Return an origin with its times moved."""
    origin.since += seconds
    origin.until += seconds
    return origin


def answers_of(batch: Batch, start: int, answers: list[Any], origin: Origin) -> Answers:
    """Return answers as they travel; `start` is the index of the first item of the whole batch."""
    now = monotonic()
    history = [
        (_sendable(answer), shifted(replace(whence), -now), attempts)
        for answer, whence, attempts in (attempt.facts for attempt in batch.history)
    ]
    return Answers(
        batch.start - start,
        len(batch),
        answers if origin.plain and not _has_pickles(answers) else [*map(_sendable, answers)],
        shifted(replace(origin), -now),
        batch.attempts,
        max(batch.sent_at - batch.queued_at, 0.0),
        history,
    )


def _has_pickles(answers: list[Any]) -> bool:
    kinds = set(map(type, answers))
    return PickledReply in kinds or Reply in kinds


def _sendable(answer: Any) -> Any:
    """Return an answer in a form that can be pickled, with its buffers out of band."""
    if type(answer) is PickledReply:
        parts = answer.parts
        if parts is not None:
            parts = [bytes(parts[0]), *map(pickle.PickleBuffer, parts[1:])]
        return PickledReply(parts, answer.raised, answer.stdout, answer.stderr)
    if type(answer) is Reply and answer.error is not None:
        try:
            pickle.loads(pickle.dumps(answer.error))
        except Exception:  # its class has a mind of its own
            answer.error = RemoteError(format_error(answer.error))
    return answer


def received(answer: Any, where: str) -> Any:
    """Return an answer as it was before it travelled; an error says on which node it ran."""
    if type(answer) is PickledReply:
        if answer.parts is not None:  # arrays must be writable, as those of workers here
            answer.parts = [answer.parts[0], *map(bytearray, answer.parts[1:])]
        elif isinstance(answer.raised, tuple):
            pickled, name, message, text, cause = answer.raised
            answer.raised = pickled, name, message, f"{text}It ran on {where}.\n", cause
    elif type(answer) is Reply and answer.error is not None:
        add_note(answer.error, f"It ran on {where}.")
    return answer


def part_of(batch: Batch, run: Answers, where: str, now: float) -> Batch:
    """Return the part of a batch that answers are for, with all that is known of its attempts."""
    _, rest = batch.split(run.offset)
    part, _ = rest.split(run.count)
    part.sent_at += run.waited
    for answer, origin, part.attempts in run.history:
        attempt = part.attempt(0, received(answer, where), shifted(origin, now))
        part.history = (*part.history, attempt)
    part.attempts = run.attempts
    return part


def size_of(payload: Any) -> int:
    """Return about how many bytes an item takes on the way."""
    if type(payload) is tuple:
        return sum(map(size_of, payload))
    if type(payload) in (bytes, str, Pickled, bytearray, memoryview):
        return len(payload)
    return 8
