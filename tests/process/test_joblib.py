"""`import processpool.joblib`: tasks of `joblib.Parallel` as items of a pool."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any

import pytest

from processpool import WorkerDied
from tests.process.support import open_fds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

np = pytest.importorskip("numpy")
joblib = pytest.importorskip("joblib")
backend = pytest.importorskip("processpool.joblib")


@pytest.fixture(autouse=True)
def _backend() -> Iterator[None]:
    """Make it the backend, with two workers, and end these afterwards."""
    with joblib.parallel_config(backend="processpool", n_jobs=2):
        yield
    backend.close()


def run(function: Any, *columns: Any, **options: Any) -> Any:
    tasks = (joblib.delayed(function)(*row) for row in zip(*columns, strict=True))
    return joblib.Parallel(**options)(tasks)


def square(x: int) -> int:
    return x * x


def where(_: Any) -> int:
    return os.getpid()


def look_at(array: Any) -> tuple[float, bool, str]:
    return float(array[-1]), bool(array.flags.writeable), type(array).__name__


def write_to(array: Any, index: int) -> None:
    array[index] = index + 1


def nested(x: int) -> tuple[str, list[int]]:
    inner = joblib.Parallel(n_jobs=2)
    return type(inner._backend).__name__, inner(joblib.delayed(square)(y) for y in range(x))


def fail(x: int) -> int:
    raise LookupError(x)


def die(x: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def say(x: int) -> None:
    print("task", x)


def threads(_: Any) -> str | None:
    return os.environ.get("OMP_NUM_THREADS")


class TestTasks:
    def test_run_in_workers_in_order(self) -> None:
        assert run(square, range(500)) == [x * x for x in range(500)]
        pids = set(run(where, range(8), batch_size=1))
        assert os.getpid() not in pids
        assert len(pids) <= 2

    def test_keep_the_workers_of_earlier_calls(self) -> None:
        first, second = (set(run(where, range(20), batch_size=1)) for _ in range(2))
        assert first & second

    def test_as_generators(self) -> None:
        assert list(run(square, range(50), return_as="generator")) == [x * x for x in range(50)]
        unordered = run(square, range(50), return_as="generator_unordered")
        assert sorted(unordered) == [x * x for x in range(50)]

    def test_a_lambda(self) -> None:
        assert run(lambda x: x + 1, [1, 2]) == [2, 3]

    def test_nested(self) -> None:
        for name, values in run(nested, [3, 3]):
            assert name == "ThreadingBackend"
            assert values == [0, 1, 4]

    def test_print_here(self, capfd: pytest.CaptureFixture[str]) -> None:
        run(say, [1, 2], batch_size=1)
        assert sorted(capfd.readouterr().out.splitlines()) == ["task 1", "task 2"]

    def test_one_job_needs_no_worker(self) -> None:
        assert run(where, [1], n_jobs=1) == [os.getpid()]

    def test_threads_of_libraries(self) -> None:
        with joblib.parallel_config(backend="processpool", n_jobs=2, inner_max_num_threads=3):
            assert set(run(threads, [1, 2])) == {"3"}

    def test_keywords_of_pools(self) -> None:
        with joblib.parallel_config(backend="processpool", n_jobs=2, env={"OMP_NUM_THREADS": "7"}):
            assert set(run(threads, [1, 2])) == {"7"}


class TestArrays:
    def test_large_ones_are_shared_and_read_only(self) -> None:
        array = np.arange(200_000.0)
        assert run(look_at, [array, array]) == [(199_999.0, False, "ndarray")] * 2
        assert run(look_at, [array], max_nbytes=None) == [(199_999.0, True, "ndarray")]

    def test_small_ones_are_not(self) -> None:
        assert run(look_at, [np.arange(3.0)]) == [(2.0, True, "ndarray")]

    def test_changes_between_calls_are_seen(self) -> None:
        array = np.zeros(200_000)
        for value in (1.0, 2.0):
            array[-1] = value
            assert run(look_at, [array])[0][0] == value

    def test_a_mapped_file_is_written_to(self, tmp_path: Path) -> None:
        array = np.memmap(tmp_path / "out", dtype="f8", mode="w+", shape=(10,))
        run(write_to, [array, array[5:]], [3, 4])
        assert (array[3], array[9]) == (4, 5)

    def test_nothing_stays_in_memory(self) -> None:
        array = np.zeros(200_000)
        run(look_at, [array, array])
        assert not [name for name in open_fds().values() if "processpool-share" in name]


class TestFailures:
    def test_an_error(self) -> None:
        with pytest.raises(LookupError):
            run(fail, range(4))
        assert run(square, [3]) == [9]

    def test_a_crash_fails_its_task_and_the_pool_goes_on(self) -> None:
        pool = backend.backend.REUSED
        run(square, [1, 2])
        before = pool._pool
        with pytest.raises(WorkerDied) as found:
            run(die, [1])
        assert isinstance(found.value, BrokenProcessPool)
        assert run(square, [3]) == [9]
        assert pool._pool is before

    def test_a_timeout(self) -> None:
        with pytest.raises(multiprocessing.TimeoutError):
            run(time.sleep, [1000], timeout=0.1)
        assert run(square, [3]) == [9]
