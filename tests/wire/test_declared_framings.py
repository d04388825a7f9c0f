"""Declared framings: one list of cases, fed whole, byte by byte and with trailing bytes."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processpool.errors import CodecError, ProtocolError, UnexpectedEOF
from processpool.wire.framing.declaration import AnswerRule, Declaration
from processpool.wire.framing.declared import Framing, make_framing

LIMIT = 40
SIZES = [10_000, 1, 2, 3, 7]
TOO_LONG = f"the answer is longer than max_message ({LIMIT})"


class Case(NamedTuple):
    """What arrives, and the answers in it; `begun` is the beginning of one more."""

    rule: AnswerRule
    data: bytes
    answers: list[bytes]
    begun: bytes = b"begun"


def rule(**keys: object) -> AnswerRule:
    return AnswerRule(**keys)  # type: ignore[arg-type]


GIT = r"[^\n]* (?:missing|ambiguous)\n|\S+ \S+ (\d+)\n"
HEADER = b"Content-Type: x\r\ncontent-length: 5\r\n\r\n"

CASES = {
    "one line": Case(rule(lines=1), b"a\n\nbc\n", [b"a", b"", b"bc"]),
    "three lines": Case(rule(lines=3), b"a\n\nc\nd\ne\n\n", [b"a\n\nc", b"d\ne\n"], b"f\ng\nh"),
    "a prompt": Case(rule(until="> "), b"a\nb> > c> ", [b"a\nb", b"", b"c"], b"be>gun"),
    "a prompt, kept": Case(rule(until="> ", keep=True), b"a\nb> > ", [b"a\nb> ", b"> "], b"x>"),
    "an end that begins twice": Case(rule(until="aab"), b"aaabxaab", [b"a", b"x"], b"aaaa"),
    "an end of one byte": Case(rule(until="\0"), b"a\nb\0\0c\0", [b"a\nb", b"", b"c"]),
    "three ends": Case(
        rule(until="\0", count=3), b"a\0b\0c\0\0\0\0", [b"a\0b\0c", b"\0\0"], b"a\0\0b"
    ),
    "three ends, kept": Case(
        rule(until="--", count=3, keep=True), b"a--b----------", [b"a--b----", b"------"], b"-"
    ),
    "an empty line": Case(rule(until_line="^$"), b"a\nb\n\n\n", [b"a\nb\n", b""]),
    "a last line": Case(
        rule(until_line=r"^(OK|ERR)\b"),
        b"a\n OK\nOKAY\nOK x\nERR\n",
        [b"a\n OK\nOKAY\n", b""],
        b"OK",
    ),
    "a last line, kept": Case(
        rule(until_line=r"^bestmove\b", keep=True), b"info\nbestmove e4\n", [b"info\nbestmove e4"]
    ),
    "a last line, not anchored": Case(rule(until_line="!"), b"a\nb!c\n!\n", [b"a\n", b""], b"!"),
    "a last line whose regex reaches over lines": Case(
        rule(until_line=r"^OK\s*$"), b"\nOK\n\nOK \n", [b"\n", b"\n"], b"OK"
    ),
    "a last line, any case": Case(rule(until_line="(?i)^ok$"), b"a\noK\n", [b"a\n"], b"OK"),
    "big-endian": Case(
        rule(length="u32be"), b"\0\0\0\3a\nb\0\0\0\0\0\0\0\1c", [b"a\nb", b"", b"c"], b"\0\0\0"
    ),
    "little-endian": Case(rule(length="u32le"), b"\3\0\0\0a\nb\0\0\0\0", [b"a\nb", b""], b"\7"),
    "little-endian, kept": Case(
        rule(length="u32le", keep=True), b"\1\0\0\0a", [b"\1\0\0\0a"], b"\2\0\0\0b"
    ),
    "varint": Case(rule(length="varint"), b"\3abc\0\1d", [b"abc", b"", b"d"], b"\3ab"),
    "varint of two bytes": Case(rule(length="varint"), b"\x83\0abc", [b"abc"], b"\x83"),
    "hex4": Case(rule(length="hex4"), b"0007abc00040000", [b"abc", b"", b""], b"000"),
    "content-length": Case(
        rule(length="content-length"), HEADER + b"a\r\n\r\n", [b"a\r\n\r\n"], b"Content-Le"
    ),
    "content-length, kept": Case(
        rule(length="content-length", keep=True), HEADER + b"abcde", [HEADER + b"abcde"], HEADER
    ),
    "a number in the first line": Case(
        rule(length=r"[^\n]*?(\d+)\n", after="\n"), b"x 3\nabc\n0\n\n", [b"abc", b""], b"x 3\nabc"
    ),
    "git": Case(
        rule(length=GIT, after="\n", keep=True),
        b"a missing\nb blob 3\nx\ny\nc ambiguous\n",
        [b"a missing\n", b"b blob 3\nx\ny", b"c ambiguous\n"],
        b"b blob",
    ),
    "a header without a length": Case(
        rule(length=r"OK(?: (\d+))?\n"), b"OK\nOK 1\na", [b"OK\n", b"a"]
    ),
    "notifications": Case(
        rule(lines=1, skip='"method":'), b'a\n{"method":"log"}\nb\n', [b"a", b"b"], b'{"meth'
    ),
    "log lines before an end": Case(
        rule(until=";", skip="^#"), b"#log;a;#;#;b;", [b"a", b"b"], b"#"
    ),
    "log lines before an empty line": Case(
        rule(until_line="^$", skip="^#"), b"#log\n\na\n\n", [b"a\n"], b"#\n"
    ),
    "skipped bodies": Case(rule(length="varint", skip="^#"), b"\2#a\1b\1#", [b"b"], b"\2#"),
}


def fed(rule: AnswerRule, data: bytes, size: int) -> tuple[Framing, list[bytes]]:
    """Feed a new framing in pieces of `size` bytes; return it and every answer."""
    framing = make_framing(Declaration(answer=rule, refuse=None, max_message=LIMIT))
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return framing, [answer for piece in pieces for answer in framing.feed(piece)]


every_case = pytest.mark.parametrize("case", CASES.values(), ids=[*CASES])


@pytest.mark.parametrize("size", SIZES)
@every_case
def test_answers(case: Case, size: int) -> None:
    framing, answers = fed(case.rule, case.data, size)
    assert answers == case.answers
    assert (framing.error, framing.eof(), framing.partial) == (None, None, b"")
    assert framing.is_clean


@pytest.mark.parametrize("size", SIZES)
@every_case
def test_answers_before_an_unfinished_one(case: Case, size: int) -> None:
    framing, answers = fed(case.rule, case.data + case.begun, size)
    assert answers == case.answers
    assert framing.error is None
    assert not framing.is_clean
    assert isinstance(framing.eof(), UnexpectedEOF)
    assert framing.partial


@every_case
def test_one_whole_answer_is_seen_at_once_as_it_is_in_pieces(case: Case) -> None:
    for size in range(1, len(case.data) + 1):
        data = case.data[:size]
        framing, answers = fed(case.rule, data, len(data))
        whole = fed(case.rule, b"", 1)[0].whole(data)
        if whole is not None:
            assert [whole] == answers
            assert framing.is_clean


PIECES = [
    b"",
    b"a",
    b"aab",
    b"OK\n",
    b"\n",
    b"\n\n",
    b"> ",
    b"--",
    b"\0",
    b"\3",
    b"\xff",
    b"#",
    b"!",
]
PIECES += [b"x blob 3\n", b"12\n", b"0007", b"Content-Length: 3\r\n", b"\r\n", b"bestmove", b";"]
STREAMS = st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=9)), max_size=15)


@every_case
@settings(deadline=None, max_examples=60)
@given(data=STREAMS.map(b"".join))
def test_behind_an_error_nothing_is_an_answer(case: Case, data: bytes) -> None:
    framing, _ = fed(case.rule, data, len(data) + 1)
    if framing.error is not None:
        for end in range(1, len(case.data) + 1):
            assert framing.whole(case.data[:end]) is None


@every_case
@settings(deadline=None, max_examples=60)
@given(data=STREAMS.map(b"".join), sizes=st.lists(st.integers(1, 12), min_size=1))
def test_any_bytes_in_any_pieces(case: Case, data: bytes, sizes: list[int]) -> None:
    whole, answers = fed(case.rule, data, len(data) + 1)
    pieces, got = fed(case.rule, b"", 1)
    start = turn = 0
    while start < len(data):
        size = sizes[turn % len(sizes)]
        got += pieces.feed(data[start : start + size])
        start, turn = start + size, turn + 1
    assert got == answers
    assert type(pieces.error) is type(whole.error)
    assert type(pieces.eof()) is type(whole.eof())
    assert pieces.is_clean == whole.is_clean
    assert pieces.take_skipped() == whole.take_skipped()


TOO_MUCH = {
    "one line": b"x" * 41,
    "three lines": b"x" * 20 + b"\n" + b"x" * 20 + b"\n",
    "a prompt": b"x" * 43,
    "an empty line": b"x\n" * 21,
    "a last line whose regex reaches over lines": b"x" * 41,
    "a last line, kept": b"x" * 20 + b"\nbestmove" + b"x" * 20,
    "big-endian": b"\0\0\0\x29",
    "varint": b"\x29",
    "hex4": b"002d",
    "content-length": b"Content-Length: 41\r\n\r\n",
    "a number in the first line": b"41\n",
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", TOO_MUCH)
def test_an_answer_over_the_limit_is_an_error_before_it_ends(name: str, size: int) -> None:
    case, data = CASES[name], TOO_MUCH[name]
    framing, answers = fed(case.rule, case.data + data + b"more", size)
    assert answers == case.answers
    assert type(framing.error) is ProtocolError
    assert str(framing.error).startswith(TOO_LONG)
    assert framing.eof() is framing.error
    assert not framing.is_clean
    assert framing.feed(case.data) == []


NO_HEADER = [
    ("varint", b"\xff" * 10, "an answer must begin with its length as a varint, got: "),
    ("hex4", b"12g", "an answer must begin with its length as four hexadecimal digits, got: "),
    ("content-length", b"Hello, world", "an answer must begin with a header that has a Content-L"),
    ("content-length", b"Content-Type: x\r\n\r\n", "an answer must begin with a header that has a"),
    ("content-length", b"\xff", "an answer must begin with a header that has a Content-Length"),
    (r"(\d+);", b"x" * 4096, r"an answer must begin with a header that matches '(\\d+);', got: "),
    (r"([^;]+);", b"x;", "group 1 of a header must be a number of bytes, got: b'x;'"),
    (r"(\d+);", b"9" * 20 + b";", "group 1 of a header must be a number of bytes, got: "),
]


@pytest.mark.parametrize("size", [10_000, 1, 7])
@pytest.mark.parametrize(("length", "data", "words"), NO_HEADER)
def test_what_is_no_header_is_an_error(length: str, data: bytes, words: str, size: int) -> None:
    framing, answers = fed(rule(length=length), data, size)
    assert answers == []
    assert type(framing.error) is ProtocolError
    assert str(framing.error).startswith(words)


@pytest.mark.parametrize("size", SIZES)
def test_something_else_after_a_body(size: int) -> None:
    framing, answers = fed(CASES["git"].rule, b"b blob 3\nabcX", size)
    assert answers == []
    assert str(framing.error) == "after the answer b'\\n' must follow, got: b'X'"


def test_skipped_messages_are_kept_for_the_record() -> None:
    framing, answers = fed(rule(lines=1, skip="^#"), b"#a\nb\n#c\n" + b"#d\n" * 200, 1)
    assert answers == [b"b"]
    assert framing.take_skipped() == [b"#d"] * 100
    assert framing.take_skipped() == []


def marked(request: str = '{message}\nprint "{mark}\\n"\n', **answer: object) -> Framing:
    keys = {"until": "{mark}\n", **answer}
    return make_framing(Declaration(request, None, rule(**keys)))


def mark_in(request: tuple[bytes, ...]) -> bytes:
    data = b"".join(request)
    return data[data.index(b"pp") : data.index(b"pp") + 18]


REQUESTS = [
    "{message}{mark}",
    "{mark}{message}",
    "<{mark}>{length};{message}",
    "{message}{u32be}%{mark}{u32le}%",
]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("end", ["{mark}", "[{mark}]", "{mark}\n"])
@pytest.mark.parametrize("request_", REQUESTS)
def test_each_answer_ends_with_its_own_mark(request_: str, end: str, size: int) -> None:
    framing = marked(request_, until=end)
    data = b""
    for message in (b"a", b"x" * 100_000, b""):
        request = framing.encode(message)
        framing.expect(request)
        mark = mark_in(request)
        assert mark.isalnum()
        data += message[:3] + b"\n" + end.encode().replace(b"{mark}", mark)
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    answers = [answer for piece in pieces for answer in framing.feed(piece)]
    assert answers == [b"a\n", b"xxx\n", b"\n"]
    assert framing.is_clean


def test_the_mark_of_another_request_ends_nothing() -> None:
    framing = marked()
    first, second = framing.encode(b"a"), framing.encode(b"a")
    assert mark_in(first) != mark_in(second)
    framing.expect(second)
    stale = b"1\n" + mark_in(first) + b"\n"
    assert framing.whole(stale) is None
    assert framing.feed(stale) == []
    assert framing.feed(mark_in(second) + b"\n") == [stale]


def test_what_comes_without_a_request_is_no_answer() -> None:
    framing = marked()
    assert framing.whole(b"banner\n") is None
    assert framing.feed(b"banner\n") == []
    assert not framing.is_clean


def test_no_two_marks_are_equal() -> None:
    framing = marked()
    marks = {mark_in(framing.encode(b"")) for _ in range(5000)}
    assert len(marks) == 5000


def test_what_is_refused_is_not_sent() -> None:
    framing = make_framing(Declaration(refuse="^-(execute|stay_open)", answer=rule(until="x")))
    assert framing.encode(b"-ver\n-x") == (b"-ver\n-x\n",)
    with pytest.raises(CodecError, match=r"must not hold b'-execute', as it does at byte 5: "):
        framing.encode(b"-ver\n-execute")


def test_a_message_over_the_limit_is_refused() -> None:
    declaration = Declaration(max_message=3, answer=rule(until="x"))
    for framing in (make_framing(declaration), marked_with_limit(3)):
        framing.encode(b"123")
        with pytest.raises(ProtocolError, match=r"has 4 bytes, more than max_message \(3\)"):
            framing.encode(b"1234")


def marked_with_limit(limit: int) -> Framing:
    return make_framing(
        Declaration("{message} {mark}", None, rule(until="{mark}"), max_message=limit)
    )


@pytest.mark.parametrize(
    "case", [CASES["a prompt"], CASES["an empty line"], CASES["big-endian"], CASES["git"]]
)
def test_many_small_pieces_cost_time_in_proportion(case: Case) -> None:
    """Quadratic time would take minutes here."""
    framing = make_framing(Declaration(answer=case.rule, refuse=None))
    if case.rule.length is None:
        begin = b""
    else:
        begin = b"b blob 1000000\n" if case.rule.length == GIT else (1_000_000).to_bytes(4, "big")
    framing.feed(begin)
    for _ in range(200_000):
        assert framing.feed(b"xxxx\n"[: 5 if case.rule.until_line else 4]) == []
