"""How many items a worker may have: many of the fast ones, two of the slow ones."""

from __future__ import annotations

from processpool.core.batch_size import MAX_GROWTH, MAX_WINDOW, TARGET_SECONDS, Pace


def test_it_begins_with_one() -> None:
    assert Pace().window == 1


def test_it_grows_step_by_step() -> None:
    pace, windows = Pace(), []
    for _ in range(8):
        pace.learn(pace.window, pace.window * 1e-7)
        windows.append(pace.window)
    assert windows == sorted(windows)
    assert windows[0] <= MAX_GROWTH
    assert windows[-1] == MAX_WINDOW


def test_items_that_travel_together_take_about_as_long_as_wanted() -> None:
    pace = Pace()
    for _ in range(20):
        pace.learn(pace.window, pace.window * TARGET_SECONDS / 100)
    assert 90 <= pace.window <= 110


def test_of_slow_items_one_runs_and_one_waits() -> None:
    pace = Pace()
    for _ in range(10):
        pace.learn(pace.window, pace.window * 1e-6)
    pace.learn(1, 1.0)
    assert pace.window == 2
    pace.learn(1, 0.001)
    assert pace.window == 2, "an old, slow estimate fades only slowly"


def test_no_time_at_all() -> None:
    pace = Pace()
    pace.learn(10, 0.0)
    assert 1 <= pace.window <= MAX_WINDOW
