"""What every pool promises, whatever its workers are; the factories are in `conftest.py`."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from concurrent.futures import CancelledError, Future, as_completed, wait
from typing import TYPE_CHECKING, Any

import pytest

from processpool import Outcome, PoolClosed, ProcessPool, QueueFull, RequestTimeout, WorkerDied
from processpool.core import events
from tests.process.support import Gate, await_exit, eventually, is_gone, pids, states

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Make = "Callable[..., ProcessPool]"


def echoes(count: int) -> list[str]:
    return [f"echo {number}" for number in range(count)]


def numbers(count: int) -> list[str]:
    return [str(number) for number in range(count)]


class TestAsking:
    def test_call(self, make: Callable[..., ProcessPool]) -> None:
        pool = make()
        assert pool.call("echo grüß dich") == "grüß dich"
        assert pool.call("echo ") == ""

    def test_submit(self, make: Callable[..., ProcessPool]) -> None:
        future = make().submit("echo hello")
        assert isinstance(future, Future)
        assert future.result() == "hello"
        assert future.done()
        assert future.record is not None
        assert future.record.ok

    def test_what_it_writes_to_stderr_comes_with_the_answer(
        self, make: Callable[..., ProcessPool]
    ) -> None:
        pool = make()
        futures = [pool.submit(f"say note {number}") for number in range(3)]
        assert [future.result() for future in futures] == ["said"] * 3
        assert "note 2\n" in futures[-1].stderr + futures[1].stderr

    def test_futures_work_with_the_standard_library(self, make: Callable[..., ProcessPool]) -> None:
        pool = make(2)
        futures = {pool.submit(f"echo {number}"): number for number in range(20)}
        for future in as_completed(futures, timeout=30):
            assert future.result() == str(futures[future])  # type: ignore[index]
        assert not wait(futures).not_done

    def test_the_record_says_who_did_it(self, make: Callable[..., ProcessPool]) -> None:
        pool = make()
        future = pool.submit("pid ")
        pid = int(future.result())
        record = future.record
        assert record is not None
        assert (record.pid, record.worker_id, record.attempts) == (pid, 1, 1)
        assert pids(pool) == [pid]


class TestMapping:
    @pytest.mark.parametrize("count", [0, 1, 300])
    def test_all_answers_in_order(self, make: Callable[..., ProcessPool], count: int) -> None:
        pool = make(2)
        assert pool.map(echoes(count)) == numbers(count)
        assert list(pool.imap(echoes(count))) == numbers(count)
        assert sorted(pool.imap_unordered(echoes(count)), key=int) == numbers(count)

    def test_endless_input(self, make: Callable[..., ProcessPool]) -> None:
        running = make(2).imap(f"echo {number}" for number in itertools.count())
        assert list(itertools.islice(running, 50)) == numbers(50)

    @pytest.mark.parametrize("buffersize", [1, 5])
    def test_buffersize(self, make: Callable[..., ProcessPool], buffersize: int) -> None:
        read = 0

        def source() -> Iterator[str]:
            nonlocal read
            for message in echoes(40):
                read += 1
                yield message

        running = make(2).imap(source(), buffersize=buffersize)
        for taken, _ in enumerate(running, start=1):
            assert read - taken <= buffersize

    def test_the_first_error_is_raised_and_ends_it(
        self, make: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        pool = make()
        notes = tmp_path / "notes"
        notes.touch()
        read = 0

        def endless() -> Iterator[str]:
            nonlocal read
            for message in itertools.chain(["echo 0", "die "], itertools.repeat(f"note {notes} x")):
                read += 1
                yield message

        with pytest.raises(WorkerDied) as caught:
            pool.map(endless())
        assert caught.value.record is not None
        assert caught.value.record.index == 1
        read_by_then = read
        pool.drain()
        assert pool.call("echo usable") == "usable"
        assert read == read_by_then
        assert len(notes.read_text().split()) < read

    def test_errors_in_their_places(self, make: Callable[..., ProcessPool]) -> None:
        pool = make(2)
        messages = ["echo 0", "die ", "echo 2", "exit 3", "echo 4"]
        got = pool.map(messages, on_error="return")
        assert [got[n] for n in (0, 2, 4)] == ["0", "2", "4"]
        assert [got[n].exitcode for n in (1, 3)] == [-signal.SIGKILL, 3]
        assert pool.map(messages, on_error="skip") == ["0", "2", "4"]

    def test_details(self, make: Callable[..., ProcessPool]) -> None:
        outcomes = make().map(["echo 0", "die "], details=True, on_error="return")
        assert all(isinstance(outcome, Outcome) for outcome in outcomes)
        assert [outcome.index for outcome in outcomes] == [0, 1]
        assert [outcome.ok for outcome in outcomes] == [True, False]
        assert isinstance(outcomes[1].error, WorkerDied)

    def test_an_input_that_raises(self, make: Callable[..., ProcessPool]) -> None:
        def source() -> Iterator[str]:
            yield "echo 0"
            raise KeyError("mine")

        pool = make()
        with pytest.raises(KeyError, match="mine"):
            pool.map(source())
        assert pool.call("echo usable") == "usable"


class TestFailing:
    @pytest.mark.parametrize(("message", "exitcode"), [("die ", -9), ("exit 0", 0), ("exit 5", 5)])
    @pytest.mark.parametrize("way", ["call", "submit", "map"])
    def test_a_death_costs_its_item_and_nothing_else(
        self, make: Callable[..., ProcessPool], way: str, message: str, exitcode: int
    ) -> None:
        pool = make(2)
        ask: dict[str, Callable[[], Any]] = {
            "call": lambda: pool.call(message),
            "submit": lambda: pool.submit(message).result(),
            "map": lambda: pool.map([message]),
        }
        with pytest.raises(WorkerDied) as caught:
            ask[way]()
        assert caught.value.exitcode == exitcode
        assert caught.value.record is not None
        assert caught.value.record.pid == caught.value.pid
        assert pool.map(echoes(20)) == numbers(20)
        assert pool.wait_ready(30)

    @pytest.mark.parametrize("way", ["call", "submit"])
    def test_a_death_is_counted_and_shown(self, way: str, make: Callable[..., ProcessPool]) -> None:
        pool = make()
        told: list[events.ItemFailed] = []
        pool.events(lambda event: told.append(event) if type(event) is events.ItemFailed else None)
        pool.call("echo 1")

        with pytest.raises(WorkerDied):
            pool.call("die") if way == "call" else pool.submit("die").result()

        eventually(lambda: pool.snapshot().failed == 1)
        assert "WorkerDied: " in (pool.snapshot().last_error or "")
        eventually(lambda: len(told) == 1)
        assert told[0].error.startswith("WorkerDied: ")

    def test_a_timeout_costs_its_item_and_nothing_else(
        self, make_real: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = make_real(2)
        messages = ["echo 0", f"wait {gate.path}", *echoes(30)[2:]]
        got = pool.map(messages, timeout=1.0, on_error="return")
        assert isinstance(got[1], RequestTimeout)
        assert [got[0], *got[2:]] == ["0", *numbers(30)[2:]]

    def test_a_death_while_idle_costs_nothing(self, make_real: Callable[..., ProcessPool]) -> None:
        pool = make_real()
        for _ in range(3):
            (victim,) = eventually(lambda: pids(pool))
            os.kill(victim, signal.SIGKILL)
            await_exit(victim)
            assert pool.call("echo there") == "there"


class TestCancelling:
    def test_what_waits_never_runs(self, make: Callable[..., ProcessPool], tmp_path: Path) -> None:
        pool = make()
        notes = tmp_path / "notes"
        pool.pause()
        futures = [pool.submit(f"note {notes} {number}") for number in range(3)]
        assert futures[1].cancel()
        pool.resume()
        pool.drain()
        assert notes.read_text().split() == ["0", "2"]
        with pytest.raises(CancelledError):
            futures[1].result(0)
        assert not futures[0].cancel()

    def test_kill_ends_what_runs(self, make_real: Callable[..., ProcessPool], gate: Gate) -> None:
        pool = make_real()
        future = pool.submit(f"wait {gate.path}")
        gate.await_arrival()
        assert future.kill()
        with pytest.raises(CancelledError):
            future.result(30)
        assert pool.call("echo next") == "next"


class TestSteering:
    def test_pause(self, make: Callable[..., ProcessPool]) -> None:
        pool = make()
        pool.pause()
        future = pool.submit("echo 1")
        assert (pool.state, pool.snapshot().queued) == ("paused", 1)
        pool.resume()
        assert future.result() == "1"
        assert pool.state == "open"

    def test_resize(self, make: Callable[..., ProcessPool]) -> None:
        pool = make()
        pool.resize(min=3, max=3)
        assert pool.wait_ready()
        assert pool.num_unassigned == 3
        pool.resize(min=1, max=1)
        eventually(lambda: states(pool) == ["idle"])

    def test_restart_a_worker(self, make: Callable[..., ProcessPool]) -> None:
        pool = make()
        (worker,) = pool.snapshot().workers
        pool.restart_worker(worker.id, wait=True)
        (outcome,) = eventually(
            lambda: [
                outcome
                for outcome in pool.map(["echo 1"], details=True)
                if outcome.worker_id != worker.id
            ]
        )
        assert outcome.value == "1"

    def test_a_full_queue(self, make: Callable[..., ProcessPool]) -> None:
        pool = make(queue={"max_pending": 2, "when_full": "raise"})
        pool.pause()
        futures = [pool.submit("echo 1") for _ in range(2)]
        with pytest.raises(QueueFull):
            pool.submit("echo 1")
        pool.resume()
        assert [future.result() for future in futures] == ["1", "1"]

    def test_drain(self, make_real: Callable[..., ProcessPool], gate: Gate) -> None:
        pool = make_real()
        future = pool.submit(f"wait {gate.path}")
        assert not pool.drain(0.01)
        gate.open()
        assert pool.drain(30)
        assert future.done()


class TestLooking:
    def test_a_snapshot(self, make_real: Callable[..., ProcessPool], gate: Gate) -> None:
        pool = make_real(2, name="shown")
        pool.map(echoes(10))
        future = pool.submit(f"wait {gate.path}")
        gate.await_arrival()
        shown = pool.snapshot()
        assert (shown.name, shown.state, shown.finished, shown.failed) == ("shown", "open", 10, 0)
        assert sorted(str(worker.state) for worker in shown.workers) == ["busy", "idle"]
        assert (pool.num_running, pool.num_unassigned) == (1, 1)
        assert sum(worker.handled for worker in shown.workers) == 10
        gate.open()
        assert future.result() == "passed"

    def test_events(self, make: Callable[..., ProcessPool]) -> None:
        pool = make()
        told: list[events.Event] = []
        stop = pool.events(told.append)
        pool.map(echoes(10))
        with pytest.raises(WorkerDied):
            pool.submit("die ").result()
        eventually(lambda: any(isinstance(event, events.WorkerBecameReady) for event in told))
        finished = [event for event in told if isinstance(event, events.ItemsFinished)]
        assert sum(event.count for event in finished) == 10
        (died,) = [event for event in told if isinstance(event, events.WorkerExited)]
        assert (died.exitcode, died.reason) == (-signal.SIGKILL, None)
        assert any(isinstance(event, events.ItemFailed) for event in told)
        stop()


class TestEnding:
    def test_closing_finishes_what_there_is(self, make_real: Callable[..., ProcessPool]) -> None:
        pool = make_real(2)
        workers = pids(pool)
        futures = [pool.submit(message) for message in echoes(50)]
        pool.close(None)
        assert [future.result(0) for future in futures] == numbers(50)
        assert all(map(is_gone, workers))
        with pytest.raises(PoolClosed):
            pool.submit("echo 1")

    @pytest.mark.parametrize("how", ["close", "kill"])
    def test_what_does_not_finish_is_refused(
        self, make_real: Callable[..., ProcessPool], gate: Gate, how: str
    ) -> None:
        pool = make_real()
        futures = [pool.submit(f"wait {gate.path}") for _ in range(7)]
        gate.await_arrival()
        pool.close(grace=0.05) if how == "close" else pool.kill()
        for future in futures:
            with pytest.raises(PoolClosed):
                future.result(0)
        assert pool.state == "closed"

    def test_from_many_threads(self, make: Callable[..., ProcessPool]) -> None:
        pool = make(2)
        futures: list[Future[Any]] = []

        def submit() -> None:
            try:
                while True:
                    futures.append(pool.submit("echo 1"))
            except PoolClosed:
                pass

        threads = [threading.Thread(target=submit) for _ in range(3)]
        for thread in threads:
            thread.start()
        eventually(lambda: len(futures) > 30)
        closing = [threading.Thread(target=pool.close) for _ in range(3)]
        for thread in closing:
            thread.start()
        for thread in threads + closing:
            thread.join(60)
        assert all(future.done() for future in futures)


class TestEveryone:
    def test_broadcast_returns_what_each_worker_says(
        self, make: Callable[..., ProcessPool]
    ) -> None:
        pool = make(3)
        assert pool.broadcast("echo all") == ["all"] * 3

    def test_workers_that_come_later_do_it_first(
        self, make: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        pool, path = make(1), tmp_path / "notes"
        assert pool.broadcast(f"note {path} everywhere") == ["everywhere"]
        pool.restart_workers()
        assert pool.call(f"note {path} called") == "called"
        assert path.read_text().split() == ["everywhere", "everywhere", "called"]

    def test_all_are_replaced(self, make: Callable[..., ProcessPool]) -> None:
        pool = make(2)
        before = {worker.id for worker in pool.snapshot().workers}
        pool.restart_workers()
        assert not before & {worker.id for worker in pool.snapshot().workers}
        assert pool.map(echoes(9)) == numbers(9)


class TestOptions:
    def test_more_urgent_items_go_first(
        self, make: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        pool, path = make(1), tmp_path / "notes"
        pool.pause()
        futures = [
            pool.options(priority=priority).submit(f"note {path} {name}")
            for priority, name in [(0, "a"), (2, "b"), (0, "c"), (1, "d"), (-1, "e")]
        ]
        pool.resume()
        assert [future.result() for future in futures] == ["a", "b", "c", "d", "e"]
        assert path.read_text().split() == ["b", "d", "a", "c", "e"]
