"""`limits`: what the system allows each worker, set from outside, and what it says of it."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING

import pytest

from processpool import WorkerDied, WorkerStartFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool import ProcessPool

MIB = 1 << 20


def allocate(size: int) -> int:
    return len(bytearray(size))


def burn() -> None:
    while True:
        pass


def limits() -> dict[str, tuple[int, int]]:
    names = ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_NOFILE")
    return {name: resource.getrlimit(getattr(resource, name)) for name in names}


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, 0)


def open_many(count: int) -> int:
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(count)]
    for fd in files:
        os.close(fd)
    return count


def test_memory_is_a_memory_error_and_the_worker_stays(
    python_pool: Callable[..., ProcessPool],
) -> None:
    pool = python_pool(1, limits={"memory": "512MiB"})
    pid = pool.call(os.getpid)

    with pytest.raises(MemoryError):
        pool.call(allocate, 1024 * MIB)

    assert pool.call(allocate, 64 * MIB) == 64 * MIB
    assert pool.call(os.getpid) == pid


def test_cpu_time_ends_a_worker_and_the_error_names_the_limit(
    python_pool: Callable[..., ProcessPool],
) -> None:
    pool = python_pool(1, limits={"cpu_time": "1s"})

    with pytest.raises(WorkerDied, match=r"killed by SIGXCPU: limits\.cpu_time 1s; ") as caught:
        pool.submit(burn).result()

    assert caught.value.exitcode == -24
    assert pool.call(allocate, 1) == 1


def test_cpu_time_of_a_command(make_pool: Callable[..., ProcessPool]) -> None:
    pool = make_pool(limits={"cpu_time": 1})

    with pytest.raises(WorkerDied, match=r"SIGXCPU: limits\.cpu_time 1s"):
        pool.call("while True: pass")

    assert pool.call("answer('well')") == "well"


def test_open_files(python_pool: Callable[..., ProcessPool]) -> None:
    pool = python_pool(1, limits={"open_files": 200})

    assert pool.call(open_many, 150) == 150
    with pytest.raises(OSError, match="Too many open files"):
        pool.call(open_many, 250)


def test_nice_is_added_to_ours(python_pool: Callable[..., ProcessPool]) -> None:
    pool = python_pool(1, limits={"nice": 5})

    assert pool.call(niceness) == niceness() + 5


def test_all_of_them_hold_from_the_first_item(python_pool: Callable[..., ProcessPool]) -> None:
    declared = {"memory": "1GiB", "cpu_time": "10m", "open_files": 300}
    pool = python_pool(1, limits=declared)

    found = pool.call(limits)

    assert found["RLIMIT_AS"] == (1024 * MIB, 1024 * MIB)
    assert found["RLIMIT_CPU"][0] == 600
    assert found["RLIMIT_NOFILE"] == (300, 300)


def test_without_limits_they_are_ours(python_pool: Callable[..., ProcessPool]) -> None:
    assert python_pool(1).call(limits) == limits()


def test_a_limit_that_no_interpreter_can_start_under_says_so(
    python_pool: Callable[..., ProcessPool],
) -> None:
    pool = python_pool(1, opened=False, limits={"memory": "1MiB"})

    with pytest.raises(WorkerStartFailed, match=r"before it was ready"):
        pool.open()
