"""Shared memory: what is placed is read again, and places are used again."""

from __future__ import annotations

import gc
import os
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processpool.wire.python import arena
from processpool.wire.python.arena import ALIGN, PAGE, Arena, Reader, join, split

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def fd() -> Iterator[int]:
    fd = os.memfd_create("test")
    yield fd
    os.close(fd)


def size_of(fd: int) -> int:
    return os.fstat(fd).st_size


def blocks_of(fd: int) -> int:
    """Pages of memory that a file takes."""
    return os.fstat(fd).st_blocks * 512 // PAGE


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=20))
def test_what_is_joined_can_be_split(parts: list[bytes]) -> None:
    joined = b"".join(bytes(piece) for piece in join(parts))
    assert [bytes(part) for part in split(memoryview(joined))] == parts


def test_every_part_is_aligned() -> None:
    pieces = join([b"a", b"", b"x" * 65])
    ends = [0]
    for piece in pieces:
        ends.append(ends[-1] + len(piece))
    assert all(end % ALIGN == 0 for end in ends[::2])


class TestArena:
    def test_places_do_not_overlap(self, fd: int) -> None:
        owner, reader = Arena(fd, 2 * PAGE), Reader(fd)
        placed = [(n, owner.place([bytes([n]) * (n * 700)])) for n in range(1, 30)]
        assert all(offset >= 2 * PAGE and offset % PAGE == 0 for _, (offset, _) in placed)
        for n, place in placed:
            assert bytes(reader.read(*place)[0]) == bytes([n]) * (n * 700)

    def test_a_free_place_is_used_again(self, fd: int) -> None:
        owner = Arena(fd, 0)
        first = owner.place([b"x" * 50_000])
        owner.place([b"y" * 50_000])
        before = size_of(fd)
        owner.free(*first)
        assert owner.place([b"z" * 40_000])[0] == first[0]
        assert size_of(fd) == before

    def test_neighbours_are_merged(self, fd: int) -> None:
        owner = Arena(fd, 0)
        places = [owner.place([b"x" * 50_000]) for _ in range(5)]
        for index in (1, 3, 2):
            owner.free(*places[index])
        assert owner.place([b"y" * 140_000])[0] == places[1][0]

    def test_the_last_one_grows(self, fd: int) -> None:
        owner = Arena(fd, 0)
        owner.place([b"x" * 50_000])
        last = owner.place([b"y" * 50_000])
        owner.free(*last)
        assert owner.place([b"z" * 90_000])[0] == last[0]

    def test_much_free_memory_is_given_back(self, fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """And what is mapped there stays mapped: the file keeps its size."""
        monkeypatch.setattr(arena, "KEEP_FREE", 1 << 20)
        owner = Arena(fd, 0)
        place = owner.place([b"x" * (3 << 20)])
        size = size_of(fd)
        owner.free(*place)
        assert os.fstat(fd).st_blocks * 512 == 1 << 20
        assert size_of(fd) == size
        again = owner.place([b"y" * (2 << 20)])
        assert bytes(Reader(fd).read(*again)[0]) == b"y" * (2 << 20)
        assert size_of(fd) == size

    def test_random_use_stays_small_and_exact(self, fd: int) -> None:
        owner, reader, chance = Arena(fd, PAGE), Reader(fd), random.Random(3)
        live: list[tuple[bytes, tuple[int, int]]] = []
        for step in range(2000):
            if len(live) < 10 and chance.random() < 0.6:
                content = bytes([step % 256]) * chance.randrange(1, 100_000)
                live.append((content, owner.place([content])))
            elif live:
                content, place = live.pop(chance.randrange(len(live)))
                assert reader._copy(*place)[0] == content
                owner.free(*place)
        assert size_of(fd) < 10 * 200_000

    def test_at_rest_it_holds_only_what_is_in_use(self, fd: int) -> None:
        owner, reader = Arena(fd, PAGE), Reader(fd)
        places = [owner.place([bytes([n]) * (20 * PAGE)]) for n in range(6)]
        for index in (0, 2, 3, 5):
            owner.free(*places[index])
        assert blocks_of(fd) == 6 * 21
        owner.rest()
        assert owner.resting
        assert blocks_of(fd) == 2 * 21
        owner.free(*places[1])
        assert blocks_of(fd) == 21, "what becomes free at rest goes at once"
        assert bytes(reader.read(*places[4])[0]) == b"\4" * (20 * PAGE)

    def test_after_a_rest_places_are_used_again_and_written_whole(self, fd: int) -> None:
        owner, reader = Arena(fd, 0), Reader(fd)
        places = [owner.place([b"x" * (20 * PAGE)]) for _ in range(4)]
        size = size_of(fd)
        for index in (0, 1, 3):
            owner.free(*places[index])
        owner.rest()
        first = owner.place([b"a" * (10 * PAGE)])
        second = owner.place([b"b" * (20 * PAGE)])
        third = owner.place([b"c" * (15 * PAGE)])
        assert not owner.resting
        assert [first[0], second[0]] == [0, 11 * PAGE]
        assert third[0] == places[3][0]
        assert size_of(fd) == size
        owner.free(*second)
        again = owner.place([b"d" * (20 * PAGE)])
        for letter, place in zip("acdx", (first, third, again, places[2]), strict=True):
            assert set(bytes(reader.read(*place)[0])) == {ord(letter)}

    def test_random_use_and_rests_stay_small_and_exact(self, fd: int) -> None:
        owner, reader, chance = Arena(fd, PAGE), Reader(fd), random.Random(5)
        live: list[tuple[bytes, tuple[int, int]]] = []
        for step in range(2000):
            if chance.random() < 0.05:
                owner.rest()
                assert blocks_of(fd) == sum(-(-size // PAGE) for _, (_, size) in live)
            if len(live) < 10 and chance.random() < 0.6:
                content = bytes([step % 255 + 1]) * chance.randrange(1, 100_000)
                live.append((content, owner.place([content])))
            elif live:
                content, place = live.pop(chance.randrange(len(live)))
                assert reader._copy(*place)[0] == content
                owner.free(*place)
        assert size_of(fd) < 10 * 200_000

    def test_it_says_when_a_rest_ends(self, fd: int) -> None:
        owner, reader, uses = Arena(fd, 0), Reader(fd), []
        owner.on_use = lambda: uses.append("placed")
        reader.on_use = lambda: uses.append("read")
        place = owner.place([b"x" * PAGE])
        owner.place([b"y" * PAGE])
        parts = reader.read(*place)
        assert uses == ["placed", "read"]
        reader.rest()
        owner.rest()
        assert uses == ["placed", "read"]
        del parts
        gc.collect()
        assert uses == ["placed", "read", "read"], "as the owner is to be told of the free place"
        assert owner.used_at <= reader.used_at

    def test_without_memory_nothing_is_lost(self) -> None:
        """A descriptor that cannot be written to stands for memory that is not there."""
        readonly = os.open("/dev/null", os.O_RDONLY)
        try:
            owner = Arena(readonly, 0)
            for _ in range(3):
                with pytest.raises(OSError, match="Invalid argument"):
                    owner.place([b"x"])
            assert owner._end == 0
        finally:
            os.close(readonly)


class TestReader:
    def test_a_place_is_free_when_nobody_looks_at_it(self, fd: int) -> None:
        owner, reader = Arena(fd, 0), Reader(fd)
        place = owner.place([b"x" * 5000, b"y" * 5000])
        first, second = reader.read(*place)
        del first
        gc.collect()
        assert reader.freed == []
        part = second[10:20]
        del second
        assert reader.freed == []
        assert bytes(part) == b"y" * 10
        del part
        gc.collect()
        assert reader.freed == [place]

    def test_it_takes_a_limited_number_of_descriptors(
        self, fd: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(arena, "MAPPED", len(arena._mapped) + 3)
        owner, reader = Arena(fd, 0), Reader(fd)
        places = [owner.place([bytes([n]) * 5000]) for n in range(6)]
        before = len(os.listdir("/proc/self/fd"))
        parts = [reader.read(*place)[0] for place in places]
        assert len(os.listdir("/proc/self/fd")) == before + 3
        assert [part[0] for part in parts] == list(range(6))
        assert reader.freed == places[3:], "those were copied"
        parts[0][0] = 99
        assert parts[5][0] == 5
        del parts
        gc.collect()
        assert sorted(reader.freed) == sorted(places)

    def test_a_place_that_is_not_there(self, fd: int) -> None:
        with pytest.raises(EOFError):
            Reader(fd)._copy(0, 100)
