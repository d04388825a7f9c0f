"""Large values: through shared memory, exact, and nothing of it left over."""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from processpool import WorkerDied
from tests.process.support import await_exit, eventually, run_python, shared_memory
from tests.process.workers import functions

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool import ProcessPool

MiB = 1024 * 1024

ARRAYS = {
    "contiguous": np.arange(100_000, dtype=np.float64),
    "fortran": np.asfortranarray(np.arange(90_000, dtype=np.int32).reshape(300, 300)),
    "strided": np.arange(400_000)[::3],
    "reversed": np.arange(100_000)[::-1],
    "transposed": np.arange(90_000).reshape(300, 300).T,
    "window": np.arange(90_000).reshape(300, 300)[10:250, 5:290],
    "empty": np.empty((0, 5)),
    "scalar": np.array(3.5),
    "structured": np.zeros(20_000, dtype=[("a", "i4"), ("b", "f8"), ("c", "S7")]),
    "object": np.array([{"a": 1}, None, "text"] * 1000, dtype=object),
    "strings": np.array(["ä", "long text"] * 10_000),
    "complex": np.ones(50_000, dtype=np.complex128) * 1j,
    "bool": np.arange(300_000) % 3 == 0,
    "big endian": np.arange(50_000, dtype=">f8"),
    "dates": np.arange("2020-01-01", "2120-01-01", dtype="datetime64[D]"),
}


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def filled(n: int) -> Any:
    return np.full(30_000, n, dtype=np.float64)


class TestValues:
    @pytest.mark.parametrize("name", ARRAYS)
    def test_there_and_back(self, python_pool: Callable[..., ProcessPool], name: str) -> None:
        pool = python_pool()
        array = ARRAYS[name]
        for result in (
            pool.call(functions.same, array),
            pool.submit(functions.same, array).result(),
            pool.map(functions.same, [1, array])[1],
            pool.call(functions.same, {"in": [array, array]})["in"][1],
        ):
            assert result.dtype == array.dtype
            assert result.shape == array.shape
            np.testing.assert_array_equal(result, array)

    def test_what_is_writable_stays_so(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        array = np.arange(100_000)
        result = pool.call(functions.same, array)
        result[0] = 7
        assert (array[0], result[0]) == (0, 7)
        array.flags.writeable = False
        assert not pool.call(functions.same, array).flags.writeable

    def test_identity_within_one_message(self, python_pool: Callable[..., ProcessPool]) -> None:
        array = np.arange(100_000)
        first, second = python_pool().call(functions.same, [array, array])
        assert first is second

    @pytest.mark.parametrize(
        "size",
        [
            *(0, 1, 4095, 4096, 65_535, 65_536, 65_537, MiB, 20 * MiB),
            pytest.param(300 * MiB, marks=pytest.mark.slow),
        ],
    )
    @pytest.mark.parametrize("kind", [bytes, bytearray])
    def test_bytes(
        self, python_pool: Callable[..., ProcessPool], kind: type[Any], size: int
    ) -> None:
        pool = python_pool()
        data = kind(os.urandom(min(size, MiB)) * max(size // MiB, 1))
        result = pool.call(functions.same, data)
        assert type(result) is kind
        assert result == data

    def test_views(self, python_pool: Callable[..., ProcessPool]) -> None:
        from pickle import PickleBuffer

        pool = python_pool()
        data = bytearray(range(256)) * 1000
        result = pool.call(functions.same, PickleBuffer(data))
        assert bytes(result) == bytes(data)
        assert bytes(pool.call(functions.same, memoryview(data))) == bytes(data)

    def test_pandas(self, python_pool: Callable[..., ProcessPool]) -> None:
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame({"a": np.arange(50_000), "b": ["x"] * 50_000})
        result = python_pool().call(functions.same, frame)
        pandas.testing.assert_frame_equal(result, frame)


class TestLifetime:
    def test_results_stay_as_they_are(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(2)
        kept = pool.map(filled, range(100))
        for n in range(100):
            pool.call(filled, -n)
        kept += pool.map(filled, range(100, 200))
        pid = pool.call(functions.pid)
        os.kill(pid, signal.SIGKILL)
        await_exit(pid)
        kept += pool.map(filled, range(200, 300))
        pool.close()
        gc.collect()
        for n, array in enumerate(kept):
            assert array[0] == array[-1] == array.mean() == n

    def test_thousands_are_kept(self, python_pool: Callable[..., ProcessPool]) -> None:
        """Each mapping takes a descriptor, of which there are 1024 by default."""
        pool = python_pool(2)
        before = len(os.listdir("/proc/self/fd"))
        kept = pool.map(lambda n: np.full(9_000, n, dtype=np.float64), range(2000))
        assert len(os.listdir("/proc/self/fd")) - before < 300
        assert all(array[0] == array[-1] == n for n, array in enumerate(kept))
        del kept
        assert pool.call(filled, 3)[5] == 3

    def test_a_result_that_is_kept_and_written_to(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool()
        kept = [pool.call(filled, n) for n in range(20)]
        for array in kept[::2]:
            array[:] = -1
        more = [pool.call(filled, n) for n in range(20, 40)]
        assert [array[7] for array in kept] == [-1 if n % 2 == 0 else n for n in range(20)]
        assert [array[7] for array in more] == list(range(20, 40))

    def test_arguments_that_a_worker_keeps(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()

        def keep(array: Any) -> int:
            import builtins

            kept = builtins.__dict__.setdefault("_kept", [])
            kept.append(array)
            return len(kept)

        def check() -> list[float]:
            import builtins

            return [array.mean() for array in builtins.__dict__["_kept"]]

        for n in range(200):
            assert pool.call(keep, filled(n)) == n + 1
        assert pool.call(check) == list(range(200))

    def test_memory_is_used_again(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        array = np.ones(MiB)

        def worker_memory() -> int:
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * 4096

        for _ in range(5):
            pool.call(functions.same, array)
        size, here, there = shared_memory(), resident(), pool.call(worker_memory)
        for _ in range(200):
            pool.call(functions.same, array)
        assert shared_memory() <= size + 16 * MiB
        assert resident() - here < 40 * MiB
        assert pool.call(worker_memory) - there < 40 * MiB

    def test_memory_is_used_again_in_maps(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(2)
        array = np.ones(MiB // 8)
        sizes = []
        for _ in range(3):
            for result in pool.imap(functions.same, (array for _ in range(100))):
                assert result[-1] == 1
                del result
            sizes.append(shared_memory())
        assert sizes[-1] < 200 * MiB
        assert sizes[2] <= sizes[1] + 64 * MiB, "a run that kept its memory would add 200 MiB"

    def test_a_great_one_is_given_back(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        assert len(pool.call(functions.same, b"x" * (300 * MiB))) == 300 * MiB
        for _ in range(3):
            pool.call(functions.same, b"x" * 100_000)
        eventually(lambda: pool.call(functions.inc, 1) == 2 and shared_memory() < 600 * MiB)

    def test_a_worker_that_dies_with_arrays(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()

        def die(array: Any) -> Any:
            if array[0] == 5:
                os._exit(1)
            return array

        answers = pool.map(die, [filled(n) for n in range(12)], on_error="return")
        assert isinstance(answers.pop(5), WorkerDied)
        assert [array.mean() for array in answers] == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]  # type: ignore[union-attr]


class TestWithoutSharedMemory:
    def test_the_pipe_is_taken_instead(self) -> None:
        """A limit on the size of files is one on shared memory, too."""
        done = run_python("""
            import logging, resource, sys
            logging.basicConfig(format="%(message)s")
            from processpool import ProcessPool
            def same(x): return x
            def flip(x): return bytearray(reversed(x))
            limit = 1024 * 1024
            with ProcessPool.from_dict({"worker": {"kind": "python"}, "size": {"max": 2}}) as pool:
                pool.wait_ready()
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
                data = bytes(range(256)) * 20_000
                assert pool.call(len, data) == len(data)
                assert pool.map(len, [data, 'x', data]) == [len(data), 1, len(data)]
                pid = pool.call(same, 1)
                for worker in pool.snapshot().workers:
                    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (limit, limit))
                assert pool.call(same, data) == data
                assert pool.call(flip, data) == bytearray(reversed(data))
                assert pool.map(same, [data] * 3) == [data] * 3
                assert pool.submit(same, [data, bytearray(data)]).result() == [data, data]
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
                assert pool.call(len, data) == len(data)
        """)
        assert done.returncode == 0, done.stderr
        assert "no shared memory for a large message" in done.stderr
        assert "it goes through the pipe" in done.stderr

    @pytest.mark.slow
    def test_hundreds_of_megabytes_through_the_pipe(self) -> None:
        done = run_python("""
            import resource
            from processpool import ProcessPool
            with ProcessPool.from_dict({"worker": {"kind": "python"}, "size": {"max": 1}}) as pool:
                pid = pool.snapshot().workers[0].pid
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (2**20, 2**20))
                assert len(pool.call(bytes, 200 * 2**20)) == 200 * 2**20
        """)
        assert (done.returncode, done.stderr) == (0, "")


def test_nothing_is_left_in_dev_shm(python_pool: Callable[..., ProcessPool]) -> None:
    before = set(os.listdir("/dev/shm"))
    pool = python_pool()
    assert pool.call(len, b"x" * MiB) == MiB
    assert set(os.listdir("/dev/shm")) <= before
    assert sys.getsizeof(pool) > 0
