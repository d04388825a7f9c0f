"""Whose stderr it is, of a worker under `serve` that has several requests."""

from __future__ import annotations

import pytest

from processpool.engine.workers.shares import KEPT, Shares

TOKEN = b"0123456789abcdef"


def mark(number: int) -> bytes:
    return b"\0%b;%d\n" % (TOKEN, number)


@pytest.fixture
def shares() -> Shares:
    return Shares(TOKEN, lambda: 0)


STREAM = b"one" + mark(1) + b"three\n" + mark(3) + b"\0x" + mark(4) + b"five"


@pytest.mark.parametrize("size", [1, 2, 7, 19, 20, 21, 1000])
def test_however_it_is_cut(shares: Shares, size: int) -> None:
    clean = b"".join(shares.feed(STREAM[at : at + size], 5) for at in range(0, len(STREAM), size))
    assert clean == b"onethree\n\0xfive"
    if size == 1000:  # marks alone tell; of what comes bit by bit it is seen who runs
        found = [shares.take(number) for number in range(1, 7)]
        assert found == ["one", "", "three\n", "\0x", "five", ""]


def test_what_was_read_while_a_request_ran_is_its_own(shares: Shares) -> None:
    shares.feed(b"of a child process", 2)
    shares.feed(b"of the next" + mark(3) + b"and", 3)
    assert [shares.take(number) for number in (1, 2, 3, 4)] == [
        "",
        "of a child process",
        "of the next",
        "and",
    ]


def test_what_is_not_taken_is_forgotten_in_time(shares: Shares) -> None:
    shares.feed(b"a" + mark(1) + b"b" + mark(2) + b"c" + mark(3), 3)
    assert shares.take(2) == "b"
    assert shares.take(1) == ""
    shares.forget(3)
    assert not shares.texts


def test_of_very_much_the_end_is_kept(shares: Shares) -> None:
    for _ in range(40):
        shares.feed(b"x" * (KEPT // 16), 1)
    shares.feed(b"end", 1)
    text = shares.take(1)
    assert len(text) == KEPT
    assert text.endswith("xend")


def test_what_only_looks_like_a_mark(shares: Shares) -> None:
    false = b"\0" + TOKEN + b";no number\n"
    shares.feed(false, 1)
    shares.feed(b"after" + mark(1), 1)
    assert shares.take(1).endswith("after")
