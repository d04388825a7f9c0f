"""Shared memory that large messages have left behind goes back to the system if it is not used."""

from __future__ import annotations

import os
import signal
import threading
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import pytest

from processpool import ProcessPool
from processpool.engine import idle_memory
from tests.process.support import await_exit, shared_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE = 50 << 20
LITTLE = 4 << 20
"""What workers may keep: the journal, and what is printed."""
DEADLINE = 30


def pool_of(size: int = 1, **worker: Any) -> ProcessPool:
    declared = {"worker": {"kind": "python", **worker}, "size": {"min": size, "max": size}}
    return ProcessPool.from_dict(declared)


@pytest.fixture
def _sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most tests need not wait for as long as users do."""
    monkeypatch.setattr(idle_memory, "REST_AFTER", 0.3)


@pytest.fixture
def pool() -> Iterator[ProcessPool]:
    with pool_of() as pool:
        yield pool


def make(size: int) -> bytearray:
    return bytearray(b"x" * size)


def take(data: Any) -> int:
    return len(data)


def shared_memory_of(pid: int) -> int:
    """Bytes of shared memory that a process has mapped and touched."""
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith("RssShmem"):
                return int(line.split()[1]) * 1024
    raise AssertionError(pid)


def await_little() -> None:
    deadline = monotonic() + DEADLINE
    while shared_memory() > LITTLE:
        assert monotonic() < deadline, f"{shared_memory()} bytes are still there"
        sleep(0.05)


def test_after_a_call_with_a_large_result(pool: ProcessPool) -> None:
    assert len(pool.call(make, LARGE)) == LARGE
    assert shared_memory() > LARGE
    await_little()
    (worker,) = pool.snapshot().workers
    assert worker.pid is not None
    assert shared_memory_of(worker.pid) < LITTLE
    assert shared_memory_of(os.getpid()) < LITTLE


@pytest.mark.usefixtures("_sooner")
def test_after_a_call_with_a_large_argument(pool: ProcessPool) -> None:
    assert pool.call(take, make(LARGE)) == LARGE
    assert shared_memory() > LARGE
    await_little()


@pytest.mark.usefixtures("_sooner")
def test_after_maps_in_all_workers() -> None:
    with pool_of(3) as pool:
        pool.wait_ready()
        assert [len(made) for made in pool.map(make, [LARGE] * 6)] == [LARGE] * 6
        assert pool.map(take, [make(LARGE)] * 6) == [LARGE] * 6
        await_little()
        assert [len(made) for made in pool.map(make, [LARGE] * 3)] == [LARGE] * 3


@pytest.mark.usefixtures("_sooner")
def test_a_result_that_is_kept_stays_whole_and_goes_once_it_is_dropped(pool: ProcessPool) -> None:
    kept = pool.submit(make, LARGE).result()
    assert len(pool.submit(make, LARGE).result()) == LARGE
    deadline = monotonic() + DEADLINE
    while shared_memory() > LARGE + LITTLE:
        assert monotonic() < deadline
        sleep(0.05)
    assert kept == b"x" * LARGE
    del kept
    await_little()


@pytest.mark.usefixtures("_sooner")
def test_what_comes_later_is_whole(pool: ProcessPool) -> None:
    """Free places between some that are in use are given back, and used again."""
    results: list[Any] = [pool.submit(make, LARGE // 5).result() for _ in range(5)]
    del results[1], results[2]
    before = shared_memory()
    deadline = monotonic() + DEADLINE
    while shared_memory() >= before - LARGE // 5:
        assert monotonic() < deadline
        sleep(0.05)
    results += pool.map(make, [LARGE // 5] * 4)
    assert all(result == b"x" * (LARGE // 5) for result in results)
    assert pool.map(take, [bytes([n]) * LARGE for n in range(2)]) == [LARGE] * 2


@pytest.mark.usefixtures("_sooner")
def test_while_calls_go_on(pool: ProcessPool) -> None:
    """Calls keep the worker in their hands nearly all the time."""
    assert pool.call(take, make(LARGE)) == LARGE
    deadline = monotonic() + DEADLINE
    while shared_memory() > LITTLE:
        assert pool.call(take, b"small") == len(b"small")
        assert monotonic() < deadline


@pytest.mark.usefixtures("_sooner")
def test_while_a_map_of_small_items_goes_on(pool: ProcessPool) -> None:
    assert len(pool.call(make, LARGE)) == LARGE
    enough = threading.Event()

    def endless() -> Iterator[bytes]:
        while not enough.is_set():
            yield b"small"

    def watch() -> None:
        try:
            await_little()
        finally:
            enough.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert set(pool.imap(take, endless())) == {len(b"small")}
    watcher.join()
    assert shared_memory() < LITTLE


@pytest.mark.usefixtures("_sooner")
def test_in_a_lease() -> None:
    with pool_of(handler=f"{__name__}:make") as pool, pool.lease() as lease:
        lease.send(LARGE)
        assert len(lease.read_stdout()) == LARGE
        assert shared_memory() > LARGE
        await_little()
        lease.send(LARGE)
        assert lease.read_stdout() == b"x" * LARGE


@pytest.mark.usefixtures("_sooner")
def test_nothing_wakes_a_pool_that_rests(pool: ProcessPool) -> None:
    assert len(pool.call(make, LARGE)) == LARGE
    await_little()
    pool.snapshot()
    engine: Any = pool._engine
    deadline = monotonic() + DEADLINE
    while engine._core.loop._timers:
        assert monotonic() < deadline
        sleep(0.05)


@pytest.mark.usefixtures("_sooner")
def test_a_worker_of_calls_is_retired_when_it_is_idle() -> None:
    """Also if its last call was a long one."""
    size = {"min": 1, "max": 2, "spare": 1}
    declared = {"worker": {"kind": "python"}, "size": size, "timeouts": {"idle": 0.2}}
    with ProcessPool.from_dict(declared) as pool:
        threads = [threading.Thread(target=pool.call, args=(sleep, 1.5)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        deadline = monotonic() + DEADLINE
        while pool.num_running > 1:
            assert monotonic() < deadline
            sleep(0.05)


@pytest.mark.usefixtures("_sooner")
def test_the_memory_of_a_dead_worker_is_let_alone(pool: ProcessPool) -> None:
    """Its descriptors are closed, and their numbers are those of its successor's memory."""
    assert pool.call(take, make(LARGE)) == LARGE
    (dead,) = pool.snapshot().workers
    assert dead.pid is not None
    os.kill(dead.pid, signal.SIGKILL)
    await_exit(dead.pid)
    smaller = LARGE // 4
    kept = pool.call(make, smaller)
    assert pool.call(take, make(smaller)) == smaller
    await_little()
    assert len(kept) == smaller
    assert pool.call(take, b"again") == 5
    assert pool.snapshot().state == "open"
