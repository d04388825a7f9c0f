"""The `framed` protocol: one list of cases, fed whole, byte by byte and with trailing bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processpool.errors import ProtocolError, UnexpectedEOF
from processpool.wire.framing.declaration import FRAMED
from processpool.wire.framing.declared import Framing, make_framing

LIMIT = 1000
NO_LENGTH = "an answer must begin with its length and ';', got"
TOO_MANY_DIGITS = "an answer's length has more than 19 digits"
TOO_LONG = f"the answer is longer than max_message ({LIMIT})"

GOOD = [
    pytest.param(b"0;", [b""], id="empty"),
    pytest.param(b"5;hello", [b"hello"], id="one"),
    pytest.param(b"2;ab0;1;;3;1;2", [b"ab", b"", b";", b"1;2"], id="several"),
    pytest.param(b"0003;abc", [b"abc"], id="leading zeros"),
    pytest.param(b"0000000000000000003;abc", [b"abc"], id="19 digits"),
    pytest.param(b"4;\x00\n\xff;", [b"\x00\n\xff;"], id="binary"),
    pytest.param(b"1000;" + b"x" * 1000, [b"x" * 1000], id="at the limit"),
]

BAD = [
    pytest.param(b";", NO_LENGTH, id="leading semicolon"),
    pytest.param(b"-1;", NO_LENGTH, id="negative"),
    pytest.param(b"+4;abcd", NO_LENGTH, id="plus"),
    pytest.param(b" 4;abcd", NO_LENGTH, id="space"),
    pytest.param(b"4 ;abcd", NO_LENGTH, id="space after"),
    pytest.param(b"\n4;abcd", NO_LENGTH, id="newline"),
    pytest.param(b"0x4;abcd", NO_LENGTH, id="hexadecimal"),
    pytest.param(b"1_0;abcdefghij", NO_LENGTH, id="underscore"),
    pytest.param("٤;abcd".encode(), NO_LENGTH, id="Arabic digit"),
    pytest.param("²;ab".encode("latin-1"), NO_LENGTH, id="superscript"),
    pytest.param(b"4.0;abcd", NO_LENGTH, id="fraction"),
    pytest.param(b"4e0;abcd", NO_LENGTH, id="exponent"),
    pytest.param(b"Warning: division by zero in x.php", NO_LENGTH, id="stray print"),
    pytest.param(b"1234567890123456789x;", NO_LENGTH, id="letter after 19 digits"),
    pytest.param(b"00000000000000000003;abc", TOO_MANY_DIGITS, id="20 digits"),
    pytest.param(b"9" * 5000, TOO_MANY_DIGITS, id="digits without end"),
    pytest.param(b"1001;", TOO_LONG, id="over the limit"),
    pytest.param(b"9223372036854775808;", TOO_LONG, id="over 2^63"),
]

UNFINISHED = [
    pytest.param(b"1", "stdout ended in the middle of a length: b'1'", b"1", id="no semicolon"),
    pytest.param(b"5;", "stdout ended after 0 of 5 bytes", b"", id="no data"),
    pytest.param(b"5;hel", "stdout ended after 3 of 5 bytes", b"hel", id="half the data"),
    pytest.param(b"1;a12;b", "stdout ended after 1 of 12 bytes", b"b", id="the second"),
]


def feed(data: bytes, size: int) -> tuple[Framing, list[bytes]]:
    """Feed a new framing in pieces of `size` bytes; return it and every answer."""
    framing = make_framing(replace(FRAMED, max_message=LIMIT))
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return framing, [answer for piece in pieces for answer in framing.feed(piece)]


def rule(error: ProtocolError | None) -> str | None:
    """Return which rule was broken; how many offending bytes are shown depends on the pieces."""
    return None if error is None else str(error).partition(": b")[0]


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
    framing, got = feed(data + b"9;tail", size)
    assert got == answers
    assert framing.partial == b"tail"
    assert not framing.is_clean
    assert framing.feed(b"-tail7") == [b"tail-tail"]
    assert framing.partial == b"7"


@pytest.mark.parametrize("size", [10_000, 1, 2, 7])
@pytest.mark.parametrize(("data", "problem"), BAD)
def test_bad_answers(data: bytes, problem: str, size: int) -> None:
    framing, got = feed(b"2;ok" + data + b"trailing", size)
    assert got == [b"ok"]
    assert type(framing.error) is ProtocolError
    assert rule(framing.error) == problem
    assert framing.eof() is framing.error
    assert not framing.is_clean
    assert framing.feed(b"2;ok") == []


@pytest.mark.parametrize("size", [10_000, 1])
@pytest.mark.parametrize(("data", "problem", "partial"), UNFINISHED)
def test_unfinished_answers(data: bytes, problem: str, partial: bytes, size: int) -> None:
    framing, _ = feed(data, size)
    error = framing.eof()
    assert isinstance(error, UnexpectedEOF)
    assert str(error) == problem
    assert framing.partial == partial
    assert not framing.is_clean


def test_a_wrong_byte_is_an_error_at_once() -> None:
    framing = make_framing(replace(FRAMED, max_message=LIMIT))
    framing.feed(b"12x")
    assert str(framing.error) == f"{NO_LENGTH}: b'12x'"
    assert framing.partial == b"12x"


def test_an_error_shows_64_bytes_and_keeps_64_kib() -> None:
    framing = make_framing(replace(FRAMED, max_message=LIMIT))
    framing.feed(b"?" * 100_000)
    assert str(framing.error) == f"{NO_LENGTH}: {b'?' * 64!r}"
    assert framing.partial == b"?" * 65536


def test_partial_keeps_64_kib_of_a_large_answer() -> None:
    framing = make_framing(replace(FRAMED, max_message=1 << 30))
    framing.feed(b"500000000;" + b"x" * 100_000)
    assert framing.partial == b"x" * 65536


def test_a_large_answer_in_many_pieces() -> None:
    framing = make_framing(replace(FRAMED, max_message=1 << 30))
    answer = bytes(range(256)) * 16384
    data = b"%d;%b3;abc" % (len(answer), answer)
    got = [a for at in range(0, len(data), 65536) for a in framing.feed(data[at : at + 65536])]
    assert got == [answer, b"abc"]
    assert framing.is_clean


def test_requests() -> None:
    framing = make_framing(replace(FRAMED, max_message=1 << 20))
    assert framing.encode(b"") == (b"1;0\n",)
    assert framing.encode("½\n;".encode()) == (b"1;4\n\xc2\xbd\n;",)
    assert framing.exit_message == b"0;\n"


def test_a_large_request_is_not_copied() -> None:
    payload = b"x" * 1_000_000
    header, body = make_framing(replace(FRAMED, max_message=1 << 20)).encode(payload)
    assert header == b"1;1000000\n"
    assert body is payload


def test_a_request_over_the_limit_is_refused() -> None:
    framing = make_framing(replace(FRAMED, max_message=3))
    assert framing.encode(b"abc") == (b"1;3\nabc",)
    with pytest.raises(ProtocolError, match=r"has 4 bytes, more than max_message \(3\)"):
        framing.encode(b"abcd")


LIKELY = st.one_of(
    st.binary(max_size=30),
    st.binary(max_size=30).map(lambda data: b"%d;%b" % (len(data), data)),
    st.sampled_from([b";", b"0;", b"1", b"999;", b"1001;", b"0" * 19, b"-", b"\n"]),
)


@settings(deadline=None)
@given(st.lists(LIKELY, max_size=6).map(b"".join), st.lists(st.integers(1, 40), min_size=1))
def test_any_bytes_in_any_pieces(data: bytes, sizes: list[int]) -> None:
    whole, answers = feed(data, len(data) + 1)
    pieces = make_framing(replace(FRAMED, max_message=LIMIT))
    got: list[bytes] = []
    start = turn = 0
    while start < len(data):
        size = sizes[turn % len(sizes)]
        got += pieces.feed(data[start : start + size])
        start, turn = start + size, turn + 1
    assert got == answers
    assert rule(pieces.error) == rule(whole.error)
    assert rule(pieces.eof()) == rule(whole.eof())
    assert pieces.is_clean == whole.is_clean


@settings(deadline=None)
@given(st.lists(st.binary(max_size=50)), st.integers(1, 60))
def test_what_is_framed_comes_back(answers: list[bytes], size: int) -> None:
    framing, got = feed(b"".join(b"%d;%b" % (len(a), a) for a in answers), size)
    assert got == answers
    assert framing.is_clean


@pytest.mark.parametrize(("data", "problem"), BAD)
def test_behind_an_error_nothing_is_an_answer(data: bytes, problem: str) -> None:
    framing, _ = feed(data, len(data))
    assert framing.error is not None
    assert framing.whole(b"1;a") is None
    assert framing.feed(b"1;a") == []
