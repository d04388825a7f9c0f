from __future__ import annotations

from dataclasses import replace

from processpool.core.snapshot import Failure, MapSnapshot
from processpool.core.states import PoolState
from processpool.widget import static
from processpool.widget.eta import Range
from processpool.widget.view import Figures, State, render
from tests.widget.snapshots import busy, pool, run, worker


def state(*args: object, **changes: object) -> State:
    snapshot = pool(*args, **changes)  # type: ignore[arg-type]
    return render(snapshot, Figures(memory={1: 3 << 20}, cpu={1: 12.4}))


def test_the_text_is_a_table_with_totals() -> None:
    text = static.to_text(state(worker(1, handled=1200), busy(2, item=7), queued=3, finished=1500))
    assert text.splitlines() == [
        "● demo: open · 2 workers (1 idle, 1 busy) · 3 queued · 1,500 ok · 0 failed",
        "worker  pid  state   item  ok     failed  CPU   memory",
        "1       101  ○ idle        1,200  0       12 %  3.0 MiB",
        "2       102  ● busy  7     0      0",
    ]


def test_the_table_has_headings_for_rows_and_columns() -> None:
    html = static.to_html(state(busy(1, item=3, slot=0)))
    assert html.count('scope="col"') == len(static.COLUMNS)
    assert html.count('scope="row"') == 1


def test_a_worker_has_its_slot_beside_its_number() -> None:
    text = static.to_text(state(worker(7, slot=0), worker(8, slot=1), worker(9)))
    assert [line.split()[:3] for line in text.splitlines()[1:]] == [
        ["worker", "slot", "pid"],
        ["7", "0", "107"],
        ["8", "1", "108"],
        ["9", "109", "○"],
    ]


def test_columns_in_which_there_is_nothing_are_left_out() -> None:
    text = static.to_text(render(pool(worker(1)), Figures()))
    assert text.splitlines()[1] == "worker  pid  state   ok  failed"


def test_there_is_no_style_and_no_script_and_nothing_of_a_worker_is_html() -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    failure = Failure(1.0, evil, 1, 101, evil)
    shown = state(worker(1), last_failure=failure, maps=(replace(run(), label=evil),), name=evil)
    html = static.to_html(shown)
    assert "<script" not in html
    assert "<img" not in html
    assert "<style" not in html
    assert "style=" not in html
    assert "&lt;script&gt;" in html


def test_maps_and_the_last_error_are_named() -> None:
    failure = Failure(1.0, "WorkerDied: gone", 3, 103, "oh no\n")
    shown = pool(worker(1), maps=(run(),), last_failure=failure)
    text = static.to_text(render(shown, Figures(etas={1: Range(12.0, 16.0)})))
    assert "map 1: 3 of 10 ok, 0 failed, about 14 s to go" in text
    assert text.endswith("Last error, worker 3: WorkerDied: gone\n  oh no")


def test_maps_that_have_ended_are_named_the_newest_first() -> None:
    maps = (
        MapSnapshot(1, "one", 10, 0, 10, 61.0),
        MapSnapshot(2, "two", 3, 1, 10, 2.0, 7),
        MapSnapshot(3, "three", 5, 0, None, 2.0),
    )
    text = static.to_text(render(pool(ended_maps=maps), Figures()))
    assert text.splitlines()[1:] == [
        "three: 5 ok, 0 failed in 2.0 s",
        "two: 2 of 10 ok, 1 failed, 7 cancelled in 2.0 s, ended early",
        "one: 10 of 10 ok, 0 failed in 1:01",
    ]


def test_rows_that_do_not_fit_are_counted() -> None:
    text = static.to_text(state(*[worker(number) for number in range(1, 101)]))
    assert text.splitlines()[-1] == "… and 60 more workers"


def test_a_closed_pool_keeps_its_workers_and_has_the_last_totals() -> None:
    before = state(busy(1, item=5, handled=4), finished=4)
    after = state(state=PoolState.CLOSED, finished=5)
    final = static.final(before, after)
    assert static.to_text(final).splitlines() == [
        "■ demo: closed · 5 ok · 0 failed",
        "worker  pid  state    ok  failed  CPU   memory",
        "1       101  ■ ended  4   0       12 %  3.0 MiB",
    ]


def test_a_pool_that_never_had_workers_is_one_line() -> None:
    assert static.to_text(state(state=PoolState.NEW)) == "○ demo: new · 0 ok · 0 failed"


def test_failures_are_listed_in_groups_and_the_last_error_only_once() -> None:
    failures = (
        ("ValueError: N", "ValueError: <7>", 99.0, 1200),
        ("KeyError: N", "KeyError: 3", 98.0, 1),
    )
    snapshot = pool(failures=failures, last_failure=Failure(99.0, "ValueError: <7>", 2))
    state = render(snapshot, Figures())
    assert "✖ 1,200 x ValueError: <7>\n✖ 1 x KeyError: 3" in static.to_text(state)
    assert "Last error" not in static.to_text(state)
    assert "1,200 x ValueError: &lt;7&gt;" in static.to_html(state)
