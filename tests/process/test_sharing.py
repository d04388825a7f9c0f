"""`pool.share`: what arrives, that it is not copied, and that nothing of it is left."""

from __future__ import annotations

import array
import gc
import os
import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from processpool import ProcessPool, Shared
from tests.process.support import await_exit, eventually, pids, run_python
from tests.process.workers import functions

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.process.support import Gate


def describe(value: Any) -> tuple[Any, ...]:
    return type(value).__name__, bytes(value), value.readonly, value.format, value.shape


def total(values: Any, n: int = 0) -> float:
    return float(values.sum()) + n


def write(values: Any) -> None:
    values[0] = 1


def mappings(_: Any = None) -> int:
    return len(mapped(os.getpid()))


def end_with(values: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def mapped(pid: int) -> list[str]:
    """What a process maps of shared objects."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return [line for line in lines if "processpool-share-" in line]


class Named(bytes):
    """Bytes with something beside them."""

    name: str

    def __new__(cls, value: bytes, name: str = "") -> Named:
        made = super().__new__(cls, value)
        made.name = name
        return made


class Counts(array.array):  # type: ignore[type-arg]
    """An array of a class of its own."""


def apply_middle(values: list[Any]) -> list[Any]:
    first, function, last = values
    return [first, function(1), last]


@pytest.fixture
def pool(python_pool: Callable[..., ProcessPool]) -> ProcessPool:
    return python_pool(2)


class TestWhatArrives:
    @pytest.mark.parametrize(
        ("value", "layout", "shape"),
        [
            (b"abc", "B", (3,)),
            (b"", "B", (0,)),
            (bytearray(b"abc" * 50_000), "B", (150_000,)),
            (array.array("d", [1.5, 2]), "d", (2,)),
            (memoryview(bytes(range(12))).cast("B", (3, 4)), "B", (3, 4)),
            (memoryview(b"abcdef")[::2], "B", (3,)),
        ],
    )
    def test_buffers(
        self, pool: ProcessPool, value: Any, layout: str, shape: tuple[int, ...]
    ) -> None:
        with pool.share(value) as shared:
            expected = ("memoryview", memoryview(value).tobytes(), True, layout, shape)
            assert pool.call(describe, shared) == expected

    @pytest.mark.parametrize(
        "value",
        [
            np.arange(100_000.0).reshape(100, 1000),
            np.arange(12, dtype="i2").reshape(3, 4)[:, ::2],
            np.asfortranarray(np.arange(12.0).reshape(3, 4)),
            np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]),
            np.array([], dtype="f4"),
            np.array(["2020-01-01"], dtype="M8[D]"),
            np.array([None, "object"], dtype=object),
            {"several": [np.ones(3), np.zeros(2)]},
        ],
    )
    def test_arrays_and_what_has_them(self, pool: ProcessPool, value: Any) -> None:
        with pool.share(value) as shared:
            found = pool.call(functions.same, shared)
            np.testing.assert_equal(found, value)
            np.testing.assert_equal(shared.value, value)
            assert type(found) is type(value)
            assert getattr(found, "dtype", None) == getattr(value, "dtype", None)

    @pytest.mark.parametrize(
        "value",
        [
            np.ma.masked_array(np.arange(30_000.0), mask=np.arange(30_000) % 2 == 1),
            np.ma.masked_array(
                np.array(["2020-01-01", "2020-01-02"], dtype="M8[D]"), [False, True]
            ),
            np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]).view(np.recarray),
            Named(b"abc", "name"),
            Counts("i", [1, 2]),
        ],
        ids=["masked", "masked times", "records", "bytes", "array"],
    )
    def test_what_is_more_than_its_buffer(self, pool: ProcessPool, value: Any) -> None:
        with pool.share(value) as shared:
            found = pool.call(functions.same, shared)
            assert type(found) is type(value)
            assert repr(found) == repr(value)
            assert getattr(found, "name", "") == getattr(value, "name", "")

    def test_a_file_that_is_mapped(self, pool: ProcessPool, tmp_path: Path) -> None:
        np.arange(100_000.0).tofile(tmp_path / "values")
        values = np.memmap(tmp_path / "values", dtype="f8", mode="r")
        with pool.share(values) as shared:
            found = pool.call(functions.same, shared)
            np.testing.assert_equal(found, values)
            assert type(found) is np.ndarray

    def test_arrays_beside_what_travels_by_value(self, pool: ProcessPool) -> None:
        first, second = np.arange(10.0), np.ones(10)
        with pool.share([first, lambda x: x + 1, second]) as shared:
            found = pool.call(apply_middle, shared)
            np.testing.assert_equal(found, [first, 2, second])

    def test_in_maps_partials_and_closures(self, pool: ProcessPool) -> None:
        values = np.arange(1000.0)
        with pool.share(values) as shared:
            expected = [values.sum() + n for n in range(100)]
            assert pool.map(total, [shared] * 100, range(100)) == expected
            assert pool.map(partial(total, shared), range(100)) == expected
            assert pool.map(lambda n: total(shared, n), range(100)) == expected
            assert np.asarray(shared).sum() == values.sum()

    def test_nobody_can_write(self, pool: ProcessPool) -> None:
        with pool.share(np.zeros(10)) as shared:
            with pytest.raises(ValueError, match="read-only"):
                pool.call(write, shared)
            with pytest.raises(ValueError, match="read-only"):
                write(shared.value)

    def test_what_cannot_be_shared(
        self, pool: ProcessPool, make_pool: Callable[..., ProcessPool]
    ) -> None:
        with pytest.raises(RuntimeError, match="I stay here"):
            pool.share(functions.Unpicklable())
        with pytest.raises(TypeError, match="kind: python"):
            make_pool().share(b"")


class TestWhereItIs:
    def test_every_worker_maps_it_once(self, pool: ProcessPool) -> None:
        with pool.share(np.ones(1_000_000)) as shared:
            assert set(pool.map(mappings, [shared] * 50)) == {1}
            assert pool.map(total, [shared] * 50) == [1e6] * 50
            assert {len(mapped(pid)) for pid in pids(pool)} <= {0, 1}

    @pytest.mark.parametrize("how", ["with", "close", "garbage", "function"])
    def test_workers_let_go_of_what_is_freed(self, pool: ProcessPool, how: str) -> None:
        shared = pool.share(np.ones(1000))
        if how == "function":
            assert pool.map(partial(total, shared), range(50)) == [1000.0 + n for n in range(50)]
        else:
            assert pool.map(total, [shared] * 50) == [1000.0] * 50
        assert pool.call(total, shared) == 1000.0
        assert any(mapped(pid) for pid in pids(pool))
        if how == "with":
            with shared:
                pass
        elif how == "garbage":
            del shared
            gc.collect()
        else:
            shared.close()
        eventually(lambda: not any(mapped(pid) for pid in pids(pool)))
        assert pool.call(functions.inc, 1) == 2

    def test_an_item_that_runs_keeps_it(
        self, python_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = python_pool(1)
        shared = pool.share(np.ones(1000))
        future = pool.submit(_wait_and_sum, str(gate.path), shared)
        gate.await_arrival()
        shared.close()
        gate.open()
        assert future.result() == 1000.0
        eventually(lambda: not mapped(pids(pool)[0]))

    def test_once_freed_it_cannot_be_used(self, pool: ProcessPool) -> None:
        shared = pool.share(b"abc")
        kept = pool.share(b"abc")
        shared.close()
        shared.close()
        assert shared.closed
        assert repr(shared).endswith("freed>")
        with pytest.raises(ValueError, match="freed"):
            pool.call(len, shared)
        with pytest.raises(ValueError, match="freed"):
            _ = shared.value
        assert pool.call(len, kept) == 3

    def test_freed_before_the_item_began(
        self, python_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = python_pool(1)
        shared = pool.share(b"abc")
        first = pool.submit(functions.wait_at, str(gate.path))
        gate.await_arrival()
        second = pool.submit(len, shared)
        third = pool.submit(functions.inc, 1)
        shared.close()
        gate.open()
        assert first.result() == "passed"
        with pytest.raises(ValueError, match="freed"):
            second.result()
        assert third.result() == 2

    def test_closing_the_pool_frees_it(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(1)
        shared = pool.share(np.ones(1000))
        assert pool.call(total, shared) == 1000.0
        pool.close()
        assert shared.closed

    def test_after_a_crash_the_next_worker_reads_it(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool(1)
        with pool.share(np.ones(1000)) as shared:
            assert pool.submit(end_with, shared).exception() is not None
            assert pool.submit(total, shared).result() == 1000.0
        assert isinstance(shared, Shared)

    def test_nothing_outlives_the_process(self) -> None:
        done = run_python(
            """
            import os, signal
            from processpool import ProcessPool
            if __name__ == "__main__":
                pool = ProcessPool.from_dict({"worker": {"kind": "python"}, "size": {"max": 1}})
                pool.open()
                shared = pool.share(bytes(1_000_000))
                print(pool.call(len, shared), pool.call(os.getpid), flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
            """
        )
        size, worker = map(int, done.stdout.split())
        assert size == 1_000_000
        await_exit(worker)


def _wait_and_sum(path: str, values: Any) -> float:
    functions.wait_at(path)
    return total(values)
