"""Streams that are full, large, late or empty: nothing blocks, and everything reaches its own."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from processpool import ProcessPool, RequestTimeout, WorkerDied
from tests.process.support import Gate, eventually, pids

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
BYTES = {"codec": "bytes"}
ECHO = """
from processpool import serve
serve(bytes)
"""
SIZES = [
    *(0, 1, 255, 4095, 4096, 65_535, 65_536, 65_537, MIB, 16 * MIB + 1),
    pytest.param(256 * MIB, marks=pytest.mark.slow),
]


def pattern(size: int) -> bytes:
    """Bytes in which a lost, doubled or moved piece shows."""
    block = bytes(range(251)) * 4177
    return (block * (size // len(block) + 1))[:size]


class TestSizes:
    @pytest.fixture
    def echo(self, make_pool: Callable[..., ProcessPool]) -> ProcessPool:
        return make_pool(["python", "-c", ECHO], worker=BYTES)

    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("way", ["call", "submit"])
    def test_both_ways(self, echo: ProcessPool, size: int, way: str) -> None:
        sent = pattern(size)
        got = echo.call(sent) if way == "call" else echo.submit(sent).result()
        assert got == sent
        assert echo.call(b"next") == b"next"

    def test_large_and_small_in_turn(self, echo: ProcessPool) -> None:
        sizes = [3 * MIB, 0, 65_536, 1, 2 * MIB, 7] * 3
        assert [len(answer) for answer in echo.map(map(pattern, sizes))] == sizes

    def test_lines(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(["cat"], worker={"protocol": {"kind": "lines", "pipeline": 4}} | BYTES)
        sent = [bytes(size) for size in (0, 1, 65_535, 65_536, 5 * MIB, 3)]
        assert pool.map(sent) == sent

    def test_in_a_pipeline_both_directions_are_full(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool(
            ["python", "-c", ECHO], worker={"protocol": {"kind": "framed", "pipeline": 8}} | BYTES
        )
        sent = [pattern(MIB + number) for number in range(24)]
        assert pool.map(sent) == sent

    def test_an_answer_of_one_byte_at_a_time(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        slowly = "[raw(bytes([b])) or time.sleep(0.001) for b in b'11;hello world']"
        assert pool.call(slowly) == "hello world"
        assert pool.submit(slowly).result() == "hello world"

    def test_many_answers_in_one_write(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(
            ["python", "-IS", "-c", _ANSWERS_IN_HEAPS],
            worker={"protocol": {"kind": "lines", "pipeline": 10}},
        )
        assert pool.map(map(str, range(1000))) == [str(n) for n in range(1000)]


_ANSWERS_IN_HEAPS = """
import os
rest = b""
while data := os.read(0, 65536):
    data = rest + data
    whole = data.rfind(b"\\n") + 1
    os.write(1, data[:whole])
    rest = data[whole:]
"""


class TestWorkersThatDoNotRead:
    NEVER: ClassVar[list[str]] = ["python", "-IS", "-c", "import time; time.sleep(1000)"]

    @pytest.mark.parametrize("way", ["call", "submit", "map"])
    def test_only_its_own_request_waits(
        self, make_pool: Callable[..., ProcessPool], way: str
    ) -> None:
        pool = make_pool(self.NEVER, timeouts={"request": 0.3}, worker=BYTES)
        first = pids(pool)
        big = bytes(3 * MIB)
        ask: dict[str, Callable[[], Any]] = {
            "call": lambda: pool.call(big),
            "submit": lambda: pool.submit(big).result(30),
            "map": lambda: pool.map([big]),
        }
        with pytest.raises(RequestTimeout):
            ask[way]()
        eventually(lambda: pids(pool) and pids(pool) != first)

    def test_a_submit_returns_at_once(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(self.NEVER, worker=BYTES)
        future = pool.submit(bytes(3 * MIB))
        assert not future.done()
        pool.kill()
        assert future.exception(0) is not None

    def test_others_go_on(self, make_pool: Callable[..., ProcessPool], gate: Gate) -> None:
        pool = make_pool(size=2)
        pool.wait_ready()
        stuck = pool.submit(f"wait({str(gate.path)!r}); answer('passed')")
        gate.await_arrival()
        assert pool.map(["answer(1)"] * 50) == ["1"] * 50
        gate.open()
        assert stuck.result() == "passed"

    def test_one_that_dies_of_a_large_message(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(["head", "-c", "100000"], worker={"protocol": "lines"} | BYTES)
        with pytest.raises((WorkerDied, Exception), match="exited with status 0"):
            pool.submit(bytes(3 * MIB)).result(30)


def has_said(pool: ProcessPool, text: str) -> bool:
    """True once this is the last that the pool's only worker has written to stderr."""
    return pool.snapshot().workers[0].stderr.endswith(text)


class TestStderr:
    def test_it_belongs_to_its_request(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        futures = [pool.submit(f"err('note {n}'); answer({n})") for n in range(50)]
        for number, future in enumerate(futures):
            assert future.result() == str(number)
            assert future.stderr == f"note {number}"

    def test_under_serve_it_is_exact(self, make_pool: Callable[..., ProcessPool]) -> None:
        source = """
            import os, sys
            from processpool import serve
            def handle(message):
                print("python", message, file=sys.stderr)
                os.write(2, b"raw\\n")
                os.system("echo child >&2")
                return message
            serve(handle)
        """
        from textwrap import dedent

        pool = make_pool(["python", "-c", dedent(source)])
        for outcome in pool.map(map(str, range(30)), details=True):
            assert outcome.stderr == f"python {outcome.index}\nraw\nchild\n"

    def test_of_a_foreign_program_a_moment_late(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool()
        for number in range(20):
            future = pool.submit(f"answer(); err('late {number}')")
            assert future.result() == ""
            assert future.stderr in (f"late {number}", ""), "somebody else's"
            eventually(partial(has_said, pool, f"late {number}"))

    def test_much_later_it_is_nobodys(
        self, make_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = make_pool()
        path = str(gate.path)
        first = pool.submit(f"answer(1); wait({path!r}); err('nobody asked')")
        assert (first.result(), first.stderr) == ("1", "")
        gate.open()
        eventually(lambda: pool.snapshot().workers[0].stderr == "nobody asked")
        second = pool.submit("err('mine'); answer(2)")
        assert (second.result(), second.stderr) == ("2", "mine")

    @pytest.mark.parametrize("way", ["call", "submit", "map", "lease"])
    @pytest.mark.parametrize(
        "size", [64 * KIB, 16 * MIB, pytest.param(GIB, marks=pytest.mark.slow)]
    )
    def test_a_flood_blocks_nobody_and_is_bounded(
        self, make_pool: Callable[..., ProcessPool], way: str, size: int
    ) -> None:
        pool = make_pool()
        flood = (
            f"for _ in range({size // (64 * KIB)}): err(b'\\xff' * 65535 + b'\\n')\nanswer('ok')"
        )
        match way:
            case "call":
                assert pool.call(flood) == "ok"
            case "submit":
                future = pool.submit(flood)
                assert future.result() == "ok"
                assert len(future.stderr) <= MIB + 100
                assert (size > MIB) == future.stderr.startswith("[… ")
            case "map":
                (outcome,) = pool.map([flood], details=True)
                assert outcome.value == "ok"
                assert len(outcome.stderr) <= MIB + 100
            case _:
                with pool.lease() as lease:
                    lease.send(flood)
                    assert lease.read_stdout() == "ok"
                    assert len(lease.read_stderr()) <= MIB + 100
        assert len(pool.snapshot().workers[0].stderr) <= 64 * KIB
        assert pool.call("answer('next')") == "next"

    def test_a_flood_while_idle(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        first = pool.submit("answer(1)\nfor _ in range(100): err(b'x' * 65536)")
        assert first.result() == "1"
        second = pool.submit("err('mine'); answer(2)")
        assert second.result() == "2"
        assert second.stderr.endswith("mine")

    def test_a_flood_without_an_end_does_not_stop_the_others(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool(size=2, timeouts={"request": 3.0})
        pool.wait_ready()
        flooding = pool.submit("while True: err(b'x' * 65536)")
        assert pool.map(["answer(1)"] * 30) == ["1"] * 30
        with pytest.raises(RequestTimeout):
            flooding.result(60)

    def test_a_grandchild_that_keeps_writing_does_not_hold_a_death_up(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool()
        start = "import subprocess; child = subprocess.Popen(['yes'], stdout=2).pid"
        pool.call(f"{start}; answer(child)")
        with pytest.raises(WorkerDied):
            pool.submit("die()").result(30)
        assert pool.call("answer(1)") == "1"

    def test_a_worker_that_closes_its_stderr(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        assert pool.call("os.close(2); answer(1)") == "1"
        future = pool.submit("answer(2)")
        assert (future.result(), future.stderr) == ("2", "")
        with pool.lease() as lease:
            lease.send("answer(3)")
            assert lease.read_stdout() == "3"
            assert not lease.has_stderr


def test_the_slowest_reader_is_not_waited_for_by_the_engine(
    make_pool: Callable[..., ProcessPool], tmp_path: Path
) -> None:
    pool = make_pool(size=2, worker={"protocol": {"kind": "framed", "pipeline": 4}})
    pool.wait_ready()
    slow = [pool.submit("time.sleep(0.2); answer('slow')") for _ in range(2)]
    done = threading.Event()
    pool.submit("answer('x' * 10_000_000)").add_done_callback(lambda _: done.set())
    assert done.wait(30)
    assert [future.result() for future in slow] == ["slow"] * 2
