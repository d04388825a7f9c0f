"""The `lines` protocol: one list of cases, fed whole, byte by byte and with trailing bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processpool.errors import ProtocolError, UnexpectedEOF
from processpool.wire.framing.declaration import LINES
from processpool.wire.framing.declared import Framing, make_framing

LIMIT = 10
TOO_LONG = f"the answer is longer than max_message ({LIMIT})"

GOOD = [
    pytest.param(b"", [], id="nothing"),
    pytest.param(b"\n", [b""], id="empty"),
    pytest.param(b"hello\n", [b"hello"], id="one"),
    pytest.param(b"a\n\nbc\n", [b"a", b"", b"bc"], id="several"),
    pytest.param(b"a\r\n\r\n", [b"a\r", b"\r"], id="carriage return stays"),
    pytest.param(b"\x00\xff\x0b\x85\n", [b"\x00\xff\x0b\x85"], id="binary"),
    pytest.param(b"0123456789\n", [b"0123456789"], id="at the limit"),
]

BAD = [
    pytest.param(b"0123456789x\n", id="one over the limit"),
    pytest.param(b"x" * 1000, id="without end"),
    pytest.param(b"x" * 1000 + b"\nmore\n", id="more after it"),
]


def feed(data: bytes, size: int) -> tuple[Framing, list[bytes]]:
    """Feed a new framing in pieces of `size` bytes; return it and every answer."""
    framing = make_framing(replace(LINES, max_message=LIMIT))
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return framing, [answer for piece in pieces for answer in framing.feed(piece)]


@pytest.mark.parametrize("size", [10_000, 1, 2, 7])
@pytest.mark.parametrize(("data", "answers"), GOOD)
def test_good_answers(data: bytes, answers: list[bytes], size: int) -> None:
    framing, got = feed(data, size)
    assert got == answers
    assert (framing.error, framing.eof(), framing.partial) == (None, None, b"")
    assert framing.is_clean


@pytest.mark.parametrize("size", [10_000, 1, 2, 7])
@pytest.mark.parametrize(("data", "answers"), GOOD)
def test_good_answers_before_an_unfinished_one(
    data: bytes, answers: list[bytes], size: int
) -> None:
    framing, got = feed(data + b"tail", size)
    assert got == answers
    assert framing.partial == b"tail"
    assert not framing.is_clean
    error = framing.eof()
    assert isinstance(error, UnexpectedEOF)
    assert str(error) == "stdout ended in the middle of a line, after 4 bytes without newline"
    assert framing.feed(b"-more\nx") == [b"tail-more"]
    assert framing.partial == b"x"


@pytest.mark.parametrize("size", [10_000, 1, 2, 7])
@pytest.mark.parametrize("data", BAD)
def test_bad_answers(data: bytes, size: int) -> None:
    framing, got = feed(b"ok\n" + data, size)
    assert got == [b"ok"]
    assert type(framing.error) is ProtocolError
    assert str(framing.error).startswith(TOO_LONG)
    assert framing.eof() is framing.error
    assert framing.partial.startswith(data[:LIMIT])
    assert not framing.is_clean
    assert framing.feed(b"ok\n") == []


def test_a_long_line_is_an_error_before_it_ends() -> None:
    framing = make_framing(replace(LINES, max_message=LIMIT))
    assert framing.feed(b"0123456789") == []
    assert framing.error is None
    assert framing.feed(b"x") == []
    assert str(framing.error) == f"{TOO_LONG}: b'0123456789x'"


def test_an_error_shows_64_bytes_and_keeps_64_kib() -> None:
    framing = make_framing(replace(LINES, max_message=LIMIT))
    framing.feed(b"?" * 100_000)
    assert str(framing.error) == f"{TOO_LONG}: {b'?' * 64!r}"
    assert framing.partial == b"?" * 65536


def test_requests() -> None:
    framing = make_framing(replace(LINES, max_message=1 << 20))
    assert framing.encode(b"") == (b"\n",)
    assert framing.encode(b"a;b\r") == (b"a;b\r\n",)
    assert framing.exit_message == b""


def test_a_large_request_is_not_copied() -> None:
    payload = b"x" * 1_000_000
    body, newline = make_framing(replace(LINES, max_message=1 << 20)).encode(payload)
    assert body is payload
    assert newline == b"\n"


@pytest.mark.parametrize(("payload", "at"), [(b"\n", 0), (b"ab\n", 2), (b"a\nb\nc", 1)])
def test_a_request_with_a_newline_is_refused(payload: bytes, at: int) -> None:
    with pytest.raises(ProtocolError, match=f"must have no newline, this has one at byte {at}$"):
        make_framing(replace(LINES, max_message=LIMIT)).encode(payload)


def test_a_request_over_the_limit_is_refused() -> None:
    with pytest.raises(ProtocolError, match=r"has 11 bytes, more than max_message \(10\)"):
        make_framing(replace(LINES, max_message=LIMIT)).encode(b"0123456789x")


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.binary(max_size=14), st.just(b"\n")), max_size=12).map(b"".join),
    st.lists(st.integers(1, 20), min_size=1),
)
def test_any_bytes_in_any_pieces(data: bytes, sizes: list[int]) -> None:
    whole, answers = feed(data, len(data) + 1)
    pieces = make_framing(replace(LINES, max_message=LIMIT))
    got: list[bytes] = []
    start = turn = 0
    while start < len(data):
        size = sizes[turn % len(sizes)]
        got += pieces.feed(data[start : start + size])
        start, turn = start + size, turn + 1
    assert got == answers
    assert type(pieces.error) is type(whole.error)
    assert type(pieces.eof()) is type(whole.eof())
    assert pieces.is_clean == whole.is_clean
