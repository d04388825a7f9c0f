"""The input of a map: chunks of items, bounded in number and bytes, and what ends them."""

from __future__ import annotations

from itertools import count, repeat
from typing import TYPE_CHECKING, Any

from processpool.api.map_input import MAX_BYTES, MAX_CHUNK, InputChunk, MapInput
from processpool.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Iterator


def encode(items: list[Any], most: int) -> tuple[list[Any], int, Exception | None]:
    """Pack items one by one: bytes, and nothing else."""
    payloads: list[bytes] = []
    for item in items:
        if not isinstance(item, bytes):
            return payloads, sum(map(len, payloads)), CodecError("no bytes")
        payloads.append(item)
        if sum(map(len, payloads)) >= most:
            break
    return payloads, sum(map(len, payloads)), None


def alone(items: list[Any], most: int) -> tuple[list[Any], int, None]:
    """Leave items as they are."""
    return items, 0, None


def test_of_large_items_few_are_read_at_a_time() -> None:
    reader = MapInput(repeat(bytes(1024 * 1024)), encode)
    sizes = [len(reader.read(MAX_CHUNK)) for _ in range(20)]
    assert sizes[0] == 1
    assert max(sizes) <= 4
    assert reader.items_worth <= 4


def test_large_items_behind_small_ones_end_a_chunk() -> None:
    items = iter([b"small"] * 3 + [bytes(MAX_BYTES)] * 3)
    reader = MapInput(items, encode)
    read = 0
    while read < 3:
        read += len(reader.read(1))
    assert [len(reader.read(100)) for _ in range(4)] == [1, 1, 1, 0]


def test_never_more_than_there_is_room_for() -> None:
    reader = MapInput(count(), alone)
    assert max(len(reader.read(3)) for _ in range(20)) <= 3


def test_the_end() -> None:
    reader = MapInput(iter(range(3)), alone)
    chunks: list[InputChunk] = []
    while not chunks or not chunks[-1].ended:
        chunks.append(reader.read(MAX_CHUNK))
    assert [item for chunk in chunks for item in chunk.payloads] == [0, 1, 2]


def test_an_item_that_cannot_be_sent_is_the_last_of_its_chunk() -> None:
    reader = MapInput(iter([b"a", 2, b"c"]), encode)
    chunks = [reader.read(1) for _ in range(4)]
    assert [len(chunk) for chunk in chunks] == [1, 1, 1, 0]
    assert [chunk.refusal is not None for chunk in chunks] == [False, True, False, False]
    assert [chunk.ended for chunk in chunks] == [False, False, False, True]


def test_what_was_read_behind_it_comes_in_the_next_chunks() -> None:
    reader = MapInput(iter([b"a", b"b", b"c", 1, 2, b"d"]), encode)
    taken: list[object] = []
    while True:
        chunk = reader.read(5)
        taken += chunk.payloads
        if chunk.refusal is not None:
            taken.append(None)
        if chunk.ended:
            break
    assert taken == [b"a", b"b", b"c", None, None, b"d"]


def test_what_the_input_raises_comes_behind_its_items() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise LookupError("no more")

    reader = MapInput(broken(), alone)
    first, second = reader.read(5), reader.read(5)
    assert (first.payloads, first.error) == ([1], None)
    assert (second.payloads, type(second.error), second.ended) == ([], LookupError, False)
