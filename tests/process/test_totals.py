"""However the items of a pool end: ok + failed + cancelled is all of them, wherever it is said."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from processpool import ProcessPool, WorkerDied, progress
from tests.process.support import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processpool.core.snapshot import PoolSnapshot


def fail(number: int) -> int:
    if number % 3 == 0:
        raise ValueError(f"cannot do {number}")
    return number


def nap(seconds: float) -> None:
    progress(0.0)
    threading.Event().wait(seconds)


@pytest.fixture
def pool() -> Iterator[ProcessPool]:
    with ProcessPool.from_dict(
        {"worker": {"kind": "python"}, "size": {"min": 2, "max": 2}}
    ) as made:
        yield made


def totals(snapshot: PoolSnapshot) -> tuple[int, int, int]:
    return snapshot.ok, snapshot.failed, snapshot.cancelled


def of_last_map(snapshot: PoolSnapshot) -> tuple[int, int, int]:
    run = snapshot.ended_maps[-1]
    return run.ok, run.failed, run.cancelled


def test_a_map_that_ends_at_an_error(pool: ProcessPool) -> None:
    with suppress(ValueError):
        pool.map(fail, range(100))
    shown = pool.snapshot()
    assert sum(totals(shown)) == 100
    assert totals(shown) == of_last_map(shown)
    assert shown.failed >= 1


def test_rows_add_up(pool: ProcessPool) -> None:
    pool.map(fail, range(100), on_error="return")
    shown = pool.snapshot()
    assert totals(shown) == (66, 34, 0)
    assert sum(worker.ok for worker in shown.workers) == 66
    assert sum(worker.failed for worker in shown.workers) == 34


def test_a_map_that_is_stopped(pool: ProcessPool) -> None:
    caught: list[BaseException] = []

    def run() -> None:
        try:
            pool.map(nap, [0.0] * 10 + [60.0] * 10)
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    eventually(lambda: sum((one.item or 0) >= 10 for one in pool.snapshot().workers) == 2)
    pool.stop_map(pool.snapshot().maps[0].id)
    thread.join()
    assert isinstance(caught[0], CancelledError)
    shown = pool.snapshot()
    assert totals(shown) == of_last_map(shown) == (10, 0, 10)
    eventually(lambda: len(pool.snapshot().losses) == 2)
    assert {loss.how for loss in pool.snapshot().losses} == {"cancelled"}
    assert pool.snapshot().last_failure is None


def test_what_comes_too_late_is_counted_nowhere(pool: ProcessPool) -> None:
    for _ in range(5):
        before = pool.snapshot().ok

        def stop(before: int = before) -> None:
            eventually(lambda: pool.snapshot().ok > before + 100)
            pool.stop_map(pool.snapshot().maps[0].id)

        thread = threading.Thread(target=stop)
        thread.start()
        with pytest.raises(CancelledError) as caught:
            pool.map(nap, [0.001] * 20_000)
        thread.join()
        outcomes, record = caught.value.outcomes, pool.records()[-1]  # type: ignore[attr-defined]
        counts = len(outcomes.ok), len(outcomes.failed), len(outcomes.cancelled)
        assert counts == of_last_map(pool.snapshot())
        assert counts == (record.done - record.failed, record.failed, record.cancelled)
        assert sum(counts) == 20_000


def test_single_requests(pool: ProcessPool) -> None:
    futures = [pool.submit(fail, number) for number in range(6)]
    failed = sum(future.exception() is not None for future in futures)
    assert pool.call(fail, 1) == 1
    with pytest.raises(ValueError, match="cannot do 3"):
        pool.call(fail, 3)
    running = [pool.submit(nap, 60) for _ in range(2)]
    eventually(lambda: all(future.running() for future in running))
    queued = pool.submit(nap, 60)
    assert queued.cancel()
    for future in running:
        future.kill()
    eventually(lambda: totals(pool.snapshot()) == (5, 3, 3))
    assert failed == 2


def test_attempts_that_are_tried_again_are_no_failures() -> None:
    retry = {"attempts": 3, "on": ["error"]}
    config = {"worker": {"kind": "python"}, "size": {"min": 1, "max": 1}, "retry": retry}
    with ProcessPool.from_dict(config) as pool:
        with pytest.raises(ValueError, match="cannot do 0"):
            pool.submit(fail, 0).result()
        pool.map(fail, [0, 1], on_error="skip")
        assert totals(pool.snapshot()) == (1, 2, 0)


def test_a_restart_that_somebody_asked_for_is_no_error_of_the_pool(pool: ProcessPool) -> None:
    future = pool.submit(nap, 60)
    eventually(lambda: [worker for worker in pool.snapshot().workers if worker.progress])
    busy = next(worker for worker in pool.snapshot().workers if worker.progress)
    pool.restart_worker(busy.id)
    with pytest.raises(WorkerDied):
        future.result()
    shown = pool.snapshot()
    assert shown.last_failure is None
    assert totals(shown) == (0, 1, 0)
    assert [text.split(":")[0] for _, text, _, _ in shown.failures] == ["WorkerDied"]


def test_failures_are_grouped_and_know_their_items(pool: ProcessPool) -> None:
    pool.map(fail, range(10), on_error="skip")
    ((key, text, _, count),) = pool.snapshot().failures
    assert (key, count) == ("ValueError: cannot do N", 4)
    assert text in {f"ValueError: cannot do {number}" for number in range(10)}
