"""The start dialogue: what is written, what is dropped, and when it is over."""

from __future__ import annotations

import pytest

from processpool.wire.framing.declaration import AnswerRule, Declaration, Step
from processpool.wire.framing.start import StartDialogue


def dialogue(*steps: tuple[str, str], answer: AnswerRule | None = None) -> StartDialogue:
    return StartDialogue(
        Declaration(
            start=tuple(Step(verb, text) for verb, text in steps),  # type: ignore[arg-type]
            answer=answer or AnswerRule(lines=1),
        )
    )


@pytest.mark.parametrize("size", [100, 1, 2, 3])
def test_steps_are_taken_in_order(size: int) -> None:
    start = dialogue(("expect", ">>"), ("send", "uci\n"), ("expect", "uciok"), ("ask", "new"))
    assert start.begin() == b""
    written = []
    data = b"banner > >> uuciok"
    for at in range(0, len(data), size):
        assert not start.is_over
        written.append(start.feed(data[at : at + size]))
    assert b"".join(written) == b"uci\nnew\n"
    assert not start.is_over
    assert start.feed(b"done\n") == b""
    assert start.is_over
    assert start.error is None


def test_what_came_before_it_was_asked_is_no_answer() -> None:
    start = dialogue(("expect", "uciok"), ("ask", "isready"))
    start.begin()
    assert start.feed(b"uciok\nmore\n") == b"isready\n"
    assert not start.is_over


def test_what_comes_with_the_end_of_the_last_step_is_dropped() -> None:
    start = dialogue(("expect", "uciok"))
    start.begin()
    assert start.feed(b"id x\nuciok \nmore") == b""
    assert start.is_over


def test_steps_that_only_write_need_nothing_to_come() -> None:
    start = dialogue(("send", "a\n"), ("send", "b\n"))
    assert start.begin() == b"a\nb\n"
    assert start.is_over
    assert start.awaited() == ""


def test_what_is_asked_is_asked_as_requests_are() -> None:
    declaration = Declaration(
        request='{message}\necho "{mark}"\n',
        refuse=None,
        answer=AnswerRule(until="{mark}\n"),
        start=(Step("ask", "set x"), Step("ask", "set y")),
    )
    start = StartDialogue(declaration)
    first = start.begin()
    assert first.startswith(b'set x\necho "pp')
    mark = first.split(b'"')[1]
    assert start.feed(b"noise\n" + mark[:5]) == b""
    second = start.feed(mark[5:] + b"\n")
    assert second.startswith(b'set y\necho "pp')
    assert mark not in second
    start.feed(second.split(b'"')[1] + b"\n")
    assert start.is_over


def test_it_says_what_it_waits_for() -> None:
    start = dialogue(("expect", "uciok"), ("ask", "x"))
    start.begin()
    assert start.awaited() == (
        "step 1 of worker.protocol.start waits for 'uciok', it has written nothing"
    )
    start.feed(b"hello")
    assert start.awaited() == (
        "step 1 of worker.protocol.start waits for 'uciok', the last it wrote is b'hello'"
    )
    start.feed(b"uciok")
    assert start.awaited().startswith("step 2 of worker.protocol.start asked 'x', the last")


def test_an_answer_that_breaks_the_rules_ends_it() -> None:
    start = dialogue(("ask", "x"), answer=AnswerRule(length="content-length"))
    start.begin()
    start.feed(b"Segmentation fault\n")
    assert start.error is not None
    assert not start.is_over


def test_much_output_before_the_text_costs_time_in_proportion() -> None:
    start = dialogue(("expect", "ready now"))
    start.begin()
    for _ in range(200_000):
        start.feed(b"rea")
    start.feed(b"ready now")
    assert start.is_over
