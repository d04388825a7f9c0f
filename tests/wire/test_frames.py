"""Frames: one list of cases, fed whole, byte by byte and with trailing bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processpool.wire.python.frames import MAX_SHOWN, FrameReader
from processpool.wire.python.layout import BACK, ENTRIES, FRAME, INTS, LOG, PACE, PART, PLAIN

Frames = list[tuple[int, int, bytes]]

CASES = [
    pytest.param([], id="nothing"),
    pytest.param([(PLAIN, 1, b"N")], id="one"),
    pytest.param([(BACK, 7, b"")], id="without a body"),
    pytest.param([(PLAIN, 2, b"NN"), (LOG, 3, b"log"), (ENTRIES, 1, b"e")], id="several"),
    pytest.param([(INTS, 0xFFFFFFFF, bytes(range(256)))], id="any bytes"),
    pytest.param([(PLAIN, 1, b"x" * 100_000), (BACK, 1, b"")], id="large"),
]


def packed(frames: Frames) -> bytes:
    return b"".join(FRAME.pack(kind, n, len(body)) + body for kind, n, body in frames)


@pytest.mark.parametrize("frames", CASES)
class TestGood:
    def test_whole(self, frames: Frames) -> None:
        reader = FrameReader()
        assert reader.feed(packed(frames)) == frames
        assert reader.is_clean

    def test_byte_by_byte(self, frames: Frames) -> None:
        reader = FrameReader()
        found = [frame for byte in packed(frames) for frame in reader.feed(bytes([byte]))]
        assert found == frames
        assert reader.is_clean

    def test_with_trailing_bytes(self, frames: Frames) -> None:
        reader = FrameReader()
        behind = packed([(LOG, 5, b"behind")])
        for size in range(1, len(behind)):
            assert reader.feed(packed(frames) + behind[:size]) == frames
            assert not reader.is_clean
            assert reader.feed(behind[size:]) == [(LOG, 5, b"behind")]
            assert reader.is_clean


@given(
    st.lists(st.tuples(st.integers(PLAIN, PART), st.integers(0, 9), st.binary(max_size=40))),
    st.lists(st.integers(1, 30)),
)
def test_cut_anywhere(frames: Frames, sizes: list[int]) -> None:
    reader, data, found = FrameReader(), packed(frames), []
    for size in sizes:
        found += reader.feed(data[:size])
        data = data[size:]
    assert found + reader.feed(data) == frames
    assert reader.is_clean


@pytest.mark.parametrize("kind", [0, PART + 1, 255])
@pytest.mark.parametrize("before", [[], [(PLAIN, 1, b"N")]])
def test_what_is_no_frame(before: Frames, kind: int) -> None:
    strange = FRAME.pack(kind, 1, 1) + b"x" * 100
    reader = FrameReader()
    assert reader.feed(packed(before) + strange) == before
    assert reader.broken == strange[:MAX_SHOWN]
    assert reader.feed(packed([(PLAIN, 1, b"N")])) == [], "nothing is trusted any more"


def test_a_frame_is_not_awaited_when_its_head_says_enough() -> None:
    reader = FrameReader()
    assert reader.feed(FRAME.pack(99, 1, 1 << 60)) == []
    assert reader.broken


class TestPace:
    def feed(self, *frames: tuple[int, int]) -> int:
        reader = FrameReader()
        reader.pace = 77
        data = b"".join(FRAME.pack(kind | pace << PACE, 1, 2) + b"NN" for kind, pace in frames)
        assert [kind for kind, _, _ in reader.feed(data)] == [kind for kind, _ in frames]
        return reader.pace

    def test_that_of_the_slowest(self) -> None:
        assert self.feed((PLAIN, 200), (INTS, 0xFFFFFF), (PLAIN, 300)) == 0xFFFFFF

    def test_it_is_unknown_if_one_does_not_say(self) -> None:
        assert self.feed((PLAIN, 200), (ENTRIES, 0)) == 0

    def test_only_of_answers(self) -> None:
        assert self.feed((PLAIN, 200), (LOG, 0)) == 200
        assert self.feed((LOG, 0)) == 77
