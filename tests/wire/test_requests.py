"""Requests to a Python worker: small ones in a packet, large ones beside it, bad items alone."""

from __future__ import annotations

import os
import pickle
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest

from processpool.wire.python import layout
from processpool.wire.python.arena import Arena, Reader
from processpool.wire.python.arguments import pack_call, pack_items
from processpool.wire.python.functions import HANDLER, Task
from processpool.wire.python.layout import PACKET, PLACE
from processpool.wire.python.requests import Requests
from processpool.wire.python.unpacker import Unpacker

if TYPE_CHECKING:
    from collections.abc import Iterator

TASK = Task(HANDLER, layout.ONE)


@pytest.fixture
def inbox() -> Iterator[int]:
    inbox = os.memfd_create("test")
    yield inbox
    os.close(inbox)


@pytest.fixture
def freed() -> list[tuple[int, int]]:
    return []


@pytest.fixture
def requests(inbox: int, freed: list[tuple[int, int]]) -> Requests:
    return Requests(Arena(inbox, 0), freed)


def packets(requests: Requests) -> list[tuple[int, ...]]:
    return [PACKET.unpack_from(packet) for packet in requests.unsent]


def items_of(requests: Requests, inbox: int) -> Any:
    """What the worker would read from the last packet."""
    packet = bytes(requests.unsent[-1])
    _, flags, _, _, _, _, size, offset, _ = PACKET.unpack_from(packet)
    parts: list[Any] = [packet[PACKET.size :]]
    if flags & layout.AWAY:
        parts = list(Reader(inbox).read(offset, size))
    return pickle.loads(parts[0], buffers=parts[1:])


@pytest.mark.parametrize("items", [[1, "two", None], list(range(10_000)), ["x" * 1_000_000]])
def test_what_goes_down_is_what_was_given(requests: Requests, inbox: int, items: list[Any]) -> None:
    requests.stage_items(items, TASK, 7, layout.RUN, (500, 3))
    ((kind, flags, attempt, function, batch, count, _, _, index),) = packets(requests)
    assert (kind, function, batch, count) == (layout.ITEMS, HANDLER.number, 7, len(items))
    assert (index, attempt) == (500, 3)
    assert flags & layout.RUN
    assert len(requests.unsent[0]) <= layout.PACKET_LIMIT
    assert items_of(requests, inbox) == items


class TestSmall:
    def test_simple_arguments(self, requests: Requests) -> None:
        packet = requests.small(((1, "two"), {}), TASK)
        assert packet is not None
        assert pickle.loads(packet[PACKET.size :]) == [((1, "two"), {})]

    def test_pickled_arguments(self, requests: Requests) -> None:
        packet = requests.small(pack_call(([1],), {}), TASK)
        assert packet is not None
        assert PACKET.unpack_from(packet)[1] & layout.PICKLED
        (item,) = pickle.loads(packet[PACKET.size :])
        assert Unpacker().unpack(item) == (([1],), {})

    @pytest.mark.parametrize("args", [("x" * 5000,), (["x" * 5000],), (bytearray(1 << 20),)])
    def test_others(self, requests: Requests, args: tuple[Any, ...]) -> None:
        assert requests.small(pack_call(args, {}), TASK) is None

    def test_not_before_what_is_to_be_written_first(
        self, requests: Requests, freed: list[tuple[int, int]]
    ) -> None:
        freed.append((0, 4096))
        assert requests.small(((1,), {}), TASK) is None
        freed.clear()
        requests.stage_items([1], TASK, 1)
        assert requests.small(((1,), {}), TASK) is None


def test_among_pickled_items_each_is_by_itself(requests: Requests, inbox: int) -> None:
    items: list[Any] = [1, [2], bytearray(1 << 20)]
    payloads, _, _ = pack_items(items, layout.ONE, 1 << 30)
    requests.stage_items(payloads, TASK, 1)
    assert packets(requests)[0][1] & layout.PICKLED
    unpack = Unpacker().unpack
    assert [unpack(item) for item in items_of(requests, inbox)] == items


def test_places_that_are_free_again_are_told_first(
    requests: Requests, freed: list[tuple[int, int]]
) -> None:
    freed += [(n * 4096, 4096) for n in range(300)]
    places = set(freed)
    requests.stage_items([1], TASK, 1)
    *told, items = requests.unsent
    assert PACKET.unpack_from(items)[0] == layout.ITEMS
    found = {
        PLACE.unpack_from(packet, at)
        for packet in told
        for at in range(PACKET.size, len(packet), PLACE.size)
    }
    assert (found, freed) == (places, [])
    assert all(len(packet) <= layout.PACKET_LIMIT for packet in told)


def test_what_was_freed_is_named_and_functions_are_forgotten(requests: Requests) -> None:
    requests.stage_freed(deque(["one", "two"]))
    assert [kind for kind, *_ in packets(requests)] == [layout.FORGET, *[layout.UNSHARE] * 2]


def test_batches_are_read_back_and_the_rest_goes_down_again(requests: Requests) -> None:
    read_end, write_end = os.pipe2(os.O_DIRECT | os.O_NONBLOCK)
    try:
        requests.stage_items([1], TASK, 5)
        requests.stage_freed(deque(["name"]))
        requests.stage_items(list(range(10_000)), TASK, 6)
        written = [bytes(packet) for packet in requests.unsent]
        requests.unsent.clear()
        for packet in written:
            os.write(write_end, packet)
        assert requests.read_back(read_end) == {5, 6}
        assert list(requests.unsent) == written[1:3]
        assert requests.read_back(read_end) == set()
    finally:
        os.close(read_end)
        os.close(write_end)
