"""`recycle`: workers are replaced in time, without a gap and without a loss."""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from processpool.core import events
from tests.process.support import eventually, is_gone, pids

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from processpool import ProcessPool

_kept: list[bytearray] = []


def who(_: int) -> int:
    return os.getpid()


def leak(size: int) -> int:
    _kept.append(bytearray(b"x") * size)
    return os.getpid()


def test_after_so_many_requests_each(python_pool: Callable[..., ProcessPool]) -> None:
    pool = python_pool(2, recycle={"after_requests": 50, "jitter": 0})

    handled = Counter(pool.map(who, range(1000)))

    assert sum(handled.values()) == 1000
    assert len(handled) >= 20
    assert max(handled.values()) <= 50


def alone(n: int, path: str) -> int:
    """Fail if another one runs at the same time."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    time.sleep(0.002)
    os.unlink(path)
    return n


@pytest.mark.parametrize("after", [1, 3])
def test_the_successor_waits_until_the_old_one_is_done(
    after: int, python_pool: Callable[..., ProcessPool], tmp_path: Path
) -> None:
    pool = python_pool(1, recycle={"after_requests": after, "jitter": 0})
    busy = str(tmp_path / "busy")

    assert pool.map(alone, range(20), [busy] * 20) == list(range(20))
    futures = [pool.submit(alone, n, busy) for n in range(20)]
    assert [future.result() for future in futures] == list(range(20))


def test_jitter_is_drawn_for_each_worker(python_pool: Callable[..., ProcessPool]) -> None:
    pool = python_pool(1, recycle={"after_requests": 100, "jitter": 0.5})

    handled = Counter(pool.map(who, range(2000)))

    finished = sorted(handled.values())[1:]  # the last one is not done yet
    assert len(set(finished)) > 3
    assert max(finished) <= 150


def test_by_age_the_successor_is_ready_before_the_old_one_goes(
    python_pool: Callable[..., ProcessPool],
) -> None:
    pool = python_pool(1, recycle={"after": "300ms", "jitter": 0})
    story: list[str] = []

    def tell(event: object) -> None:
        if isinstance(event, events.WorkerBecameReady):
            story.append(f"{event.worker_id} ready")
        elif isinstance(event, events.WorkerExited):
            story.append(f"{event.worker_id} gone")

    pool.events(tell)
    first = pool.call(who, 0)

    eventually(lambda: "1 gone" in story)

    assert story.index("2 ready") < story.index("1 gone")
    assert is_gone(first)
    assert pool.call(who, 0) != first


def test_by_age_a_running_item_is_never_lost(
    python_pool: Callable[..., ProcessPool],
) -> None:
    pool = python_pool(2, recycle={"after": "200ms", "jitter": 0.2})
    seen: set[int] = set()

    def have_been_replaced() -> bool:
        seen.update(pool.map(who, range(200)))
        return len(seen) > 4

    eventually(have_been_replaced)


def test_above_a_size_by_maps(python_pool: Callable[..., ProcessPool]) -> None:
    pool = python_pool(1, recycle={"above_memory": "100MiB"})
    first = pool.submit(leak, 200 << 20).result()

    eventually(lambda: pool.submit(who, 0).result() != first)

    assert is_gone(first) or first not in pids(pool)


def test_above_a_size_by_calls(python_pool: Callable[..., ProcessPool]) -> None:
    pool = python_pool(1, recycle={"above_memory": "100MiB"})
    first = pool.call(leak, 200 << 20)

    eventually(lambda: pool.call(who, 0) != first)

    assert pool.snapshot().failed == 0


def test_a_worker_of_the_right_size_stays(python_pool: Callable[..., ProcessPool]) -> None:
    pool = python_pool(1, recycle={"above_memory": "1GiB"})

    assert len(set(pool.map(who, range(1000)))) == 1


def test_a_child_of_the_worker_counts(make_pool: Callable[..., ProcessPool]) -> None:
    pool = make_pool(recycle={"above_memory": "120MiB"})
    first = pids(pool)
    code = (
        "import subprocess; child = subprocess.Popen(['python3', '-c', "
        "'x = bytearray(b\"x\") * (200 << 20); print(1, flush=True); input()'], "
        "stdin=subprocess.PIPE, stdout=subprocess.PIPE); child.stdout.readline(); answer(child.pid)"
    )
    child = int(pool.call(code))

    def renewed() -> bool:
        pool.submit("answer('x')").result()
        return pids(pool) != first

    eventually(renewed)
    eventually(lambda: is_gone(child))
