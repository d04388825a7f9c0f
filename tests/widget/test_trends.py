from __future__ import annotations

from processpool.widget.feed import Feed
from processpool.widget.trends import SECONDS, Trends
from tests.widget.snapshots import pool, worker


def test_there_is_a_sample_each_second_and_its_last_figures_count() -> None:
    trends = Trends()
    for at, rate in ((100.0, 1.0), (100.75, 2.0), (101.0, 3.0)):
        trends.note(at, rate, 5, 1024)
    assert trends.all() == [[100, 2.0, 5, 1024], [101, 3.0, 5, 1024]]


def test_what_is_older_than_a_minute_is_forgotten() -> None:
    trends = Trends()
    for second in range(200):
        trends.note(second, second, 0, 0)
    assert [sample[0] for sample in trends.all()] == list(range(200 - SECONDS, 200))
    trends.note(1000, 0, 0, 0)
    assert trends.all() == [[1000, 0, 0, 0]]


def test_a_front_end_that_comes_late_gets_the_last_minute() -> None:
    feed = Feed()
    for quarter in range(40):
        feed.take(pool(at=100 + quarter / 4, finished=quarter, queued=40 - quarter))
    trends = feed.everything()["trends"]
    assert [sample[0] for sample in trends] == list(range(100, 110))
    assert trends[-1] == [109, 4.0, 1, 0]


def test_workers_whose_memory_is_not_known_count_like_those_whose_is() -> None:
    feed = Feed()
    feed.take(pool(worker(1, cpu=0.0, memory=4_000_000), worker(2), at=100.0))
    assert feed.state["memory"] == [8_000_000, 1]
