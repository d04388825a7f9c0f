"""What a request looks like, and what is wrong with a declaration."""

from __future__ import annotations

import re

import pytest

from processpool.errors import CodecError
from processpool.wire.framing.declaration import AnswerRule, Declaration
from processpool.wire.framing.declared import make_framing
from processpool.wire.framing.regex import header_ends, pattern, whole_line
from processpool.wire.framing.template import RequestTemplate

MOST = 1 << 30


@pytest.mark.parametrize(
    ("text", "message", "request_"),
    [
        ("{message}\n", b"a", b"a\n"),
        ("{message}", b"", b""),
        ("1;{length}\n{message}", b"abc", b"1;3\nabc"),
        ("{u32be}{message}", b"abc", b"\0\0\0\3abc"),
        ("{u32le}{message}", b"abc", b"\3\0\0\0abc"),
        ("{varint}{message}", b"abc", b"\3abc"),
        ("{varint}{message}", b"x" * 300, b"\xac\2" + b"x" * 300),
        ("{hex4}{message}", b"abc", b"0007abc"),
        ("{message}\n{length} {hex4}", b"abc", b"abc\n3 0007"),
        ("{ready} {} { {{message}} 100% é", b"a", "{ready} {} { {a} 100% é".encode()),
        ('{"m": {message}}\n', b"1", b'{"m": 1}\n'),
    ],
)
def test_requests(text: str, message: bytes, request_: bytes) -> None:
    assert b"".join(RequestTemplate(text, MOST).encode(message)) == request_


@pytest.mark.parametrize(
    "text", ["{message}", "{message}\n", "<{length};{message}>", "{message}{mark}"]
)
def test_a_large_message_is_not_copied(text: str) -> None:
    message = b"x" * 1_000_000
    assert any(buffer is message for buffer in RequestTemplate(text, MOST).encode(message))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{mesage}\n", "must not hold {mesage} (did you mean {message}?)"),
        ("{message}{Mark}", "must not hold {Mark} (did you mean {mark}?)"),
        ("{message}{ mark }", "must not hold { mark } (did you mean {mark}?)"),
        ("{u32}{message}", "must not hold {u32} (did you mean {u32be}?)"),
        ("{lenght}{message}", "must not hold {lenght} (did you mean {length}?)"),
        ("hello\n", "must hold {message}, once: that is where the message goes"),
        ("{message}{message}", "must hold {message}, once: that is where the message goes"),
    ],
)
def test_a_slip_in_a_template_is_an_error(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        RequestTemplate(text, MOST)


def test_a_message_whose_length_cannot_be_said_is_refused() -> None:
    template = RequestTemplate("{hex4}{message}", MOST)
    template.encode(b"x" * 65531)
    with pytest.raises(CodecError, match=r"the message has 65532 bytes; \{hex4\} can say 65531"):
        template.encode(b"x" * 65532)


def test_a_mark_that_the_request_does_not_have() -> None:
    with pytest.raises(
        ValueError, match=r"waits for \{mark\}, which the request has a program say"
    ):
        make_framing(Declaration(answer=AnswerRule(until="{mark}\n")))


def test_a_mark_whose_place_depends_on_the_message() -> None:
    with pytest.raises(
        ValueError, match=r"must not have \{length\} between itself and the nearer end"
    ):
        make_framing(Declaration("{length} {mark} {message}", None, AnswerRule(until="{mark}")))


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        (r"(\d+);", b";"),
        (r"[^\n]* (?:missing|ambiguous)\n|\S+ \S+ (\d+)\n", b"\n"),
        (r"(\d+)\r?\n", b"\n"),
        (r"(\d+)[;\n]", b";\n"),
        (r"\$(\d+)\r\n|[-+:][^\r]*\r\n", b"\n"),
        (r"OK(?:;)+", b";"),
    ],
)
def test_a_header_is_looked_for_where_it_can_end(text: str, ends: bytes) -> None:
    assert header_ends(text) == frozenset(ends)


@pytest.mark.parametrize("text", [r"(\d+)", r"^(\d+)$", r"\d+;|", r"a.", r"(\d+);?", ""])
def test_a_header_with_no_end_of_its_own_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="must end with what ends a header"):
        header_ends(text)


@pytest.mark.parametrize("text", ["^$", r"^bestmove\b", r"^(?:OK|ERR)\b", "x[a-z]+ ?y", ".*!"])
def test_many_lines_are_searched_at_once(text: str) -> None:
    assert whole_line(text) is not None


@pytest.mark.parametrize(
    "text", [r"^OK\s", "[^x]", r"\AOK", "(?i)ok", "(?s:.)", "a(?=b)", r"\W", "\n"]
)
def test_a_regex_that_may_reach_over_a_newline_is_tried_line_by_line(text: str) -> None:
    assert whole_line(text) is None


def test_what_is_no_regex_is_an_error() -> None:
    with pytest.raises(
        ValueError, match="must be a regular expression: unterminated character set"
    ):
        pattern("[a")
