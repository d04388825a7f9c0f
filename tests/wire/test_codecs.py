"""The codecs: what goes through, and what is refused with which sentence."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processpool.errors import CodecError
from processpool.wire.codecs import make_codec

ROUND_TRIPS = [
    ("text", "", b""),
    ("text", "Grüße\n½", "Grüße\n½".encode()),
    ("text", "\ufeffa\x00", b"\xef\xbb\xbfa\x00"),
    ("bytes", b"", b""),
    ("bytes", b"\x00\xff\n", b"\x00\xff\n"),
    ("json", None, b"null"),
    ("json", "a\nb½", '"a\\nb½"'.encode()),
    ("json", {"a": [1, 2.5, True], "": {}}, b'{"a":[1,2.5,true],"":{}}'),
    ("json", 2**70, b"1180591620717411303424"),
]

REFUSED_MESSAGES = [
    ("text", b"abc", "codec text takes a str, got bytes"),
    ("text", None, "codec text takes a str, got NoneType"),
    ("text", "ab\ud800", r"codec text: '\\ud800' at character 2 is half a surrogate pair"),
    ("bytes", "abc", "codec bytes takes bytes, bytearray or memoryview, got str"),
    ("bytes", [1], "codec bytes takes bytes, bytearray or memoryview, got list"),
    (
        "json",
        b"abc",
        "codec json: the message is nothing that JSON can say: Object of type bytes is not",
    ),
    ("json", {(1, 2): 3}, "codec json: the message is nothing that JSON can say: keys must be str"),
    ("json", math.nan, "codec json: the message is nothing that JSON can say: Out of range float"),
    (
        "json",
        [math.inf],
        "codec json: the message is nothing that JSON can say: Out of range float",
    ),
    ("json", "\udfff", r"codec json: '\\udfff' at character 1 is half a surrogate pair"),
]

REFUSED_ANSWERS = [
    (
        "text",
        b"ab\xff",
        r"codec text: the answer is bad: invalid UTF-8 at byte 2 \(0xff: invalid start byte\)",
    ),
    (
        "text",
        b"\xc3",
        r"codec text: the answer is bad: invalid UTF-8 at byte 0 \(0xc3: unexpected end of data\)",
    ),
    ("text", b"\xed\xa0\x80", "codec text: the answer is bad: invalid UTF-8 at byte 0"),
    ("text", b"\xc0\x80", "codec text: the answer is bad: invalid UTF-8 at byte 0"),
    (
        "json",
        b'"\xff"',
        r"codec json: the answer is bad: invalid UTF-8 at byte 1 .*; it is b'\"\\xff\"'",
    ),
    ("json", b"", "codec json: the answer is bad: Expecting value at byte 0"),
    ("json", '["½", x]'.encode(), "codec json: the answer is bad: Expecting value at byte 7"),
    ("json", b"1 2", "codec json: the answer is bad: Extra data at byte 2"),
    ("json", b"\xef\xbb\xbf1", "codec json: the answer is bad: Expecting value at byte 0"),
    ("json", b"NaN", "codec json: the answer is bad: NaN is not JSON"),
    ("json", b"[-Infinity]", "codec json: the answer is bad: -Infinity is not JSON"),
    (
        "json",
        b'{"a":1,"b":2,"a":1}',
        "codec json: the answer is bad: an object has the key 'a' twice",
    ),
    ("json", b"[" * 100_000, "codec json: the answer is bad: maximum recursion depth exceeded"),
    ("json", b"9" * 5000, "codec json: the answer is bad: Exceeds the limit"),
]


@pytest.mark.parametrize(("name", "message", "payload"), ROUND_TRIPS)
def test_round_trips(name: str, message: Any, payload: bytes) -> None:
    codec = make_codec(name)
    assert codec.name == name
    assert codec.encode(message) == payload
    assert codec.decode(payload) == message


@pytest.mark.parametrize(("name", "message", "problem"), REFUSED_MESSAGES)
def test_refused_messages(name: str, message: Any, problem: str) -> None:
    with pytest.raises(CodecError, match=problem):
        make_codec(name).encode(message)


@pytest.mark.parametrize(("name", "payload", "problem"), REFUSED_ANSWERS)
def test_refused_answers(name: str, payload: bytes, problem: str) -> None:
    with pytest.raises(CodecError, match=problem):
        make_codec(name).decode(payload)


def test_a_loop_is_not_json() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(CodecError, match="Circular reference detected"):
        make_codec("json").encode(loop)


@pytest.mark.parametrize("message", [bytearray(b"ab"), memoryview(b"xabx")[1:3]])
def test_bytes_takes_every_buffer(message: bytearray | memoryview) -> None:
    assert make_codec("bytes").encode(message) == b"ab"


def test_bytes_copies_nothing() -> None:
    message = b"x" * 100
    codec = make_codec("bytes")
    assert codec.encode(message) is message
    assert codec.decode(message) is message


def test_an_unknown_codec_names_the_known() -> None:
    with pytest.raises(ValueError, match="no codec is called 'xml'; there are text, bytes, json"):
        make_codec("xml")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(deadline=None)
@given(VALUES)
def test_json_is_one_line_and_comes_back(value: Any) -> None:
    payload = make_codec("json").encode(value)
    assert b"\n" not in payload
    assert make_codec("json").decode(payload) == value
    assert json.loads(payload) == value


@settings(deadline=None)
@given(st.sampled_from(["text", "bytes", "json"]), st.binary())
def test_any_answer_is_a_value_or_a_codec_error(name: str, payload: bytes) -> None:
    codec = make_codec(name)
    with suppress(CodecError):
        codec.encode(codec.decode(payload))
