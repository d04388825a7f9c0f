"""Code of the user's that runs inside of the pool: listeners, log handlers, pickling.

It may wait, take its time, use the pool or raise; nobody else is to notice.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

import pytest

from processpool import ProcessPool, RequestTimeout, events
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
        item = Slow(5, begun)
        with pytest.raises(KeyboardInterrupt):
            WAYS[way](pool, item)
        assert time.monotonic() - began < 3
        thread.join()
        assert pool.submit(abs, -1).result(30) == 1

    def test_one_that_asks_the_pool_gets_an_error_instead_of_waiting_for_ever(
        self, pool: ProcessPool
    ) -> None:
        outcomes = pool.map(abs, [*range(5000), Asking(pool), 2], on_error="return")
        assert outcomes[:5000] == list(range(5000))
        assert outcomes[5000] == 7 or "must not wait for the pool" in str(outcomes[5000])
        assert outcomes[5001] == 2


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
