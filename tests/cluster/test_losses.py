"""Nodes that are lost, that join, that cannot run the pool: nothing is missing or comes twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from processpool import NodeLost, PoolBroken, PoolClosed, ProcessPool
from tests.cluster.support import (
    all_nodes_back,
    local_cluster,
    node_pids,
    power_off,
    started_node,
    started_scheduler,
)
from tests.process.support import eventually, pids

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GAP = 3.0
"""Seconds without an answer that the loss of a node may cost."""


def double(number: int) -> int:
    return 2 * number


def doze(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def where(number: int) -> int:
    """The process of the node that has this worker."""
    time.sleep(0.002)
    return os.getppid()


_PROGRAM = """
import json, sys, time
from processpool import ProcessPool

place = {"kind": "dask", "scheduler": sys.argv[1], "workers_per_node": 1,
         "wait_for_nodes": {"min": 2}}
pool = ProcessPool.from_dict({"worker": {"kind": "python"}, "backend": place}).open()
pool.wait_ready()
while len(pids := [worker.pid for worker in pool.snapshot().workers]) < 2:
    time.sleep(0.1)
print(json.dumps(pids), flush=True)
pool.map(time.sleep, [60] * 10)
"""


class TestLoss:
    @pytest.mark.parametrize("ordered", [True, pytest.param(False, marks=pytest.mark.slow)])
    def test_a_node_loses_power_under_200000_items(
        self, make_pool: Callable[..., ProcessPool], cluster: Any, ordered: bool
    ) -> None:
        pool = make_pool()
        count = 200_000
        way = pool.imap if ordered else pool.imap_unordered
        got: list[int] = []
        last, gap = time.monotonic(), 0.0
        for value in way(double, range(count)):
            now = time.monotonic()
            gap, last = max(gap, now - last), now
            got.append(value)
            if len(got) == count // 4:
                power_off(cluster, next(iter(node_pids(cluster))))
        assert (got if ordered else sorted(got)) == [*map(double, range(count))]
        assert gap < GAP

    def test_with_on_node_loss_error_its_items_fail_and_run_once(
        self, make_pool: Callable[..., ProcessPool], cluster: Any, tmp_path: Path
    ) -> None:
        def note(number: int) -> int:
            (tmp_path / f"{number}-{os.getpid()}-{time.monotonic_ns()}").touch()
            time.sleep(0.02)
            return number

        pool = make_pool(backend={"on_node_loss": "error"})
        outcomes = pool.imap(note, range(300), details=True, on_error="return")
        got = [next(outcomes) for _ in range(20)]
        power_off(cluster, next(iter(node_pids(cluster))))
        got += outcomes
        lost = [one for one in got if not one.ok]
        assert lost
        assert all(isinstance(one.error, NodeLost) for one in lost)
        assert "on_node_loss: retry" in str(lost[0].error)
        assert [one.value for one in got if one.ok] == [
            number for number in range(300) if not isinstance(got[number].error, NodeLost)
        ]
        ran = [path.name.partition("-")[0] for path in tmp_path.iterdir()]
        assert len(ran) == len(set(ran))

    @pytest.mark.slow
    def test_a_node_leaves_and_another_comes(
        self, make_pool: Callable[..., ProcessPool], cluster: Any
    ) -> None:
        pool = make_pool()
        pool.submit(double, 1).result()
        power_off(cluster, next(iter(node_pids(cluster))))
        eventually(lambda: len({worker.node for worker in pool.snapshot().workers}) == 1)
        all_nodes_back(cluster, 2)
        eventually(lambda: len({worker.node for worker in pool.snapshot().workers}) == 2)
        assert len(set(pool.map(where, range(2000)))) == 2

    @pytest.mark.slow
    @pytest.mark.timeout(200)
    def test_an_item_that_ends_its_node_is_found(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        def poison(number: int) -> int:
            if number == 11:
                os.kill(os.getppid(), signal.SIGKILL)
                time.sleep(30)
            return number

        pool = make_pool(backend={"batch": {"max_items": 4}})
        got = pool.map(poison, range(100), on_error="return")
        assert isinstance(got[11], NodeLost)
        assert [each for each in got if isinstance(each, int)] == [
            number for number in range(100) if number != 11
        ]


class TestScheduler:
    @pytest.mark.parametrize("closing", [False, pytest.param(True, marks=pytest.mark.slow)])
    def test_a_pool_breaks_when_its_scheduler_is_lost(self, closing: bool) -> None:
        with started_scheduler("tcp") as (address, process):
            place = {"kind": "dask", "scheduler": address, "workers_per_node": 1}
            pool = ProcessPool.from_dict({"worker": {"kind": "python"}, "backend": place}).open()
            future = pool.submit(doze, 60)
            eventually(future.running)
            closer = threading.Thread(target=pool.close)
            if closing:
                closer.start()
                eventually(lambda: pool.state == "closing")
            process.kill()
            with pytest.raises((PoolBroken, PoolClosed)):
                future.result(10)
            if not closing:
                with pytest.raises(PoolBroken, match=f"scheduler at {address} was lost"):
                    pool.map(double, range(10))
                closer.start()
            closer.join(30)
            assert pool.state == "closed"


class TestStopping:
    @pytest.mark.slow
    def test_a_program_that_is_killed_leaves_nothing_on_the_nodes(self, cluster: Any) -> None:
        program = [sys.executable, "-c", _PROGRAM, cluster.scheduler_address]
        with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            workers = json.loads(process.stdout.readline())
            assert len(workers) == 2
            process.kill()
        eventually(lambda: not any(map(psutil.pid_exists, workers)), within=60)
        eventually(lambda: not any("pp-" in name for name in cluster.scheduler.worker_plugins))

    def test_an_interrupt_ends_everything_everywhere(
        self, make_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        def tick(number: int) -> None:
            for _ in range(1000):
                (tmp_path / "last").touch()
                time.sleep(0.01)

        pool = make_pool()
        threading.Timer(1.5, signal.raise_signal, [signal.SIGINT]).start()
        with pytest.raises(KeyboardInterrupt):
            pool.map(tick, range(50))
        interrupted = time.time()
        assert pool.map(double, range(1000)) == [*map(double, range(1000))]
        eventually(lambda: time.time() > interrupted + 2)
        assert (tmp_path / "last").stat().st_mtime < interrupted + 1

    def test_the_first_error_keeps_what_has_not_begun_from_starting(
        self, make_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        def note(number: int) -> None:
            (tmp_path / str(number)).touch()
            time.sleep(0.05)
            if number == 3:
                raise ValueError(number)

        pool = make_pool()
        with pytest.raises(ValueError, match="3"):
            pool.map(note, range(200))
        assert pool.drain(30)
        begun = len(list(tmp_path.iterdir()))
        assert begun < 100
        assert pool.submit(double, 2).result() == 4
        assert len(list(tmp_path.iterdir())) == begun

    def test_a_future_is_killed(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        future = pool.submit(doze, 60)
        eventually(future.running)
        assert future.kill()
        eventually(lambda: all(w.state == "idle" for w in pool.snapshot().workers), within=5)
        assert pool.submit(double, 2).result(5) == 4


def adaptive_pool(cluster: Any, most: int, **backend: Any) -> ProcessPool:
    """A pool on a cluster that has no node, and may grow to so many."""
    cluster.adapt(minimum=0, maximum=most, interval="100ms", wait_count=1000)
    place = {
        "kind": "dask",
        "scheduler": cluster.scheduler_address,
        "workers_per_node": 1,
        "wait_for_nodes": {"min": 0},
        **backend,
    }
    return ProcessPool.from_dict({"worker": {"kind": "python"}, "backend": place})


class TestJoining:
    def test_an_adaptive_cluster_grows_from_nothing(self) -> None:
        with local_cluster(0) as cluster, adaptive_pool(cluster, 2) as pool:
            assert pool.snapshot().workers == ()
            assert pool.map(double, range(500)) == [*map(double, range(500))]

    @pytest.mark.slow
    def test_with_on_node_loss_error_too(self) -> None:
        with local_cluster(0) as cluster, adaptive_pool(cluster, 1, on_node_loss="error") as pool:
            assert pool.submit(double, 4).result(60) == 8

    def test_a_new_node_that_cannot_run_the_pool_gets_no_work(
        self, make_pool: Callable[..., ProcessPool], cluster: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        program = {"kind": "command", "command": ["jq", "-c", "--unbuffered", "."]}
        pool = make_pool({**program, "protocol": "lines"})
        with started_node(cluster.scheduler_address, env={"PATH": "/nowhere"}):
            eventually(lambda: "jq" in caplog.text)
            assert "cannot run the pool" in caplog.text
            assert pool.map([str(n) for n in range(500)]) == [str(n) for n in range(500)]
            assert len({worker.node for worker in pool.snapshot().workers}) == 2

    def test_a_pool_breaks_when_its_last_node_cannot_run_it(
        self, make_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        program = tmp_path / "program"
        program.write_text("#!/bin/sh\nexec cat\n")
        program.chmod(0o755)
        worker = {"kind": "command", "command": [str(program)], "protocol": "lines"}
        pool = make_pool(worker, restart={"max_failures": 0, "backoff": ["10ms", "10ms"]})
        assert pool.call("1") == "1"
        program.unlink()
        eventually(lambda: len(pids(pool)) == 2)
        for pid in pids(pool):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(PoolBroken, match="node"):
            pool.map(["1"] * 1000)
        with pytest.raises(PoolBroken, match="no node can run the pool any more"):
            pool.submit("1")
