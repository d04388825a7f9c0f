"""How a map has run: stretches, totals and what they take up."""

from __future__ import annotations

import pytest

from processpool.core import run_record
from processpool.core.log_bins import LogBins
from processpool.core.run_record import FAILED, KEPT, NAMED, SLOWEST, RunRecord
from processpool.core.time_bins import BINS, TimeBins


def filled(stretches: int, *, seconds: float = 0.01, slots: int = 2) -> RunRecord:
    """A record of so many stretches, one after the other in each slot."""
    record = RunRecord(1, "f", 100.0, slots=slots)
    for number in range(stretches):
        slot, since = number % slots, 100.0 + number // slots * seconds
        record.note(slot, slot + 1, number, 1, since, since + seconds, 0.5)
    return record


class TestStretches:
    def test_a_slow_item_has_one_of_its_own(self) -> None:
        found = list(filled(6).stretches())
        assert [(one.slot, one.first, one.items) for one in found] == [
            (0, 0, 1), (1, 1, 1), (0, 2, 1), (1, 3, 1), (0, 4, 1), (1, 5, 1),
        ]  # fmt: skip
        assert found[0].each == pytest.approx(0.01)
        assert found[0].wait == 0.5

    def test_fast_items_that_follow_each_other_share_one(self) -> None:
        record = filled(2000, seconds=0.0001, slots=1)
        found = list(record.stretches())
        assert sum(one.items for one in found) == 2000
        assert len(found) < 250
        assert all(one.each == pytest.approx(0.0001, rel=0.01) for one in found)

    def test_a_slow_one_behind_them_does_not(self) -> None:
        record = RunRecord(1, "f", 0.0)
        record.note(0, 1, 0, 5, 0.0, 0.0005)
        record.note(0, 1, 5, 1, 0.0005, 10.0)
        assert [(one.first, one.items) for one in record.stretches()] == [(0, 5), (5, 1)]
        assert record.slowest()[0].seconds == pytest.approx(10.0, rel=0.01)

    def test_a_pause_separates_them(self) -> None:
        record = RunRecord(1, "f", 0.0)
        record.note(0, 1, 0, 5, 0.0, 0.0001)
        record.note(0, 1, 5, 5, 0.1, 0.1001)
        assert [one.first for one in record.stretches()] == [0, 5]

    def test_another_worker_in_the_slot_has_its_own(self) -> None:
        record = RunRecord(1, "f", 0.0)
        record.note(0, 1, 0, 1, 0.0, 0.0001)
        record.note(0, 2, 1, 1, 0.0001, 0.0002)
        assert [one.worker_id for one in record.stretches()] == [1, 2]

    def test_failed_items_have_their_own(self) -> None:
        record = RunRecord(1, "f", 0.0)
        record.note(0, 1, 0, 1, 0.0, 0.0001)
        record.note(0, 1, 1, 1, 0.0001, 0.0002, failed=1)
        record.note(0, 1, 2, 1, 0.0002, 0.0003)
        assert [one.failed for one in record.stretches()] == [0, 1, 0]

    def test_what_came_in_one_notice_shares_its_time(self) -> None:
        record = RunRecord(1, "f", 0.0)
        record.note(0, 1, 0, 3, 0.0, 4.0)
        record.note(0, 1, 3, 1, 0.0, 4.0, failed=1)
        (one,) = record.stretches()
        assert (one.items, one.failed, one.until - one.since) == (4, 1, 4.0)


class TestBounds:
    def test_beyond_the_latest_only_totals_are_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(run_record, "KEPT", 100)
        record = filled(1000)
        assert len(list(record.stretches())) == 102
        assert [one.first for one in record.stretches()][-1] == 999
        totals = record.totals()
        assert totals.items == 1000
        assert totals.runs.total == pytest.approx(10.0)
        assert sum(sum(row) for row in totals.busy.rows.values()) == pytest.approx(10.0)
        assert record.totals().items == 1000

    def test_a_second_has_a_bounded_number(self) -> None:
        record = RunRecord(1, "f", 0.0, slots=500)
        for number in range(100_000):  # 500 workers with items of 5 ms
            slot = number % 500
            since = number // 500 * 0.005
            record.note(slot, slot + 1, number, 1, since, since + 0.005)
        assert len(list(record.stretches())) <= 2000 + 500
        assert record.totals().items == 100_000

    def test_the_ring_holds_what_is_promised(self) -> None:
        record = filled(KEPT + 10)
        assert KEPT <= len(list(record.stretches())) <= KEPT + 2

    def test_the_slowest_are_remembered_with_what_they_were(self) -> None:
        record = filled(1000)
        record.note(0, 1, 5000, 1, 200.0, 230.0, item={"price": "n/a"})
        record.note(0, 1, 5001, 1, 230.0, 270.0, item=b"x" * 10_000)
        first, second, *_ = record.slowest()
        assert (first.first, first.seconds, first.asked) == (5001, 40.0, None)
        assert (second.first, second.asked) == (5000, {"price": "n/a"})

    def test_what_the_latest_items_were_is_remembered(self) -> None:
        record = RunRecord(1, "f", 0.0)
        for number in range(2 * NAMED):
            record.note(0, 1, number, 1, number, number + 0.5, item=f"row {number}")
        named = record.named()
        assert named[2 * NAMED - 1] == f"row {2 * NAMED - 1}"
        assert NAMED <= len(named) <= NAMED + SLOWEST

    def test_of_those_that_share_a_stretch_it_is_the_first(self) -> None:
        record = RunRecord(1, "f", 0.0)
        for number in range(5):
            record.note(0, 1, number, 1, number / 10_000, (number + 1) / 10_000, item=str(number))
        assert len(list(record.stretches())) == 1
        assert record.named()[0] == "0"

    def test_the_errors_of_the_latest_are_remembered_and_one_of_each_kind(self) -> None:
        record = RunRecord(1, "f", 0.0)
        record.note_failure(0, "ValueError: the first")
        for number in range(1, 2 * FAILED):
            record.note_failure(number, f"KeyError: {number}{'x' * 1000}")
        failures = record.failures()
        assert failures[0] == "ValueError: the first"
        assert failures[2 * FAILED - 1].startswith(f"KeyError: {2 * FAILED - 1}x")
        assert FAILED <= len(failures) <= FAILED + 10
        assert sum(map(len, failures.values())) < 500 * FAILED

    def test_kinds_of_errors_are_bounded(self) -> None:
        record = RunRecord(1, "f", 0.0)
        for number in range(1000):
            record.errors.add(number, f"E{'x' * (number % 300)}: {number}")
        groups = record.errors.largest_first()
        assert len(groups) == 101
        assert sum(group.count for group in groups) == 1000


class TestBins:
    @pytest.mark.parametrize("seconds", [0.0001, 0.1, 5.0, 4000.0])
    def test_time_is_neither_lost_nor_gained(self, seconds: float) -> None:
        bins = TimeBins(10.0)
        at = 10.0
        for _ in range(300):
            bins.spread(1, at, at + seconds)
            at += 2 * seconds
        assert sum(bins.rows[1]) == pytest.approx(300 * seconds)
        assert max(bins.rows[1]) <= bins.width * 1.0001
        assert bins.used(at) <= BINS

    def test_the_largest_stays_the_largest(self) -> None:
        bins = TimeBins(0.0, largest=True)
        bins.add(0, 0.01, 7.0)
        bins.add(0, 100.0, 3.0)
        assert max(bins.rows[0]) == 7.0
        assert sum(1 for amount in bins.rows[0] if amount) == 2

    @pytest.mark.parametrize("percent", [1, 50, 90, 99])
    def test_percentiles_are_within_three_percent(self, percent: int) -> None:
        bins = LogBins()
        for number in range(1, 10_001):
            bins.add(number / 1000)
        assert bins.percentile(percent) == pytest.approx(percent / 10, rel=0.03)
        assert bins.mean == pytest.approx(5.0005)

    def test_nothing_has_no_percentiles(self) -> None:
        assert LogBins().percentile(99) == 0.0
        bins = LogBins()
        bins.add(0.0)
        assert bins.percentile(50) == 0.0
