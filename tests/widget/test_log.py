from __future__ import annotations

from processpool.core.snapshot import Failure, PoolSnapshot
from processpool.widget.log import MAX_LINES, MAX_NEW_LINES, MAX_WIDTH, Log, lines_of
from tests.widget.snapshots import pool, worker


def wrote(text: str, number: int = 1, total: int | None = None) -> PoolSnapshot:
    size = len(text.encode()) if total is None else total
    return pool(worker(number, stderr=text, stderr_bytes=size))


def test_new_lines_come_once_and_say_whose_they_are() -> None:
    log = Log()
    assert log.note(wrote("one\n")) == [(1, "one")]
    assert log.note(wrote("one\n")) == []
    assert log.note(wrote("one\ntwo\n")) == [(1, "two")]
    assert list(log.lines) == [(1, "one"), (1, "two")]


def test_a_tail_that_has_moved_on_is_counted_from_its_end() -> None:
    log = Log()
    log.note(wrote("aaaa\n"))
    assert log.note(wrote("cccc\n", total=10)) == [(1, "cccc")]


def test_bytes_are_counted_and_not_letters() -> None:
    log = Log()
    log.note(wrote("äöü\n"))
    assert log.note(wrote("äöü\n€\n")) == [(1, "€")]


def test_a_flood_is_cut_to_its_end() -> None:
    log = Log()
    fresh = log.note(wrote("".join(f"line {number}\n" for number in range(1000))))
    assert len(fresh) == MAX_NEW_LINES + 1
    assert fresh[0] == (0, "… 980 lines are not shown …")
    assert fresh[-1] == (1, "line 999")


def test_memory_is_bounded() -> None:
    log = Log()
    for number in range(1, 1000):
        log.note(wrote("one\ntwo\n", number=number))
    assert len(log.lines) == MAX_LINES
    assert len(log._seen) == 1


def test_the_last_words_of_a_worker_that_is_gone_are_kept() -> None:
    log = Log()
    log.note(pool(worker(1, stderr="one\n", stderr_bytes=4)))
    failure = Failure(99.0, "WorkerDied: gone", 1, 101, "one\nlast\n")
    assert log.note(pool(last_failure=failure)) == [(1, "last")]
    assert log.note(pool(last_failure=failure)) == []


def test_lines_are_printable_and_not_too_long() -> None:
    assert lines_of("\x1b[31mred\x1b[0m\r\n") == ["\\x1b[31mred\\x1b[0m"]
    assert lines_of("x" * 10_000) == ["x" * (MAX_WIDTH - 1) + "…"]
    assert lines_of("a\n\n \nb\n", last=1) == ["b"]
