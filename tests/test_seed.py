"""What the PHP library could do that this one grew from, with a PHP worker such as its users have.

Each test is a case of that library, in this one's words: a request is a lease.
"""

from __future__ import annotations

import hashlib
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from processpool import (
    InvalidLease,
    PoolExhausted,
    ProcessPool,
    UnexpectedEOF,
    WorkerDied,
    WorkerStartFailed,
)
from processpool.core import events
from tests.process.support import await_exit, is_gone, pids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PHP = shutil.which("php")
WORKER = Path(__file__).parent / "process" / "workers" / "seed_worker.php"
LONG = "0123456789" * 120

pytestmark = pytest.mark.skipif(PHP is None, reason="php is not installed")


@pytest.fixture
def make() -> Iterator[Callable[..., ProcessPool]]:
    """Makes open pools of the PHP worker: `make(min, max)`."""
    with ExitStack() as stack:

        def make(least: int = 1, most: int = 1, spare: int | None = None) -> ProcessPool:
            size = {"min": least, "max": most} | ({} if spare is None else {"spare": spare})
            worker = {"kind": "command", "command": ["php", WORKER.name], "cwd": str(WORKER.parent)}
            pool = ProcessPool.from_dict({"worker": worker, "size": size})
            stack.callback(pool.kill)
            pool.open().wait_ready()
            return pool

        yield make


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


class TestRequests:
    def test_an_answer(self, make: Callable[..., ProcessPool]) -> None:
        with make().lease() as request:
            request.send("Testing 1")
            assert request.read_stdout() == "3560b3b3658d3f95d320367b007ee2b6"
            assert request.read_stderr() == ""

    def test_several_at_a_time(self, make: Callable[..., ProcessPool]) -> None:
        pool = make(1, 3, spare=2)
        messages = ["Multiple 1", "Multiple 2", "Multiple 3"]
        requests = []
        for running, message in enumerate(messages, start=1):
            requests.append(pool.lease(timeout=0))
            requests[-1].send(message)
            assert (pool.num_running, pool.num_unassigned) == (running, 0)
        for left, (request, message) in enumerate(zip(requests, messages, strict=True)):
            assert request.read_stdout() == md5(message)
            request.release()
            assert pool.num_running == 2 - left
            assert pool.num_unassigned == min(left + 1, 2), "no more than the spare ones stay"

    def test_a_pool_that_is_exhausted(self, make: Callable[..., ProcessPool]) -> None:
        pool = make(1, 3)
        requests = [pool.lease(timeout=0) for _ in range(3)]
        for request in requests:
            request.send("sleep 0.1")
        with pytest.raises(PoolExhausted):
            pool.lease(timeout=0)
        for request in requests:
            assert request.read_stdout() == "slept"
            request.release()
        pool.lease(timeout=0).release()

    def test_stderr_belongs_to_its_request(self, make: Callable[..., ProcessPool]) -> None:
        pool = make(2, 2)
        first, second = pool.lease(), pool.lease()
        first.send("log Error 1")
        second.send("Testing 1")
        assert first.read_stdout() == "logged"
        assert first.read_stderr().strip() == "Error 1"
        first.release()
        assert second.read_stdout() == md5("Testing 1")
        assert second.read_stderr() == ""
        with pool.lease() as again:
            again.send("Testing 1")
            assert again.read_stdout() == md5("Testing 1")
            assert again.read_stderr() == ""
        second.release()

    def test_an_answer_that_was_not_read_is_dropped(self, make: Callable[..., ProcessPool]) -> None:
        pool = make()
        request = pool.lease()
        request.send("log Error 1")
        request.release()
        with pool.lease() as request:
            request.send("Testing 1")
            assert request.read_stdout() == md5("Testing 1")
            assert request.read_stderr() == ""

    def test_a_long_message(self, make: Callable[..., ProcessPool]) -> None:
        with make().lease() as request:
            for message in (LONG, LONG * 1000):
                request.send(message)
                assert request.read_stdout() == md5(message)

    def test_a_long_answer(self, make: Callable[..., ProcessPool]) -> None:
        with make().lease() as request:
            for message in (LONG, LONG * 1000):
                request.send(f"echo {message}")
                assert request.read_stdout() == message

    def test_long_stderr(self, make: Callable[..., ProcessPool]) -> None:
        with make().lease() as request:
            for message in (LONG, LONG * 500):
                request.send(f"stderr {message}")
                assert request.read_stdout() == ""
                assert request.read_stderr() == message

    def test_bytes_are_counted_not_characters(self, make: Callable[..., ProcessPool]) -> None:
        assert make().call("echo grüße, 你好 \n 100;abc") == "grüße, 你好 \n 100;abc"


class TestWaiting:
    def test_for_stdout(self, make: Callable[..., ProcessPool]) -> None:
        with make().lease() as request:
            request.send("Hello\nworld!")
            assert request.wait(30)
            assert (request.has_stdout, request.has_stderr) == (True, False)
            assert request.read_stdout() == md5("Hello\nworld!")

    def test_for_stderr(self, make: Callable[..., ProcessPool]) -> None:
        with make().lease() as request:
            request.send("log-only something")
            assert request.wait(30)
            assert request.read_stdout() == ""
            assert request.read_stderr() == "something\n"


class TestExits:
    @pytest.mark.parametrize(
        ("message", "answer"),
        [
            ("print-and-exit exiting", "exiting"),
            ("exit-silently", ""),
            ("print-and-exit 100;abc", "100;abc"),
        ],
    )
    @pytest.mark.parametrize("way", ["lease", "call", "submit", "map"])
    def test_what_was_printed_before_an_exit_is_the_answer(
        self, make: Callable[..., ProcessPool], message: str, answer: str, way: str
    ) -> None:
        pool = make()
        (first,) = pids(pool)
        match way:
            case "lease":
                with pool.lease() as request:
                    request.send(message)
                    assert request.read_stdout() == answer
            case "call":
                assert pool.call(message) == answer
            case "submit":
                assert pool.submit(message).result() == answer
            case _:
                assert pool.map([message]) == [answer]
        await_exit(first)
        assert pool.call("Testing 1") == md5("Testing 1")

    def test_a_whole_map_of_exits(self, make: Callable[..., ProcessPool]) -> None:
        pool = make(2, 2)
        messages = [f"print-and-exit {number}" for number in range(20)]
        assert pool.map(messages) == [str(number) for number in range(20)]

    def test_an_exception_is_on_stderr_after_what_had_been_printed(
        self, make: Callable[..., ProcessPool]
    ) -> None:
        pool = make()
        future = pool.submit("throw my mistake")
        assert future.result() == ""
        assert "my mistake" in future.stderr
        assert pool.call("Testing 1") == md5("Testing 1")

    def test_a_program_that_answers_nothing(self) -> None:
        worker = {"kind": "command", "command": ["sleep", "0"]}
        with pytest.raises(WorkerStartFailed, match="exited with status 0 before it was ready"):
            ProcessPool.from_dict({"worker": worker}).open()

    def test_a_program_that_is_gone_at_the_first_request(self) -> None:
        worker = {"kind": "command", "command": ["head", "-c", "1"]}
        with ProcessPool.from_dict({"worker": worker}) as pool:
            with pool.lease() as request:
                request.send("")
                with pytest.raises(UnexpectedEOF):
                    request.read_stdout()
                assert request.failed
            with pytest.raises((WorkerDied, UnexpectedEOF)):
                pool.call("x")


class TestPool:
    def test_spare_less_than_min(self, make: Callable[..., ProcessPool]) -> None:
        pool = make(2, 10)
        with pytest.raises(ValueError, match=r"size\.spare must be between size\.min \(2\)"):
            pool.resize(spare=1)

    def test_shut_down(self, make: Callable[..., ProcessPool]) -> None:
        pool = make(3, 3)
        told: list[events.Event] = []
        pool.events(told.append)
        assert (pool.num_running, pool.num_unassigned) == (0, 3)
        workers = pids(pool)
        request = pool.lease()
        request.send("Testing 1")
        assert request.read_stdout() == md5("Testing 1")
        assert pool.num_running == 1
        request.release()
        assert (pool.num_running, pool.num_unassigned) == (0, 3)
        pool.close()
        assert (pool.num_running, pool.num_unassigned) == (0, 0)
        assert all(map(is_gone, workers))
        ended = [event for event in told if isinstance(event, events.WorkerExited)]
        assert [event.exitcode for event in ended] == [0] * 3, "the exit message was understood"

    def test_released_twice(self, make: Callable[..., ProcessPool]) -> None:
        request = make().lease()
        request.release()
        with pytest.raises(InvalidLease):
            request.release()

    def test_output_before_the_start(self, tmp_path: Path) -> None:
        (tmp_path / "worker.php").write_text("Loading <?php sleep(60);")
        worker = {"kind": "command", "command": "php worker.php", "cwd": str(tmp_path)}
        with pytest.raises(WorkerStartFailed, match="wrote to its standard output before"):
            ProcessPool.from_dict({"worker": worker}).open()

    def test_a_map(self, make: Callable[..., ProcessPool]) -> None:
        messages = [f"message {number}" for number in range(300)]
        assert make(2, 2).map(messages) == list(map(md5, messages))
