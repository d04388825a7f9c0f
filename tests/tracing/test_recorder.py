from __future__ import annotations

from processpool.core import events
from processpool.tracing.recorder import Born, Died, Fact, Mark, Recorder, Span, exit_name


def facts(*happened: events.Event) -> list[Fact]:
    recorder = Recorder()
    return [fact for event in happened for fact in recorder.take(event)] + list(recorder.settle())


def finished(
    index: int, since: float, at: float, count: int = 1, job: int = 1, worker: int = 1
) -> events.ItemsFinished:
    return events.ItemsFinished(at, worker, 100, index=index, count=count, since=since, job=job)


def test_an_item_is_a_span() -> None:
    assert facts(finished(3, since=1.0, at=1.5)) == [Span(1, 1.0, 1.5, "item", 3, 1, 1)]


def test_short_items_in_a_row_are_joined() -> None:
    happened = [finished(n, since=n * 1e-4, at=(n + 1) * 1e-4) for n in range(25)]
    spans = facts(*happened)
    assert len(spans) == 3
    assert sum(span.count for span in spans if isinstance(span, Span)) == 25
    assert spans[0] == Span(1, 0.0, 10 * 1e-4, "item", 0, 10, 1)


def test_items_of_two_maps_or_with_a_pause_between_are_not_joined() -> None:
    two_maps = facts(finished(0, 0.0, 1e-4, job=1), finished(0, 1e-4, 2e-4, job=2))
    with_pause = facts(finished(0, 0.0, 1e-4), finished(1, 1e-2, 1.01e-2))
    assert len(two_maps) == len(with_pause) == 2


def test_spans_of_a_worker_never_overlap() -> None:
    spans = facts(
        finished(0, since=1.0, at=2.0, job=1),
        finished(0, since=1.0, at=2.0, job=2),
        finished(1, since=1.5, at=3.0, job=2),
        finished(0, since=1.0, at=2.0, job=1, worker=2),
    )
    times = [(s.worker, s.begin, s.end) for s in spans if isinstance(s, Span)]
    assert times == [(1, 1.0, 2.0), (1, 2.0, 2.0), (1, 2.0, 3.0), (2, 1.0, 2.0)]


def test_workers_come_become_ready_and_go() -> None:
    assert facts(
        events.WorkerStarted(1.0, 1, 100),
        events.WorkerBecameReady(1.5, 1, 100, 0.5),
        events.WorkerStarted(2.0, 2, 101),
        events.WorkerExited(3.0, 1, 100, -9, None, "oh \x1b no"),
    ) == [
        Born(1, 1.0, 100, alive=1),
        Span(1, 1.0, 1.5, "start"),
        Born(2, 2.0, 101, alive=2),
        Mark(1, 3.0, "killed by SIGKILL", "bad", "oh \\x1b no"),
        Died(1, 3.0, alive=1),
    ]


def test_an_end_that_was_asked_for_is_nothing_bad() -> None:
    mark = facts(events.WorkerExited(3.0, 1, 100, -15, "resized", ""))[0]
    assert mark == Mark(1, 3.0, "killed by SIGTERM (resized)", "note")


def test_a_failure_closes_what_came_before() -> None:
    happened = facts(finished(0, 0.0, 1e-4), events.ItemFailed(1.0, 1, 100, 1, "WorkerDied: gone"))
    assert [type(fact) for fact in happened] == [Span, Mark]
    assert happened[1] == Mark(1, 1.0, "item 1 failed", "bad", "WorkerDied: gone")


def test_what_happens_to_the_pool_is_a_mark_of_nobody() -> None:
    marks = facts(
        events.PoolOpened(1.0),
        events.PoolPaused(2.0),
        events.PoolResumed(3.0),
        events.PoolResized(4.0, 1, 4, 2),
        events.PoolBroke(5.0, "why"),
        events.PoolClosedDown(6.0),
    )
    names = [fact.name for fact in marks if isinstance(fact, Mark) and fact.worker is None]
    assert names == ["opened", "paused", "resumed", "resized", "broken", "closed"]


def test_an_event_that_is_not_known_yet_still_shows() -> None:
    assert facts(events.WorkerEvent(1.0, 4, 100)) == [Mark(4, 1.0, "WorkerEvent", "note")]


def test_ends_have_names() -> None:
    assert exit_name(3) == "exited with 3"
    assert exit_name(-9) == "killed by SIGKILL"
    assert exit_name(-99) == "killed by signal 99"


def test_spans_have_names() -> None:
    assert Span(1, 0, 1, "start").name == "starting"
    assert Span(1, 0, 1, "item", 3, 1, 1).name == "item 3"
    assert Span(1, 0, 1, "item", 3, 4, 1).name == "items 3-6"
    assert Span(1, 0, 1, "item", 0, 4, 0).name == "4 requests"
