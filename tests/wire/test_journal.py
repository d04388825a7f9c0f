"""The journal from both sides: whatever is in it when the worker stops, the pool finds."""

from __future__ import annotations

import marshal
import os
import struct
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from processpool.engine.workers.answers import plain_values
from processpool.wire.python import layout
from processpool.wire.python.frames import FrameReader
from processpool.wire.python.journal import Journal, JournalView, count_answers
from processpool.wire.python.layout import ENTRY, FLOATS, INTS, PLAIN, SHORT, SHORT_VERSION
from processpool.wire.python.pickling import dumps

if TYPE_CHECKING:
    from collections.abc import Iterator

VALUES: list[Any] = [None, True, False, 0, -1, 2**31 - 1, 2**31, -(2**31), -(2**80), 2**200]
VALUES += [0.5, -0.0, float("inf"), "", "ä", "\ud800", "x" * 300, b"", b"\xff" * 300]


class Both:
    """A journal in memory, both of its sides, and the pipe between them."""

    def __init__(self) -> None:
        shared = os.memfd_create("test")
        os.ftruncate(shared, layout.ARENA_BASE)
        self.answers, self._write_end = os.pipe()
        os.set_blocking(self.answers, False)
        self.journal = Journal(shared, self._write_end)
        self.view = JournalView(shared)
        os.close(shared)

    def close(self) -> None:
        self.view.close()
        os.close(self.answers)
        os.close(self._write_end)

    def peeked(self, begin: int = 0, base: int = 0) -> list[Any]:
        found = self.view.peek(begin, base)
        return [] if found is None else plain_values(*found[0])

    def sent(self) -> list[tuple[int, int, bytes]]:
        try:
            return FrameReader().feed(os.read(self.answers, 1 << 20))
        except BlockingIOError:
            return []


@pytest.fixture
def both() -> Iterator[Both]:
    made = Both()
    yield made
    made.close()


def plain(value: Any) -> bytes:
    return dumps(value, 3)[2:-1]


class TestOneByOne:
    def test_what_was_appended_is_seen_at_once(self, both: Both) -> None:
        for n in range(3):
            both.journal.append(PLAIN, plain(n))
            assert both.peeked() == list(range(n + 1))

    def test_from_where_it_is_known(self, both: Both) -> None:
        both.journal.append(PLAIN, plain("known"))
        found = both.view.peek(0, 0)
        assert found is not None
        both.journal.append(PLAIN, plain("new"))
        assert both.peeked(begin=found[1]) == ["new"]

    def test_what_was_sent_is_not_there_any_more(self, both: Both) -> None:
        both.journal.append(PLAIN, plain(1))
        both.journal.flush()
        assert both.sent() == [(PLAIN, 1, plain(1))]
        assert both.peeked(base=1) == []
        both.journal.append(PLAIN, plain(2))
        assert both.peeked(base=0) == [], "the first answer was not read from the pipe yet"
        assert both.peeked(base=1) == [2]

    def test_it_is_sent_when_it_is_full(self, both: Both) -> None:
        body = plain("x" * (layout.JOURNAL_SIZE // 2))
        os.set_blocking(both.answers, True)
        both.journal.append(PLAIN, plain(1))
        both.journal.append(layout.ENTRIES, ENTRY.pack(0, 1) + b"N")
        assert both.sent() == [(PLAIN, 1, plain(1))], "nor do two kinds lie together"
        assert len(body) < layout.JOURNAL_SIZE


@pytest.mark.parametrize(
    ("kind", "values"), [(INTS, [5, -(2**63), 2**63 - 1]), (FLOATS, [-0.0, float("-inf"), 1e300])]
)
class TestColumn:
    def test_each_answer_is_seen_at_once(self, both: Both, kind: int, values: list[Any]) -> None:
        cells: Any
        cells, _ = both.journal.begin_run(kind, 4)
        for n, value in enumerate(values):
            assert both.peeked() == values[:n]
            assert both.view.begun() == n + 1
            cells[n] = value
        assert repr(both.peeked()) == repr(values)
        assert both.view.begun() == 4

    def test_behind_the_last_nothing_has_begun(
        self, both: Both, kind: int, values: list[Any]
    ) -> None:
        cells: Any
        cells, _ = both.journal.begin_run(kind, 3)
        for n, value in enumerate(values):
            cells[n] = value
        assert both.view.begun() == 3
        both.journal.end_run(3, 3)
        assert both.view.begun() == 3
        ((found, count, body),) = both.sent()
        assert (found, count) == (kind, 3)
        assert repr(plain_values(kind, count, body)) == repr(values)

    def test_a_run_that_ends_early(self, both: Both, kind: int, values: list[Any]) -> None:
        cells: Any
        cells, _ = both.journal.begin_run(kind, 100)
        cells[0] = values[0]
        both.journal.end_run(1, 2)
        assert both.view.begun() == 2
        both.journal.append(PLAIN, plain("unusual"))
        assert [count for _, count, _ in both.sent()] == [1]
        assert both.peeked(base=1) == ["unusual"]

    def test_a_run_without_any_answer(self, both: Both, kind: int, values: list[Any]) -> None:
        both.journal.begin_run(kind, 100)
        both.journal.end_run(0, 0)
        assert both.sent() == []
        assert both.peeked() == []
        assert both.view.begun() == 0


def test_nan_is_an_answer(both: Both) -> None:
    cells: Any
    cells, _ = both.journal.begin_run(FLOATS, 3)
    cells[0] = float("nan")
    cells[1] = -float("nan")
    assert len(both.peeked()) == 2


def test_the_blank_itself_as_an_answer_before_others(both: Both) -> None:
    """It cannot be told by those who do not know it; should it come up by chance, it is counted."""
    cells: Any
    cells, _ = both.journal.begin_run(INTS, 3)
    cells[0], cells[1] = both.journal.blank, 7
    assert both.peeked() == [both.journal.blank, 7]
    assert both.view.begun() == 3


def test_the_blank_is_another_in_each_worker_and_no_number() -> None:
    first, second = Both(), Both()
    blanks = first.journal.blank, second.journal.blank
    first.close()
    second.close()
    assert blanks[0] != blanks[1]
    for blank in blanks:
        (number,) = struct.unpack("<d", blank.to_bytes(8, "little"))
        assert number != number


class TestShort:
    def test_each_answer_is_seen_at_once(self, both: Both) -> None:
        room, length = both.journal.begin_run(SHORT, len(VALUES))
        end = 0
        for n, value in enumerate(VALUES):
            assert repr(both.peeked()) == repr(VALUES[:n])
            assert both.view.begun() == n + 1
            body = marshal.dumps(value, SHORT_VERSION)
            room[end : end + len(body)] = body
            assert repr(both.peeked()) == repr(VALUES[:n]), "it counts when it is whole"
            end += len(body)
            length[0] = end
        assert both.view.begun() == len(VALUES)
        both.journal.end_run(len(VALUES), len(VALUES))
        ((kind, count, body),) = both.sent()
        assert repr(plain_values(kind, count, body)) == repr(VALUES)
        assert [type(value) for value in plain_values(kind, count, body)] == list(map(type, VALUES))

    @pytest.mark.parametrize("value", VALUES, ids=repr)
    def test_they_are_counted_without_being_read(self, value: Any) -> None:
        body = marshal.dumps(value, SHORT_VERSION)
        assert count_answers(SHORT, body * 3) == 3


class TestCutShort:
    def test_nothing_can_be_stored_any_more(self, both: Both) -> None:
        cells: Any
        for kind in (INTS, SHORT):
            cells, length = both.journal.begin_run(kind, 3)
            both.journal.cut_short()
            assert both.journal.is_cut_short
            with pytest.raises(ValueError, match="released"):
                cells[0] = 1
            with pytest.raises(ValueError, match="released"):
                length[0] = 1
            both.journal.end_run(0, 1)

    def test_the_running_item_has_its_number(self, both: Both) -> None:
        cells: Any
        cells, _ = both.journal.begin_run(INTS, 9)
        cells[0] = cells[1] = 5
        both.journal.cut_short()
        assert both.view.page[layout.STARTED] == 3
        both.journal.tell(layout.LOG, b"")
        assert both.sent() == [(layout.LOG, 3, b"")]

    def test_by_another_thread_it_is_only_told(self, both: Both) -> None:
        """The items go on meanwhile, and their thread alone says which has begun."""
        cells: Any
        cells, _ = both.journal.begin_run(INTS, 9)
        cells[0] = 5
        numbers: list[int] = []
        thread = Thread(target=lambda: numbers.append(both.journal.cut_short()))
        thread.start()
        thread.join()
        assert numbers == [2]
        assert both.view.page[layout.STARTED] == 0
        assert both.view.begun() == 2
        assert both.journal.is_cut_short


def test_marks_are_taken_away_behind_the_number_of_the_batch(both: Both) -> None:
    both.journal.begin_run(INTS, 3)
    assert bytes(both.journal.marks[:4]) == b"\1\1\1\0"
    both.view.ask_back(17)
    assert both.view.page[layout.WANTED] == 17
    assert not any(both.journal.marks)
