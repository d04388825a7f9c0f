"""Pools over the engine without processes, as tests of users' code have them."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

import pytest

from processpool import (
    CodecError,
    InvalidLease,
    PoolClosed,
    PoolExhausted,
    ProtocolError,
    RequestTimeout,
    Retire,
    UnexpectedEOF,
    WorkerDied,
)
from processpool.config import pool_from_dict
from processpool.core import events
from processpool.testing import fake_pool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processpool import ProcessPool
    from processpool.config import PoolConfig


@pytest.fixture
def pool() -> Iterator[ProcessPool]:
    """An open fake pool of functions."""
    with fake_pool() as opened:
        yield opened


def program(**sections: Any) -> PoolConfig:
    """The declaration of a pool that runs a command, which is nowhere to be found."""
    worker = {"kind": "command", "command": ["no-such-program"], "protocol": "lines"}
    return pool_from_dict({"worker": worker, **sections})


def fail(message: str) -> str:
    """Raise an error that says this."""
    raise KeyError(message)


class TestForms:
    def test_functions_are_called_as_they_are(self, pool: ProcessPool) -> None:
        seen: list[int] = []
        assert pool.call(seen.append, 1) is None
        assert pool.map(lambda a, b: seen.append(a + b), [1, 2], [3, 4]) == [None, None]
        assert pool.submit(pow, 2, exp=5).result() == 32
        assert seen == [1, 4, 6]

    def test_a_handler_takes_its_arguments(self) -> None:
        with fake_pool(pow) as pool:
            assert pool.call(2, 3) == 8
            assert pool.map([2, 3], [4, 2]) == [16, 9]

    def test_a_program_takes_messages(self) -> None:
        def shout(message: str) -> dict[str, str]:
            print("said:", end=" ")
            return {"loud": message.upper()}

        with fake_pool(shout, program()) as pool:
            assert pool.call("hello") == 'said: {"loud":"HELLO"}'
            with pytest.raises(CodecError):
                pool.call(5)
            with pytest.raises(ProtocolError):
                pool.call("two\nlines")
            with pytest.raises(TypeError, match="this pool runs a command"):
                pool.call("two", "messages")

    def test_there_must_be_a_handler_where_one_is_declared(self) -> None:
        with pytest.raises(TypeError, match="say what the fake does"):
            fake_pool(None, program())
        with pytest.raises(TypeError, match="takes no handler"):
            fake_pool(len, pool_from_dict({"worker": {"kind": "python"}}))


class TestItems:
    def test_it_is_done_when_it_is_submitted(self, pool: ProcessPool) -> None:
        threads = threading.active_count()
        future = pool.submit(threading.get_ident)
        assert future.done()
        assert future.result() == threading.get_ident()
        assert threading.active_count() == threads

    def test_an_error_carries_its_record(self, pool: ProcessPool) -> None:
        with pytest.raises(KeyError, match="mine") as caught:
            pool.map(fail, ["mine", "never"])
        record = caught.value.record  # type: ignore[attr-defined]
        assert (record.index, record.worker_id, record.attempts) == (0, 1, 1)
        assert pool.snapshot().last_error == "KeyError: 'mine'"

    def test_what_it_prints_is_on_its_record(
        self, pool: ProcessPool, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def talk() -> int:
            print("out")
            print("err", file=sys.stderr)
            return 3

        future = pool.submit(talk)
        assert (future.result(), future.stdout, future.stderr) == (3, "out\n", "err\n")
        assert capsys.readouterr() == ("", "")
        assert pool.map(print, ["shown"], echo=True) == [None]
        assert capsys.readouterr().out == "shown\n"

    def test_an_exit_is_a_death(self, pool: ProcessPool) -> None:
        told: list[events.Event] = []
        pool.events(told.append)
        with pytest.raises(WorkerDied, match="exited with status 3") as caught:
            pool.call(sys.exit, 3)
        assert caught.value.exitcode == 3
        assert [worker.id for worker in pool.snapshot().workers] == [2]
        assert [event.exitcode for event in told if isinstance(event, events.WorkerExited)] == [3]

    def test_it_is_tried_again(self) -> None:
        tries: list[int] = []

        def third(number: int) -> int:
            tries.append(number)
            return number if len(tries) == 3 else sys.exit(1)

        config = pool_from_dict(
            {"worker": {"kind": "python"}, "retry": {"attempts": 3, "on": ["crash"]}}
        )
        with fake_pool(None, config) as pool:
            future = pool.submit(third, 7)
            assert future.result() == 7
        assert future.record is not None
        assert future.record.attempts == 3
        assert [type(earlier.error) for earlier in future.record.history] == [WorkerDied] * 2

    def test_a_timeout_is_seen_at_the_end(self, pool: ProcessPool) -> None:
        with pytest.raises(RequestTimeout, match="did not answer within 0 s"):
            pool.map(abs, [1], timeout=0)

    def test_work_that_makes_work(self, pool: ProcessPool) -> None:
        assert pool.call(lambda: pool.submit(abs, -1).result()) == 1

    def test_what_other_threads_submit_is_done_after_it(self, pool: ProcessPool) -> None:
        order: list[str] = []

        def outer() -> None:
            thread = threading.Thread(target=pool.submit, args=(order.append, "inner"))
            thread.start()
            thread.join()
            order.append("outer")

        pool.call(outer)
        assert order == ["outer", "inner"]

    def test_ctrl_c_goes_on_and_costs_the_item(self, pool: ProcessPool) -> None:
        def interrupted() -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            pool.call(interrupted)
        assert pool.call(abs, -2) == 2
        assert pool.drain(0)


class TestSteering:
    def test_a_paused_pool_lets_work_wait(self, pool: ProcessPool) -> None:
        pool.pause()
        futures = [pool.submit(abs, -number) for number in range(3)]
        assert futures[1].cancel()
        assert pool.snapshot().queued == 2
        pool.resume()
        assert [futures[0].result(), futures[2].result()] == [0, 2]
        with pytest.raises(CancelledError):
            futures[1].result()

    def test_closing_does_what_waits_and_killing_does_not(self) -> None:
        for end, fails in ("close", False), ("kill", True):
            pool = fake_pool().open()
            pool.pause()
            future = pool.submit(abs, -1)
            getattr(pool, end)()
            assert isinstance(future.exception(), PoolClosed) is fails
            assert pool.state == "closed"
            assert not pool.snapshot().workers
            with pytest.raises(PoolClosed, match="the pool is closed"):
                pool.submit(abs, 1)

    def test_it_must_be_opened(self) -> None:
        with pytest.raises(PoolClosed, match="not open"):
            fake_pool(len).call("x")


class TestRetire:
    def test_another_worker_does_it(self, pool: ProcessPool) -> None:
        before = [worker.id for worker in pool.snapshot().workers]
        calls = iter(range(3))

        def later() -> int:
            if (call := next(calls)) < 2:
                raise Retire("not this one")
            return call

        record = pool.submit(later).record
        assert record is not None
        assert (record.value, record.attempts) == (2, 1)
        assert [type(earlier.error) for earlier in record.history] == [Retire, Retire]
        assert not set(before) & {worker.id for worker in pool.snapshot().workers}
        assert pool.snapshot().failed == 0

    def test_after_five_workers_it_fails(self, pool: ProcessPool) -> None:
        def never() -> None:
            raise Retire("for ever")

        with pytest.raises(Retire, match=r"5 workers were replaced .* the last said: for ever"):
            pool.call(never)
        assert pool.snapshot().failed == 1
        assert pool.call(abs, -1) == 1


class TestLeases:
    def test_a_lease(self, pool: ProcessPool) -> None:
        with pool.lease() as lease:
            lease.send(print, "text")
            lease.send(abs, -4)
            assert pool.num_running == 1
            assert lease.wait(0)
            assert [lease.read_stdout(), lease.read_stdout()] == [None, 4]
            assert not lease.has_stdout
        assert pool.num_running == 0
        with pytest.raises(InvalidLease):
            lease.send(abs, 1)

    def test_a_death(self, pool: ProcessPool) -> None:
        with pool.lease() as lease:
            lease.send(sys.exit, 1)
            with pytest.raises(UnexpectedEOF, match="exited with status 1"):
                lease.read_stdout()
            assert lease.failed
        assert pool.call(abs, -1) == 1

    def test_there_are_no_more_than_there_may_be(self) -> None:
        with fake_pool(len, program(size={"min": 1, "max": 1})) as pool:
            with pool.lease():
                with pytest.raises(PoolExhausted):
                    pool.lease(timeout=0)
                future = pool.submit("waits")
                assert not future.done()
            assert future.result() == "5"


class TestOtherFaces:
    def test_an_executor(self, pool: ProcessPool) -> None:
        with pool.executor() as executor:
            assert list(executor.map(abs, [-1, -2])) == [1, 2]
            assert executor.submit(pow, 2, 2).result() == 4

    async def _ask(self, pool: ProcessPool) -> list[int]:
        return [await pool.acall(abs, -1), *[each async for each in pool.aimap(abs, [-2, -3])]]

    def test_asyncio(self, pool: ProcessPool) -> None:
        import asyncio

        assert asyncio.run(self._ask(pool)) == [1, 2, 3]
