from __future__ import annotations

import json

from processpool.core.snapshot import Failure, MapSnapshot
from processpool.widget.eta import Range
from processpool.widget.view import Figures, render
from tests.widget.snapshots import busy, pool, run, worker


def test_the_headline_has_the_totals() -> None:
    snapshot = pool(worker(1), busy(2, item=7), queued=3, finished=12, failed=1)
    state = render(snapshot, Figures(rate=4.26))
    assert state["workers"] == {"starting": 0, "idle": 1, "busy": 1, "leased": 0, "stopping": 0}
    assert (state["name"], state["state"], state["size"]) == ("demo", "open", [1, 4])
    assert (state["queued"], state["running"]) == (3, 1)
    assert (state["ok"], state["failed"], state["rate"]) == (11, 1, 4.3)


def test_a_row_says_since_when_and_not_how_long() -> None:
    worker = busy(2, item=7, age=2.5, handled=3, progress=(1, 4, "reading"), slot=1)
    snapshot = pool(worker, at=100.0)
    figures = Figures(cpu={2: 49.7}, memory={2: 1 << 20}, late={2}, describe=lambda _: "x")
    row = [102, "busy", 7, 97.5, 3, 0, 50, 1 << 20, True, [1, 4, "reading"], 1, "x"]
    assert render(snapshot, figures)["rows"] == {"2": row}


def test_a_map_has_its_time_to_go() -> None:
    figures = Figures(etas={1: Range(12.0, 15.0)}, rates={1: 0.5})
    state = render(pool(maps=(run(1, done=3, total=10), run(2, total=None))), figures)
    assert state["maps"] == [
        [1, "map 1", 3, 0, 0, 10, 94.0, [12.0, 15.0], 0.5],
        [2, "map 2", 3, 0, 0, None, 94.0, None, 0.0],
    ]


def test_a_map_that_has_ended_has_its_time() -> None:
    ended = MapSnapshot(1, "one", 10, 2, 10, 61.04), MapSnapshot(2, "\x1b", 3, 0, 10, 2.0, 7)
    state = render(pool(ended_maps=ended), Figures())
    assert state["ended"] == [
        [1, "one", 8, 2, 0, 10, 61.0, True],
        [2, "\\x1b", 3, 0, 7, 10, 2.0, False],
    ]


def test_the_last_error_has_its_worker_and_its_log() -> None:
    failure = Failure(99.0, "WorkerDied: \x1b[1mgone", 2, 102, "one\ntwo\n")
    error = render(pool(last_failure=failure), Figures())["error"]
    expected = {"at": 99.0, "text": "WorkerDied: \\x1b[1mgone", "worker": 2, "log": ["one", "two"]}
    assert error == expected


def test_a_log_that_the_error_quotes_is_not_shown_twice() -> None:
    failure = Failure(99.0, "WorkerDied: gone; it wrote:\n  | one\n  | two", 2, 102, "one\ntwo\n")
    assert render(pool(last_failure=failure), Figures())["error"]["log"] == []


def test_lanes_are_grouped_by_node() -> None:
    here = worker(1, node="one/a"), worker(2, node="two/b", stale=True), worker(4, node="one/a")
    state = render(pool(*here), Figures(lanes=[1, 2, 0, 4]))
    assert state["nodes"] == [["one/a", False, [0, 3]], ["two/b", True, [1]]]
    assert render(pool(worker(1)), Figures(lanes=[1]))["nodes"] == []


def test_lanes_are_named_if_there_is_room() -> None:
    assert render(pool(), Figures(lanes=[3, 0]))["lanes"] == [3, 0]
    assert render(pool(), Figures(lanes=range(1, 100)))["lanes"] == []


def test_everything_travels_as_json() -> None:
    snapshot = pool(worker(1), busy(2, item=7), maps=(run(),), last_failure=Failure(1.0, "x"))
    state = render(snapshot, Figures(cpu={1: 3.0}))
    assert json.loads(json.dumps(state)) == state
