"""All workers at once: `broadcast` and `restart_workers`."""

from __future__ import annotations

import builtins
import logging
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from processpool import PoolClosed, WorkerDied
from processpool.core import events
from tests.process.support import TASKS_SERVE, Gate, eventually, pids
from tests.process.workers import functions

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool import ProcessPool

SHELL = ["bash", "-c", 'while read -r line; do eval "$line"; done']


def leave(mark: int) -> int:
    """Leave a mark in this worker."""
    builtins.mark = mark  # type: ignore[attr-defined]
    return os.getpid()


def count_up() -> int:
    builtins.mark = getattr(builtins, "mark", 0) + 1  # type: ignore[attr-defined]
    return builtins.mark  # type: ignore[attr-defined,no-any-return]


def look(_: object = None) -> tuple[int, int | None]:
    time.sleep(0.01)
    return os.getpid(), getattr(builtins, "mark", None)


class TestBroadcast:
    def test_it_runs_once_on_every_worker(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(3)
        assert pool.broadcast(leave, 7) == pids(pool)
        assert len(pids(pool)) == 3
        assert {mark for _, mark in pool.map(look, range(30))} == {7}

    def test_on_those_that_come_later_before_anything_else(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool(size={"min": 1, "max": 3})
        assert len(pool.broadcast(leave, 1)) == 1
        seen = pool.map(look, range(300))
        assert len({pid for pid, _ in seen}) > 1
        assert {mark for _, mark in seen} == {1}
        pool.restart_workers()
        assert {mark for _, mark in pool.map(look, range(300))} == {1}

    def test_later_ones_run_all_of_them_in_order_and_each_once(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool(1)
        pool.broadcast(leave, 10)
        assert pool.broadcast(count_up) == [11]
        assert pool.broadcast(count_up) == [12]
        pool.restart_workers()
        assert pool.call(look)[1] == 11

    def test_busy_workers_do_it_after_what_they_have(
        self, python_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = python_pool(2)
        waiting = pool.submit(functions.wait_at, str(gate.path))
        gate.await_arrival()
        behind = [pool.submit(look) for _ in range(20)]
        found: list[list[int]] = []
        thread = threading.Thread(target=lambda: found.append(pool.broadcast(leave, 3)))
        thread.start()
        eventually(lambda: all(future.done() for future in behind))
        assert not found
        gate.open()
        thread.join()
        assert found == [pids(pool)]
        assert waiting.result()
        assert {mark for _, mark in pool.map(look, range(20))} == {3}

    def test_a_leased_worker_does_it_when_it_comes_back(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool(1)
        found: list[list[int]] = []
        with pool.lease() as lease:
            thread = threading.Thread(target=lambda: found.append(pool.broadcast(leave, 3)))
            thread.start()
            lease.send(look)
            assert lease.read_stdout()[1] is None
            assert not found
        thread.join()
        assert found == [pids(pool)]

    def test_while_calls_keep_a_worker_warm(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(2)
        assert pool.call(functions.inc, 1) == 2
        assert pool.broadcast(leave, 5) == pids(pool)
        assert pool.call(look)[1] == 5

    def test_an_error_is_raised_and_later_workers_are_spared(
        self, python_pool: Callable[..., ProcessPool], caplog: pytest.LogCaptureFixture
    ) -> None:
        pool = python_pool(2)
        with pytest.raises(ValueError, match="no") as caught:
            pool.broadcast(functions.fail, "no")
        assert caught.value.record.worker_id in (1, 2)  # type: ignore[attr-defined]
        pool.restart_workers()
        assert pool.call(functions.inc, 1) == 2
        assert not caplog.records

    def test_an_error_in_a_later_worker_is_logged(
        self,
        python_pool: Callable[..., ProcessPool],
        caplog: pytest.LogCaptureFixture,
        tmp_path: object,
    ) -> None:
        pool = python_pool(1)
        path = f"{tmp_path}/here"

        def fail_if_there() -> None:
            if os.path.exists(path):
                raise FileExistsError(path)

        assert pool.broadcast(fail_if_there) == [None]
        open(path, "w").close()
        with caplog.at_level(logging.WARNING, "processpool"):
            pool.restart_workers()
            assert pool.call(functions.inc, 1) == 2
        assert "fail_if_there failed in worker 2, which was started later" in caplog.text

    def test_one_that_ends_workers_is_given_up(
        self, python_pool: Callable[..., ProcessPool], tmp_path: object
    ) -> None:
        pool = python_pool(1, restart={"backoff": ["1ms", "1ms"]})
        path = f"{tmp_path}/here"

        def die_if_there() -> None:
            if os.path.exists(path):
                os.kill(os.getpid(), signal.SIGKILL)

        pool.broadcast(die_if_there)
        open(path, "w").close()
        pool.restart_workers()
        assert pool.submit(functions.inc, 1).result(30) == 2
        with pytest.raises(WorkerDied):
            pool.broadcast(os.kill, 0, signal.SIGKILL)
        assert pool.submit(functions.inc, 1).result(30) == 2

    def test_a_worker_that_ends_first_is_left_out(
        self, python_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = python_pool(2)
        pool.submit(functions.wait_at, str(gate.path))
        gate.await_arrival()
        found: list[list[int]] = []
        thread = threading.Thread(target=lambda: found.append(pool.broadcast(leave, 3)))
        thread.start()
        eventually(lambda: pool.snapshot().finished >= 1)
        (busy,) = [worker for worker in pool.snapshot().workers if worker.state == "busy"]
        pool.restart_worker(busy.id)
        thread.join()
        assert len(found[0]) == 1
        assert busy.pid not in found[0]

    def test_messages(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(SHELL, worker={"protocol": "lines"}, size=3)
        assert pool.broadcast("X=5; echo ok") == ["ok"] * 3
        assert set(pool.map(["echo $X"] * 9)) == {"5"}

    def test_under_serve(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(TASKS_SERVE, size=2)
        assert sorted(pool.broadcast("pid "), key=int) == sorted(map(str, pids(pool)), key=int)

    def test_of_oneshots_there_is_none(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(["cat"], worker={"protocol": "oneshot"})
        with pytest.raises(TypeError, match="one message in its life"):
            pool.broadcast("x")

    def test_closing_the_pool_ends_it(
        self, python_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = python_pool(1)
        pool.submit(functions.wait_at, str(gate.path))
        gate.await_arrival()
        ended: list[BaseException | list[int]] = []

        def broadcast() -> None:
            try:
                ended.append(pool.broadcast(leave, 3))
            except PoolClosed as error:
                ended.append(error)

        thread = threading.Thread(target=broadcast)
        thread.start()
        pool.kill()
        thread.join(30)
        assert not thread.is_alive()
        assert isinstance(ended[0], PoolClosed) or ended == [[]]


class TestRestart:
    def test_all_are_replaced_while_a_map_goes_on(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool(3)
        pool.wait_ready()
        old = set(pids(pool))
        found: list[list[tuple[int, None]]] = []
        thread = threading.Thread(target=lambda: found.append(pool.map(look, range(150))))  # type: ignore[arg-type]
        thread.start()
        pool.restart_workers(wait=True)
        assert not old & set(pids(pool))
        thread.join()
        assert len(found[0]) == 150
        assert {pid for pid, _ in pool.map(look, range(30))} <= set(pids(pool))

    def test_capacity_is_kept_meanwhile(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(3)
        pool.wait_ready()
        ready = 3
        least: list[int] = []

        def count(event: events.Event) -> None:
            nonlocal ready
            ready += isinstance(event, events.WorkerBecameReady)
            ready -= isinstance(event, events.WorkerExited)
            least.append(ready)

        stop = pool.events(count, quick=True)
        pool.restart_workers()
        stop()
        assert min(least) == 3
        assert max(least) == 4

    def test_workers_that_are_not_needed_are_not_replaced(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool(size={"min": 1, "max": 3})
        assert len({pid for pid, _ in pool.map(look, range(300))}) > 1
        old = set(pids(pool))
        pool.restart_workers()
        assert not old & set(pids(pool))
        assert pool.call(functions.inc, 1) == 2

    def test_at_once(self, python_pool: Callable[..., ProcessPool], gate: Gate) -> None:
        pool = python_pool(1)
        waiting = pool.submit(functions.wait_at, str(gate.path))
        gate.await_arrival()
        pool.restart_workers(wait=False)
        with pytest.raises(WorkerDied, match="restarted"):
            waiting.result(30)
        assert pool.call(functions.inc, 1) == 2

    def test_of_a_program(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(TASKS_SERVE, size=2)
        pool.wait_ready()
        old = set(pids(pool))
        pool.restart_workers()
        assert not old & set(pids(pool))
        assert pool.call("echo x") == "x"

    def test_of_a_closed_pool(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(1)
        pool.close()
        with pytest.raises(PoolClosed):
            pool.restart_workers()
        with pytest.raises(PoolClosed):
            pool.broadcast(functions.inc, 1)
