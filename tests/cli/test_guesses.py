"""Where answers end, guessed from what they have in common."""

from __future__ import annotations

from typing import Any

import pytest

from processpool.cli.guesses import guess, last_words

CERTAIN: dict[str, tuple[list[bytes], dict[str, Any]]] = {
    "headers": ([b"Content-Length: 2\r\n\r\n{}"], {"length": "content-length"}),
    "four bytes, big": ([b"\0\0\0\2ab", b"\0\0\0\1a"], {"length": "u32be"}),
    "four bytes, little": ([b"\2\0\0\0ab", b"\1\0\0\0a"], {"length": "u32le"}),
    "a varint": ([b"\2ab", b"\1a"], {"length": "varint"}),
    "a semicolon": ([b"2;ab", b"11;01234567890"], {"length": r"(\d+);"}),
    "a NUL": ([b"a\0", b"b\nc\0"], {"until": "\0"}),
    "so many NULs": ([b"a\0b\0", b"c\0d\0"], {"until": "\0", "count": 2}),
    "a number": (
        [b"abc blob 3\nxyz\n", b"def blob 1\na\n"],
        {"length": r"[^\n]*?(\d+)\n", "after": "\n"},
    ),
    "an empty line": ([b"*\n\n", b"& a\nb\n\n"], {"until_line": "^$"}),
    "nothing but an empty line": ([b"\n", b"x\n\n"], {"until_line": "^$"}),
    "the same line": ([b"a\nEOS\n", b"b\nc\nEOS\n"], {"until_line": "^EOS$", "keep": True}),
    "the same word": (
        [b"info\nbestmove a\n", b"info\ninfo\nbestmove b\n"],
        {"until_line": r"^bestmove\b", "keep": True},
    ),
}
WEAK: dict[str, tuple[list[bytes], dict[str, Any]]] = {
    "a line": ([b"a\n", b"b\n"], {"lines": 1}),
    "two lines": ([b"a\nb\n", b"c\nd\n"], {"lines": 2}),
    "a prompt": ([b"1\n> ", b"22\n> "], {"until": "> "}),
}
UNKNOWN = {
    "nothing": [],
    "silence": [b"", b"a\n"],
    "another number of lines": [b"a\n", b"b\nc\n"],
    "no end of a line": [b"a", b"b"],
}


@pytest.mark.parametrize("name", CERTAIN)
def test_what_is_certain(name: str) -> None:
    answers, expected = CERTAIN[name]
    found = guess(answers)
    assert found is not None
    assert (found.answer, found.weak) == (expected, False)
    assert found.why


@pytest.mark.parametrize("name", WEAK)
def test_what_is_weak(name: str) -> None:
    answers, expected = WEAK[name]
    found = guess(answers)
    assert found is not None
    assert (found.answer, found.weak) == (expected, True)


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_unknown(name: str) -> None:
    assert guess(UNKNOWN[name]) is None


@pytest.mark.parametrize(
    ("banner", "again", "expected"),
    [
        (b"hello\n", b"hello\n", "hello\n"),
        (b"version 1\nready> ", b"version 1\nready> ", "ready> "),
        (b"pid 12\nready\n", b"pid 13\nready\n", "ready\n"),
        (b"12:30 go", b"12:31 go", " go"),
        (b"a\n\n", b"a\n\n", "a\n\n"),
        (b"one", b"two!", ""),
    ],
)
def test_the_last_words_of_a_banner(banner: bytes, again: bytes, expected: str) -> None:
    assert last_words(banner, again) == expected
