from __future__ import annotations

from typing import Any

from processpool.widget.delta import applied
from processpool.widget.feed import RESOURCE_INTERVAL, RESOURCES_PER_LOOK, Feed
from processpool.widget.lanes import COLUMNS
from tests.widget.snapshots import busy, pool, worker


def heard() -> Feed:
    """A feed to which a front end listens."""
    feed = Feed()
    feed.take(pool(worker(1), at=100.0))
    feed.everything()
    return feed


def frame_of(feed: Feed, *args: Any, **changes: Any) -> dict[str, Any]:
    frame = feed.take(pool(*args, **changes))
    assert frame is not None
    return frame


def test_frames_are_full_until_a_front_end_has_been_heard() -> None:
    feed = Feed()
    assert "full" in frame_of(feed, worker(1), at=100.0)
    assert "full" in frame_of(feed, busy(1, item=0), at=100.25)
    feed.everything()
    assert "delta" in frame_of(feed, worker(1), at=100.5)


def test_frames_are_numbered_and_lead_from_state_to_state() -> None:
    feed = heard()
    state, seq = feed.state, feed.everything()["seq"]
    for quarter, item in enumerate(range(3, 9), 1):
        frame = frame_of(feed, busy(1, item=item), worker(item), at=100 + quarter / 4)
        state = applied(state, frame["delta"])
        seq += 1
        assert (frame["seq"], state) == (seq, feed.state)


def test_nothing_is_sent_while_nothing_happens_but_a_heartbeat() -> None:
    feed = heard()
    frames = [feed.take(pool(worker(1), at=100 + quarter / 4)) for quarter in range(1, 9)]
    sent = [frame for frame in frames if frame is not None]
    assert [frame["at"] for frame in sent] == [101.0, 102.0]
    assert [frame["delta"] for frame in sent] == [{}, {}]
    assert [sum(count for count, *_ in frame["columns"]) for frame in sent] == [4, 4]


def test_an_item_that_merely_grows_older_is_no_news() -> None:
    feed = heard()
    assert feed.take(pool(busy(1, item=0, age=1.0), at=101.0)) is not None
    assert feed.take(pool(busy(1, item=0, age=1.25), at=101.25)) is None


def test_new_lines_of_a_worker_are_news() -> None:
    feed = heard()
    frame = frame_of(feed, worker(1, stderr="hm\n", stderr_bytes=3), at=100.25)
    assert frame["log"] == [(1, "hm")]


def test_a_late_front_end_gets_the_history() -> None:
    feed = heard()
    for quarter in range(1, 2 * COLUMNS):
        line = f"line {quarter}\n"
        feed.take(pool(worker(1, stderr=line, stderr_bytes=9 * quarter), at=100 + quarter / 4))
    frame = feed.everything()
    assert frame["full"] == feed.state
    assert frame["history"]
    assert sum(count for count, *_ in frame["columns"]) == COLUMNS
    assert frame["log"]


def test_resources_are_read_now_and_then_of_a_few_workers() -> None:
    feed = Feed()
    workers = [worker(number, cpu=1.0, memory=1) for number in range(1, 26)]
    feed.take(pool(*workers))
    turns = -(-len(workers) // RESOURCES_PER_LOOK)
    looks = [feed.next_looks() for _ in range(turns * RESOURCE_INTERVAL)]
    assert [len(look) for look in looks] == (
        [RESOURCES_PER_LOOK] + [0] * (RESOURCE_INTERVAL - 1)
    ) * turns
    assert frozenset().union(*looks) == {worker.id for worker in workers}


def test_workers_of_which_nothing_is_known_are_read_first() -> None:
    feed = Feed()
    feed.take(pool(*[worker(n, memory=1, cpu=1.0 if n < 30 else None) for n in range(1, 41)]))
    assert feed.next_looks() == set(range(30, 41))
    assert not feed.next_looks()
    feed.read_next()
    assert feed.next_looks()
    feed = Feed()
    feed.take(pool(*[worker(number) for number in range(1, 41)]))
    assert feed.next_looks() == set(range(1, 2 * RESOURCES_PER_LOOK + 1))


def test_of_a_pool_without_workers_nothing_is_read() -> None:
    feed = Feed()
    assert {feed.next_looks() for _ in range(2 * RESOURCE_INTERVAL)} == {frozenset()}


def test_of_many_workers_the_same_have_a_row_while_items_take_what_is_usual() -> None:
    feed, rows = Feed(), set[tuple[int, ...]]()
    for quarter in range(80):
        took = [(quarter + 4 * number) % 12 / 4 for number in range(100)]  # three seconds each
        workers = [
            busy(number + 1, item=quarter // 12, age=age, handled=(quarter + 4 * number) // 12)
            for number, age in enumerate(took)
        ]
        feed.take(pool(*workers, at=100 + quarter / 4, queued=50))
        if quarter > 20:
            rows.add(tuple(feed.state["order"]))
    assert len(rows) == 1


def test_of_very_many_rows_each_is_made_anew_twice_a_second_and_at_once_if_it_fails() -> None:
    feed = Feed()

    def look(quarter: int, **changes: Any) -> set[int]:
        workers = [busy(n, item=quarter, handled=quarter) for n in range(1, 40)]
        feed.next_looks()
        feed.take(pool(*workers, busy(40, item=quarter, **changes), at=100 + quarter / 4))
        return {int(n) for n, row in feed.state["rows"].items() if row[2] == quarter}

    assert len(look(0)) == 40
    halves = [look(quarter) for quarter in (1, 2)]
    assert [len(half) for half in halves] == [20, 20]
    assert halves[0] | halves[1] == set(range(1, 41))
    assert 40 in look(3, failed=1)
    assert 40 in look(4, failed=2)
    feed.read_next()
    assert len(look(5)) == 40
