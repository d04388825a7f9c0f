"""Code of the user's that runs inside of the pool: listeners, log handlers, pickling.

It may wait, take its time, use the pool or raise; nobody else is to notice.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from concurrent.futures import FIRST_EXCEPTION, CancelledError, wait
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import pytest

from processpool import ProcessPool, RequestTimeout
from processpool.core import events
from tests.process.support import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PYTHON = {"worker": {"kind": "python"}, "size": {"min": 2, "max": 2}}


@pytest.fixture
def pool() -> Iterator[ProcessPool]:
    """A pool of two Python workers."""
    with ProcessPool.from_dict(PYTHON) as pool:
        yield pool


class TestListeners:
    def test_one_that_waits_stops_nobody(self, make: Callable[..., ProcessPool]) -> None:
        pool = make(2)
        gate = threading.Event()
        heard: list[events.Event] = []

        def listen(event: events.Event) -> None:
            heard.append(event)
            gate.wait()

        pool.events(listen)
        try:
            assert pool.map(["answer(1)"] * 50) == ["1"] * 50
            assert pool.submit("answer(2)").result(30) == "2"
            assert pool.drain(30)
        finally:
            gate.set()
        eventually(lambda: sum(type(event) is events.ItemsFinished for event in heard) > 1)

    @pytest.mark.parametrize(
        "use",
        [
            lambda pool: pool.call("answer(3)"),
            lambda pool: pool.map(["answer(3)"])[0],
            lambda pool: pool.submit("answer(3)").result(),
            lambda pool: pool.drain() and "3",
            lambda pool: [pool.restart_worker(w.id) for w in pool.snapshot().workers] and "3",
        ],
    )
    def test_one_may_use_the_pool(
        self, make: Callable[..., ProcessPool], use: Callable[[ProcessPool], str]
    ) -> None:
        pool = make(2)
        used: list[str] = []

        def listen(event: events.Event) -> None:
            if isinstance(event, events.ItemFailed):
                used.append(use(pool))

        pool.events(listen)
        pool.map(["os._exit(3)"], on_error="return")
        eventually(lambda: used)
        assert used == ["3"]

    def test_one_that_returns_at_once_hears_of_an_item_before_its_caller(
        self, make: Callable[..., ProcessPool]
    ) -> None:
        pool = make(2)
        heard: list[events.Event] = []
        pool.events(heard.append)
        for _ in range(50):
            pool.submit("answer(1)").result()
            assert heard, "nothing was heard"
            heard.clear()


class TestLogHandlers:
    def test_one_may_use_the_pool(self, pool: ProcessPool) -> None:
        used: list[Any] = []

        class Handler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                used.append((record.getMessage(), pool.submit(abs, -1).result(30)))
                pool.snapshot()

        logger = logging.getLogger("tests.user")
        handler = Handler()
        logger.addHandler(handler)
        try:
            assert pool.map(say, range(5)) == list(range(5))
            assert pool.call(say, 9) == 9
            eventually(lambda: len(used) == 6)
        finally:
            logger.removeHandler(handler)
        assert sorted(used) == [(f"number {number}", 1) for number in (0, 1, 2, 3, 4, 9)]

    def test_a_root_level_that_is_no_level(self, pool: ProcessPool) -> None:
        before = logging.root.level
        logging.root.setLevel(-1)
        try:
            assert pool.map(abs, range(-3, 0)) == [3, 2, 1]
            with ProcessPool.from_dict(PYTHON) as other:
                assert other.call(abs, -1) == 1
        finally:
            logging.root.setLevel(before)


def say(number: int) -> int:
    """Log something."""
    logging.getLogger("tests.user").warning("number %d", number)
    return number


class Slow:
    """An argument that is slow to pickle."""

    def __init__(self, seconds: float, begun: threading.Event | None = None) -> None:
        self.seconds = seconds
        self.begun = begun

    def __reduce__(self) -> tuple[Any, ...]:
        if self.begun is not None:
            self.begun.set()
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            pass
        return Slow, (self.seconds,)


class Asking:
    """An argument that asks the pool something when it is pickled."""

    def __init__(self, pool: ProcessPool) -> None:
        self.pool = pool

    def __reduce__(self) -> tuple[Any, ...]:
        return int, (self.pool.submit(abs, -7).result(),)


WAYS: dict[str, Callable[[ProcessPool, Any], Any]] = {
    "call": lambda pool, item: pool.call(type, item),
    "submit": lambda pool, item: pool.submit(type, item).result(),
    "map": lambda pool, item: pool.map(type, [item])[0],
}


class TestPickling:
    @pytest.mark.parametrize("way", WAYS)
    def test_it_is_no_part_of_an_items_time(self, way: str) -> None:
        with ProcessPool.from_dict(PYTHON | {"timeouts": {"request": 2}}) as pool:
            assert WAYS[way](pool, Slow(2.5)) is Slow
            with pytest.raises(RequestTimeout):
                pool.call(time.sleep, 60)

    @pytest.mark.parametrize("way", WAYS)
    def test_ctrl_c_ends_it(self, pool: ProcessPool, way: str) -> None:
        begun = threading.Event()

        def interrupt() -> None:
            begun.wait()
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        began = time.monotonic()
        item = Slow(8, begun)
        with pytest.raises(KeyboardInterrupt):
            WAYS[way](pool, item)
        assert time.monotonic() - began < 6
        thread.join()
        assert pool.submit(abs, -1).result(30) == 1

    def test_one_that_asks_the_pool_gets_an_error_instead_of_waiting_for_ever(
        self, pool: ProcessPool
    ) -> None:
        outcomes = pool.map(abs, [*range(5000), Asking(pool), 2], on_error="return")
        assert outcomes[:5000] == list(range(5000))
        assert outcomes[5000] == 7 or "must not wait for the pool" in str(outcomes[5000])
        assert outcomes[5001] == 2


gate = threading.Event()
"""What is unpickled waits until it is open."""
reached = threading.Event()
"""Something is being unpickled."""


def pass_gate(worker: int, made: type) -> Any:
    """Make it; but not in the worker."""
    if os.getpid() != worker:
        reached.set()
        while not gate.wait(0.05):
            pass  # a Ctrl-C right before a wait ends it only now
    return made()


class Gated:
    """A result."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pass_gate, (os.getpid(), Gated)


class GatedError(Exception):
    """An error."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pass_gate, (os.getpid(), GatedError)


def answer_gated(_: Any = None) -> Gated:
    return Gated()


def raise_gated(_: Any = None) -> None:
    raise GatedError


def by_lease(pool: ProcessPool, function: Callable[[], Any]) -> Any:
    with pool.lease() as lease:
        lease.send(function)
        return lease.read_stdout()


TAKE: dict[str, Callable[[ProcessPool, Callable[..., Any]], Any]] = {
    "call": lambda pool, function: pool.call(function),
    "submit": lambda pool, function: pool.submit(function).result(),
    "map": lambda pool, function: pool.map(function, range(3)),
    "imap": lambda pool, function: next(pool.imap(function, range(3))),
    "imap_unordered": lambda pool, function: next(pool.imap_unordered(function, range(3))),
    "executor": lambda pool, function: pool.executor().submit(function).result(),
    "executor map": lambda pool, function: next(pool.executor().map(function, range(3))),
    "lease": by_lease,
}


@pytest.mark.parametrize("function", [answer_gated, raise_gated])
class TestUnpicklingOfResults:
    @pytest.fixture(autouse=True)
    def shut(self) -> Iterator[None]:
        """Begin with a gate that is shut."""
        gate.clear()
        reached.clear()
        yield
        gate.set()

    def test_it_is_done_by_whoever_takes_the_result_and_holds_nobody_else_up(
        self, pool: ProcessPool, function: Callable[..., Any]
    ) -> None:
        future = pool.submit(function)
        wait([future])
        many = pool.imap(function, range(50), on_error="return")
        taking = threading.Thread(target=lambda: next(many), daemon=True)
        taking.start()
        reached.wait()
        assert pool.call(abs, -1) == 1
        assert pool.map(abs, range(-9, 0)) == list(range(9, 0, -1))
        with pytest.raises(RequestTimeout):
            pool.map(time.sleep, [60], timeout=0.2)
        assert "finished" in repr(future)
        eventually(lambda: all(w.state == "idle" for w in pool.snapshot().workers))
        pool.close()
        gate.set()
        taking.join()
        if function is raise_gated:
            assert type(future.exception()) is GatedError
        else:
            assert type(future.result()) is Gated

    def test_it_is_done_once(self, pool: ProcessPool, function: Callable[..., Any]) -> None:
        gate.set()
        future = pool.submit(function)
        error = future.exception()
        assert type(error) is (GatedError if function is raise_gated else type(None))
        record = future.record
        assert record is not None
        assert future.exception() is error is record.error
        if error is None:
            assert future.result() is future.result() is record.value

    @pytest.mark.parametrize("way", TAKE)
    def test_ctrl_c_ends_it(
        self, pool: ProcessPool, function: Callable[..., Any], way: str
    ) -> None:
        def interrupt() -> None:
            reached.wait()
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            TAKE[way](pool, function)
        thread.join()
        gate.set()
        assert pool.submit(abs, -1).result(30) == 1
        assert pool.map(abs, range(-9, 0)) == list(range(9, 0, -1))

    @pytest.mark.parametrize("way", ["acall", "aimap"])
    def test_an_event_loop_goes_on_meanwhile(
        self, pool: ProcessPool, function: Callable[..., Any], way: str
    ) -> None:
        async def take() -> Any:
            if way == "acall":
                return await pool.acall(function)
            return await anext(pool.aimap(function, range(3)))

        async def use() -> None:
            task = asyncio.create_task(take())
            while not reached.is_set():
                await asyncio.sleep(0.01)
            assert await pool.acall(abs, -1) == 1
            assert not task.done()
            gate.set()
            if function is raise_gated:
                with pytest.raises(GatedError):
                    await task
            else:
                assert type(await task) is Gated

        asyncio.run(use())

    def test_wait_does_not_unpickle_with_the_locks_of_all_futures(
        self, pool: ProcessPool, function: Callable[..., Any]
    ) -> None:
        first = pool.submit(function)
        wait([first])
        second = pool.submit(time.sleep, 60 if function is raise_gated else 0.3)
        done, _ = wait([first, second], return_when=FIRST_EXCEPTION)
        assert (second in done) is (function is answer_gated)
        assert not reached.is_set()
        second.kill()

    def test_what_is_tried_again_is_not_unpickled_for_it(
        self, function: Callable[..., Any]
    ) -> None:
        retry = {"attempts": 3, "on": ["error"]}
        with ProcessPool.from_dict(PYTHON | {"retry": retry}) as pool:
            future = pool.submit(function)
            wait([future])
            gate.set()
            record = future.record
            assert record is not None
            earlier = [type(attempt.error) for attempt in record.history]
            assert earlier == ([GatedError, GatedError] if function is raise_gated else [])


def test_who_looks_at_a_future_as_it_ends_takes_nothing_from_it(pool: ProcessPool) -> None:
    for number in range(300):
        future = pool.submit(Decimal, number)
        while future.record is None:
            pass
        assert future.result() == number
        failing = pool.submit(Decimal, "no number")
        while not failing.stderr and failing.record is None:
            pass
        with pytest.raises(InvalidOperation):
            failing.result()


class Falsy(Exception):
    """An error that is false, as one that holds others may be when it holds none."""

    def __len__(self) -> int:
        return 0


def raise_falsy(_: Any = None) -> None:
    raise Falsy


def fail_falsely(worker: int) -> None:
    if os.getpid() != worker:
        raise Falsy


class FailsFalselyHere:
    def __init__(self, _: Any = None) -> None:
        pass

    def __reduce__(self) -> tuple[Any, ...]:
        return fail_falsely, (os.getpid(),)


@pytest.mark.parametrize("function", [raise_falsy, FailsFalselyHere])
@pytest.mark.parametrize("way", TAKE)
def test_a_false_error_is_an_error(
    pool: ProcessPool, function: Callable[..., Any], way: str
) -> None:
    with pytest.raises(Falsy):
        TAKE[way](pool, function)


class FailsHere:
    """A result that can be unpickled only in the worker."""

    def __reduce__(self) -> tuple[Any, ...]:
        return fail_here, (os.getpid(),)


def fail_here(worker: int) -> FailsHere:
    if os.getpid() != worker:
        raise LookupError("not here")
    return FailsHere()


def fail_sometimes(number: int) -> Any:
    return FailsHere() if number == 3 else Decimal(number)


@pytest.mark.parametrize("way", ["map", "imap", "imap_unordered"])
def test_a_result_that_cannot_be_unpickled_is_an_error_as_any(pool: ProcessPool, way: str) -> None:
    method = getattr(pool, way)
    kept = list(method(fail_sometimes, range(6), on_error="return"))
    assert sorted(type(answer).__name__ for answer in kept) == ["Decimal"] * 5 + ["LookupError"]
    left = sorted(method(fail_sometimes, range(6), on_error="skip"))
    assert left == [Decimal(n) for n in (0, 1, 2, 4, 5)]
    with pytest.raises(LookupError, match="not here") as caught:
        list(method(fail_sometimes, range(6)))
    assert caught.value.record.index == 3  # type: ignore[attr-defined]


def test_an_item_that_waits_to_be_tried_again_can_be_cancelled(
    make: Callable[..., ProcessPool],
) -> None:
    retry = {"attempts": 3, "on": ["crash"]}
    pool = make(1, retry=retry, restart={"backoff": [30, 30]})
    failed = threading.Event()
    pool.events(lambda event: failed.set() if isinstance(event, events.ItemFailed) else None)
    future = pool.submit("os._exit(3)")
    assert failed.wait(30)
    assert future.cancel()
    with pytest.raises(CancelledError):
        future.result(30)
    assert pool.drain(30)


@pytest.mark.parametrize("kind", ["python"])
def test_an_item_that_closes_its_output_spoils_no_other(
    make: Callable[..., ProcessPool],
) -> None:
    pool = make(1)
    for spoil in ("sys.stdout.close()", "os.close(1)"):
        pool.map([f"{spoil}; answer()"], on_error="return")
        future = pool.submit("print('said'); answer(1)")
        assert (future.result(30), future.stdout) == ("1", "said\n"), spoil


@pytest.mark.parametrize("seconds", ["30d", "1000d"])
def test_weeks_and_years_are_times_as_any(make: Callable[..., ProcessPool], seconds: str) -> None:
    times = {"request": seconds, "idle": seconds, "start": seconds, "exit": seconds}
    pool = make(timeouts=times, recycle={"after": seconds})
    assert pool.call("answer(1)") == "1"
    assert pool.map(["answer(1)"], timeout=10**400) == ["1"]
    assert pool.map(["answer(1)"], timeout=float("inf")) == ["1"]
    assert pool.submit("answer(1)").result(3e6) == "1"
    with pool.lease(timeout=1e12) as lease:
        lease.send("answer(2)")
        assert lease.wait(1e12)
        assert lease.read_stdout() == "2"
    assert pool.wait_ready(1e300)
    assert pool.drain(1e300)
    pool.close(float("inf"))
