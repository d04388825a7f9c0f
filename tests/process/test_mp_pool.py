"""`processpool.Pool` does what `multiprocessing.Pool` documents, and survives crashes."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from typing import TYPE_CHECKING, Any

import pytest

import processpool
from processpool import PoolClosed, WorkerDied
from tests.process.support import Gate, run_python

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

answers: list[Any] = []


@pytest.fixture
def pool() -> Iterator[processpool.Pool]:
    pool = processpool.Pool(2)
    yield pool
    pool.terminate()
    pool.join()


def square(x: int) -> int:
    return x * x


def power(x: int, y: int = 2) -> int:
    return int(x**y)


def fail_at_two(x: int) -> int:
    if x == 2:
        raise LookupError(x)
    return x


def die_at_two(x: int) -> int:
    if x == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def give_error(x: int) -> Exception:
    return ValueError(x)


def wait_at(path: str) -> str:
    with open(path, "rb") as gate:
        gate.read()
    return path


def say(x: int) -> None:
    print("item", x)


def remember(x: int) -> None:
    answers.append(x)


def tell(_: Any) -> list[Any]:
    return answers


def raising() -> Iterator[int]:
    yield 1
    raise LookupError("input")


class TestCalls:
    def test_apply(self, pool: processpool.Pool) -> None:
        assert pool.apply(power, (3,), {"y": 3}) == 27

    def test_map(self, pool: processpool.Pool) -> None:
        assert pool.map(square, range(100), chunksize=7) == [x * x for x in range(100)]

    def test_starmap(self, pool: processpool.Pool) -> None:
        assert pool.starmap(power, [(2,), (2, 3), [3, 3]]) == [4, 8, 27]
        assert pool.starmap_async(power, iter([(2, 5)])).get() == [32]

    def test_imap(self, pool: processpool.Pool) -> None:
        assert list(pool.imap(square, iter(range(50)), 10)) == [x * x for x in range(50)]
        assert sorted(pool.imap_unordered(square, range(50))) == [x * x for x in range(50)]

    def test_an_imap_begins_by_itself(self, pool: processpool.Pool, tmp_path: Path) -> None:
        gate = Gate(tmp_path)
        iterator = pool.imap(wait_at, [str(gate.path)])
        gate.await_arrival()
        with pytest.raises(multiprocessing.TimeoutError):
            iterator.next(timeout=0)
        gate.open()
        assert iterator.next(timeout=60) == str(gate.path)

    def test_async_results(self, pool: processpool.Pool, tmp_path: Path) -> None:
        gate = Gate(tmp_path)
        result = pool.apply_async(wait_at, (str(gate.path),))
        gate.await_arrival()
        assert not result.ready()
        with pytest.raises(ValueError, match="not ready"):
            result.successful()
        with pytest.raises(multiprocessing.TimeoutError):
            result.get(0)
        gate.open()
        result.wait()
        assert result.ready()
        assert result.successful()

    def test_callbacks_are_done_when_wait_returns(self, pool: processpool.Pool) -> None:
        got: list[Any] = []
        pool.apply_async(square, (3,), callback=got.append).wait()
        pool.map_async(square, [4], callback=got.append).wait()
        failing = pool.apply_async(
            fail_at_two, (2,), callback=got.append, error_callback=got.append
        )
        failing.wait()
        assert got[:2] == [9, [16]]
        assert isinstance(got[2], LookupError)
        assert not failing.successful()

    def test_what_items_print_is_printed_here(
        self, pool: processpool.Pool, capfd: pytest.CaptureFixture[str]
    ) -> None:
        pool.map(say, [1])
        pool.apply(say, (2,))
        list(pool.imap(say, [3]))
        assert capfd.readouterr().out == "item 1\nitem 2\nitem 3\n"

    def test_an_initializer(self) -> None:
        with processpool.Pool(1, remember, ("ready",)) as pool:
            assert pool.map(tell, [0]) == [["ready"]]

    def test_workers_are_replaced(self) -> None:
        with processpool.Pool(1, maxtasksperchild=1) as pool:
            pids = pool.map(_pid, range(3))
        assert len(set(pids)) == 3


class TestErrors:
    def test_of_one_item_are_raised_when_all_are_done(self, pool: processpool.Pool) -> None:
        with pytest.raises(LookupError):
            pool.map(fail_at_two, range(5))

    def test_an_imap_goes_on(self, pool: processpool.Pool) -> None:
        iterator = pool.imap(fail_at_two, range(4))
        assert [next(iterator), next(iterator)] == [0, 1]
        with pytest.raises(LookupError):
            next(iterator)
        assert list(iterator) == [3]

    def test_a_crash_costs_one_item(self, pool: processpool.Pool) -> None:
        iterator = pool.imap(die_at_two, range(6))
        assert [next(iterator), next(iterator)] == [0, 1]
        with pytest.raises(WorkerDied):
            next(iterator)
        assert list(iterator) == [3, 4, 5]

    def test_an_exception_may_be_a_value(self, pool: processpool.Pool) -> None:
        assert [str(value) for value in pool.map(give_error, [1, 2])] == ["1", "2"]
        assert [str(value) for value in pool.imap(give_error, [1, 2])] == ["1", "2"]

    def test_of_the_input(self, pool: processpool.Pool) -> None:
        with pytest.raises(LookupError, match="input"):
            pool.map(square, raising())
        iterator = pool.imap(square, raising())
        assert next(iterator) == 1
        with pytest.raises(LookupError, match="input"):
            next(iterator)
        assert list(iterator) == []

    @pytest.mark.parametrize(
        ("arguments", "kind"),
        [
            ({"processes": 0}, ValueError),
            ({"processes": 1, "maxtasksperchild": 0}, ValueError),
            ({"processes": 1, "maxtasksperchild": 0.5}, ValueError),
            ({"processes": 1, "initializer": 3}, TypeError),
            ({"processes": 1.5}, TypeError),
        ],
    )
    def test_of_arguments(self, arguments: dict[str, Any], kind: type[Exception]) -> None:
        with pytest.raises(kind):
            processpool.Pool(**arguments)

    def test_a_chunksize_below_one(self, pool: processpool.Pool) -> None:
        with pytest.raises(ValueError, match="Chunksize"):
            pool.imap(square, [], 0)


class TestEnd:
    def test_close_and_join_finish_the_work(self, tmp_path: Path) -> None:
        gate = Gate(tmp_path)
        pool = processpool.Pool(1)
        results = [pool.apply_async(wait_at, (str(gate.path),)), pool.map_async(square, [3])]
        iterator = pool.imap(square, range(100))
        gate.await_arrival()
        with pytest.raises(ValueError, match="still running"):
            pool.join()
        pool.close()
        with pytest.raises(ValueError, match="not running"):
            pool.map(square, [])
        gate.open()
        pool.join()
        assert [result.get() for result in results] == [str(gate.path), [9]]
        assert len(list(iterator)) == 100

    def test_terminate_ends_the_work(self, tmp_path: Path) -> None:
        gate = Gate(tmp_path)
        with processpool.Pool(1) as pool:
            result = pool.apply_async(wait_at, (str(gate.path),))
            iterator = pool.imap(wait_at, [str(gate.path)])
            gate.await_arrival()
        pool.join()
        with pytest.raises((PoolClosed, RuntimeError)):
            result.get()
        with pytest.raises(PoolClosed):
            next(iterator)
        gate.close()
        with pytest.raises(ValueError, match="not running"):
            pool.__enter__()

    def test_a_forgotten_one_warns(self) -> None:
        pool = processpool.Pool(1)
        with pytest.warns(ResourceWarning, match="unclosed running pool"):
            del pool

    def test_it_cannot_be_pickled(self, pool: processpool.Pool) -> None:
        with pytest.raises(NotImplementedError):
            pickle.dumps(pool)

    def test_at_the_interpreters_exit_nothing_hangs(self) -> None:
        done = run_python("""
            import processpool, time
            pool = processpool.Pool(1)
            result = pool.map_async(time.sleep, [1000])
            """)
        assert done.returncode == 0
        assert "unclosed running pool" in done.stderr


def _pid(_: Any) -> int:
    return os.getpid()
