"""`broadcast` on a cluster: once on every worker of every node, those that join included."""

from __future__ import annotations

import builtins
import logging
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from processpool import PoolClosed, ProcessPool, WorkerDied
from tests.cluster.support import all_nodes_back, node_pids, power_off
from tests.process.support import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def leave(mark: object) -> int:
    builtins.marks = [*getattr(builtins, "marks", ()), mark]  # type: ignore[attr-defined]
    return os.getpid()


def look(_: object = None) -> tuple[int, list[object]]:
    time.sleep(0.002)
    return os.getpid(), getattr(builtins, "marks", [])


def fail_if_there(path: str) -> None:
    if os.path.exists(path):
        raise FileExistsError(path)


class TestBroadcast:
    def test_it_runs_once_on_every_worker_node_by_node(
        self, make_pool: Callable[..., ProcessPool], cluster: Any
    ) -> None:
        pool = make_pool(backend={"workers_per_node": 2}, size={"min": 2})
        eventually(lambda: len([one for one in pool.snapshot().workers if one.pid]) == 4)
        started = pool.broadcast(leave, 7)
        assert len(set(started)) == 4
        eventually(lambda: {one.pid for one in pool.snapshot().workers} == set(started))
        nodes = [one.node for pid in started for one in pool.snapshot().workers if one.pid == pid]
        assert nodes[0] == nodes[1] != nodes[2] == nodes[3]
        seen = pool.map(look, range(2000))
        assert {pid for pid, _ in seen} == set(started)
        assert all(marks == [7] for _, marks in seen)

    def test_a_node_that_joins_does_all_of_them_in_order_before_anything_else(
        self, make_pool: Callable[..., ProcessPool], cluster: Any
    ) -> None:
        pool = make_pool()
        for mark in (1, 2, 3, 2):
            pool.broadcast(leave, mark)
        before = {pid for pid, _ in pool.map(look, range(500))}
        power_off(cluster, next(iter(node_pids(cluster))))
        seen = pool.map(look, range(1000))
        all_nodes_back(cluster, 2)
        seen += pool.map(look, range(1000))
        new = [marks for pid, marks in seen if pid not in before]
        assert new
        assert all(marks == [1, 3, 2] for marks in new)

    def test_a_worker_that_replaces_another_does_it_before_anything_else(
        self, make_pool: Callable[..., ProcessPool], cluster: Any
    ) -> None:
        pool = make_pool()
        before = set(pool.broadcast(leave, 7))
        pool.restart_workers()
        eventually(lambda: {pid for pid, _ in pool.map(look, range(200))}.isdisjoint(before))
        assert all(marks == [7] for _, marks in pool.map(look, range(200)))

    def test_an_error_is_raised_and_later_workers_are_spared(
        self, make_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        pool, path = make_pool(), tmp_path / "here"
        path.touch()
        with pytest.raises(FileExistsError) as caught:
            pool.broadcast(fail_if_there, str(path))
        assert "It ran on node tcp://" in str(caught.value.__cause__)
        pool.restart_workers()
        assert pool.call(look)[1] == []

    def test_an_error_in_a_later_worker_is_logged(
        self,
        make_pool: Callable[..., ProcessPool],
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        pool, path = make_pool(), tmp_path / "here"
        assert pool.broadcast(fail_if_there, str(path)) == [None, None]
        path.touch()
        with caplog.at_level(logging.WARNING, "processpool"):
            pool.restart_workers()
            eventually(lambda: "fail_if_there failed in worker" in caplog.text)
        assert pool.call(look)[1] == []

    def test_what_ends_a_worker_ends_each_only_once(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool()
        with pytest.raises(WorkerDied):
            pool.broadcast(os.kill, 0, signal.SIGKILL)
        assert len(pool.map(look, range(100))) == 100

    def test_a_large_one_travels_too(self, make_pool: Callable[..., ProcessPool]) -> None:
        table = os.urandom(3_000_000)
        assert make_pool().broadcast(len, table) == [len(table)] * 2

    def test_closing_ends_the_wait(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        caught: list[BaseException] = []

        def wait() -> None:
            try:
                pool.broadcast(time.sleep, 60)
            except PoolClosed as error:
                caught.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        eventually(lambda: any(one.item_age for one in pool.snapshot().workers))
        pool.kill()
        thread.join(30)
        assert caught
