"""Pools on hosts of their own, which lose their power, their cable, or their way."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from processpool import ProcessPool, WorkerStartFailed
from tests.cluster.netlab import TIMEOUT, Lab, why_not
from tests.process.support import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_missing = why_not()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(bool(_missing), reason=_missing),
]
COUNT = 48_000


def double(number: int) -> int:
    time.sleep(0.0002)
    return 2 * number


@pytest.fixture(autouse=True)
def _short_times() -> Iterator[None]:
    import dask
    import distributed  # noqa: F401 - it brings the defaults of what is set here

    times = {
        "distributed.comm.timeouts.tcp": f"{TIMEOUT:g}s",
        "distributed.comm.timeouts.connect": f"{TIMEOUT:g}s",
    }
    with dask.config.set(times):
        yield


@contextmanager
def pool_on(lab: Lab, nodes: int, **sections: Any) -> Iterator[ProcessPool]:
    """A pool that is closed before its lab is."""
    place = {
        "kind": "dask",
        "scheduler": lab.address,
        "workers_per_node": 1,
        "wait_for_nodes": {"min": nodes, "timeout": "60s"},
    }
    declared = {"worker": {"kind": "python"}, "backend": place, **sections}
    with ProcessPool.from_dict(declared) as pool:
        yield pool


def taken(
    pool: ProcessPool, count: int, when: dict[int, Callable[[], object]]
) -> tuple[list[int], float]:
    """Map so many numbers; at some of them something happens. Return answers and longest gap."""
    got: list[int] = []
    last, gap = time.monotonic(), 0.0
    for value in pool.imap(double, range(count)):
        now = time.monotonic()
        gap, last = max(gap, now - last), now
        got.append(value)
        if len(got) in when:
            when[len(got)]()
            last = time.monotonic()
    return got, gap


EXACT = [2 * number for number in range(COUNT)]


def test_power_off() -> None:
    with Lab(3) as lab, pool_on(lab, 3) as pool:
        got, gap = taken(pool, COUNT, {COUNT // 4: lambda: lab.power_off(2)})
        assert got == EXACT
        assert gap < 3


def test_three_nodes_one_node_and_three_again() -> None:
    def lose() -> None:
        lab.power_off(1)
        lab.power_off(2)

    def come_back() -> None:
        lab.join(4)
        lab.join(5)

    with Lab(3) as lab, pool_on(lab, 3) as pool:
        got, _ = taken(pool, COUNT, {COUNT // 4: lose, COUNT // 2: come_back})
        assert got == EXACT
        eventually(lambda: len({worker.node for worker in pool.snapshot().workers}) == 3)


def test_a_silent_cut() -> None:
    with Lab(3) as lab, pool_on(lab, 3) as pool:
        got, gap = taken(pool, COUNT, {COUNT // 4: lambda: lab.cut(3)})
        assert got == EXACT
        assert gap < TIMEOUT + 2


def test_a_cable_out_and_in_again() -> None:
    def pull() -> None:
        lab.link(2, up=False)
        eventually(lambda: any(one.stale for one in pool.snapshot().workers))
        lab.link(2, up=True)

    with Lab(3) as lab, pool_on(lab, 3) as pool:
        got, gap = taken(pool, COUNT, {COUNT // 4: pull})
        assert got == EXACT
        assert gap < TIMEOUT + 2


def test_a_node_joins_in_the_middle() -> None:
    with Lab(1) as lab, pool_on(lab, 1) as pool:
        got, _ = taken(pool, COUNT, {COUNT // 4: lambda: lab.join(2)})
        assert got == EXACT
        assert len({one.worker_id for one in pool.map(double, range(5000), details=True)}) == 2


def test_a_node_without_the_program(tmp_path_factory: pytest.TempPathFactory) -> None:
    worker = {"kind": "command", "command": ["jq", "-c", "--unbuffered", "."], "protocol": "lines"}
    with Lab(0) as lab:
        lab.join(1, env={"PATH": "/nowhere"})
        with pytest.raises(WorkerStartFailed, match=r"host1|\.2:\d+.*jq"):
            pool_on(lab, 1, worker=worker).__enter__()


def test_a_node_with_another_version(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("other") / "processpool"
    folder.mkdir()
    (folder / "__init__.py").write_text('__version__ = "0.0.1"\n')
    with Lab(0) as lab:
        lab.join(1, env={"PYTHONPATH": str(folder.parent)})
        with pytest.raises(WorkerStartFailed, match=r"has processpool 0\.0\.1") as caught:
            pool_on(lab, 1).__enter__()
        assert "install the same on both" in str(caught.value)


def test_a_node_without_the_package(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("none")
    (folder / "processpool.py").write_text('raise ImportError("not here")\n')
    with Lab(0) as lab:
        lab.join(1, env={"PYTHONPATH": str(folder)})
        with pytest.raises(WorkerStartFailed, match="pip install") as caught:
            pool_on(lab, 1).__enter__()
        assert "is not installed there" in str(caught.value)
