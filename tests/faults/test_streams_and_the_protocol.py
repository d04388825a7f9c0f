"""Full, large, late, false and empty: nothing blocks, and no byte reaches what it is not for.

Tested elsewhere: every bad length, whole and byte by byte → tests.wire.test_framed; garbage instead
of an answer, an answer too many, later, or in a pipeline → tests.process.test_faults_command; the
rules of the codecs → tests.wire.test_codecs; what handlers and C code print under `serve` →
tests.process.test_serve; what Python functions print → tests.process.test_python_output.
"""

from __future__ import annotations

import os
import threading
import tracemalloc
from contextlib import suppress
from dataclasses import replace
from functools import partial
from textwrap import dedent
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from processpool import (
    CodecError,
    ProcessPool,
    ProtocolError,
    RequestTimeout,
    UnexpectedEOF,
    WorkerDied,
)
from processpool.wire.framing.declaration import FRAMED
from processpool.wire.framing.declared import make_framing
from processpool.wire.python import layout
from tests.process.support import WAYS, Gate, ask, eventually, pids
from tests.process.workers import functions

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
        end = b"\n" if way == "submit" else b"\0"
        block = f"b'\\xff' * {64 * KIB - 1} + {end!r}"
        flood = f"for _ in range({size // (64 * KIB)}): err({block})\nanswer('ok')"
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
        pool = make_pool(size=2, timeouts={"request": 1.5})
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

    def test_a_flood_belongs_to_its_own_request(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool()
        flood = "err('begin'); [err(b'\\0' * 65536) for _ in range(40)]; err('end'); answer()"
        around = [pool.submit(f"err('note {n}'); answer()") for n in range(2)]
        flooded = pool.submit(flood)
        around += [pool.submit(f"err('note {n}'); answer()") for n in range(2, 4)]
        flooded.result()
        assert flooded.stderr.startswith("[… ")
        assert flooded.stderr.endswith("\0end")
        for number, future in enumerate(around):
            future.result()
            assert future.stderr == f"note {number}"


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


class TestGarbageOnStdout:
    @pytest.mark.parametrize("way", WAYS)
    def test_of_a_command_is_a_protocol_error_that_shows_the_bytes(
        self, make_pool: Callable[..., ProcessPool], way: str
    ) -> None:
        pool = make_pool()
        first = pids(pool)
        with pytest.raises(ProtocolError, match=r"got: b'\\x00\\xff<b>\\x1b\[2J'") as caught:
            ask(pool, way, "raw(b'\\0\\xff<b>\\x1b[2J')")
        assert caught.value.record is not None
        assert caught.value.record.raw == b"\0\xff<b>\x1b[2J"
        assert ask(pool, way, "answer('next')") == "next"
        assert pids(pool) != first

    def test_of_python_functions_is_only_what_they_print(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool()
        pid = pool.call(functions.pid)
        frame = layout.FRAME.pack(layout.PLAIN, 1, 4) + b"N.N."
        for garbage in (b"12;hello", b"\0\xff", b"1;", frame, bytes(MIB)):
            future = pool.submit(write_out, garbage)
            assert future.result() == len(garbage)
            assert future.stdout == garbage.decode("utf-8", "replace")
            assert pool.map(functions.inc, range(20)) == list(range(1, 21))
        assert pool.call(functions.pid) == pid

    def test_of_a_handler_under_serve_is_only_what_it_prints(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        source = """
            import os, subprocess
            from processpool import serve
            def handle(message):
                os.write(1, b"7;")
                subprocess.run(["printf", "%s;", message])
            serve(handle)
        """
        pool = make_pool(["python", "-c", dedent(source)])
        assert pool.map(["1", "0", "-1"]) == ["7;1;", "7;0;", "7;-1;"]


def write_out(data: bytes) -> int:
    """Write all of it to descriptor 1."""
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]
    return len(data)


BAD_LENGTHS = {
    "negative": (b"-1;x", "begin with its length"),
    "plus": (b"+4;abcd", "begin with its length"),
    "space": (b" 4;abcd", "begin with its length"),
    "hexadecimal": (b"0x4;abcd", "begin with its length"),
    "underscore": (b"1_0;abcdefghij", "begin with its length"),
    "arabic": ("٤;abcd".encode(), "begin with its length"),
    "fraction": (b"4.0;abcd", "begin with its length"),
    "empty": (b";", "begin with its length"),
    "over the limit": (b"1073741825;x", r"longer than max_message \(1073741824\)"),
    "over 2^63": (b"9223372036854775808;x", r"longer than max_message \(1073741824\)"),
    "of 20 digits": (b"00000000000000000004;abcd", "more than 19 digits"),
    "without end": (b"1" * 100_000, "more than 19 digits"),
}


class TestLengths:
    @pytest.mark.parametrize("name", BAD_LENGTHS)
    def test_one_that_is_no_length_is_refused(
        self, make_pool: Callable[..., ProcessPool], name: str
    ) -> None:
        written, problem = BAD_LENGTHS[name]
        pool = make_pool()
        for way in ("call", "map"):
            with pytest.raises(ProtocolError, match=problem):
                ask(pool, way, f"raw({written!r})")
        assert pool.call("answer('next')") == "next"

    def test_nothing_of_its_size_is_allocated_before_it_has_come(self) -> None:
        framing = make_framing(replace(FRAMED, max_message=1 << 62))
        tracemalloc.start()
        try:
            assert framing.feed(b"4611686018427387904;abc") == []
            assert framing.error is None
            limited = replace(FRAMED, max_message=GIB)
            assert make_framing(limited).feed(b"9999999999999999999;") == []
            assert make_framing(limited).feed(b"9" * MIB) == []
            assert tracemalloc.get_traced_memory()[1] < 3 * MIB
        finally:
            tracemalloc.stop()

    def test_one_that_never_ends_is_an_error_at_once(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool()
        with pytest.raises(ProtocolError, match="more than 19 digits"):
            pool.call("while True: raw(b'1' * 65536)")
        assert pool.call("answer('next')") == "next"


class TestWrongAnswers:
    """None of them reaches the next request."""

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize(
        ("wrong", "more"), [("raw(b'3;onerest')", "rest"), ("raw(b'3;one3;two')", "two")]
    )
    def test_too_long_or_twice(
        self, make_pool: Callable[..., ProcessPool], way: str, wrong: str, more: str
    ) -> None:
        pool = make_pool()
        for number in range(3):
            with pytest.raises(
                ProtocolError, match=f"answered b'one', and with that came b'{more}'"
            ) as caught:
                ask(pool, way, wrong)
            assert caught.value.record is not None
            assert caught.value.record.raw == b"one"
            assert ask(pool, way, f"answer({number})") == str(number)

    @pytest.mark.parametrize("way", WAYS)
    def test_too_short_and_then_nothing(
        self, make_pool: Callable[..., ProcessPool], way: str
    ) -> None:
        pool = make_pool(timeouts={"request": 0.3})
        with pytest.raises(RequestTimeout, match="3 of 10 bytes") as caught:
            ask(pool, way, "raw(b'10;abc'); time.sleep(60)")
        assert caught.value.record is not None
        assert caught.value.record.raw == b"abc"
        assert ask(pool, way, "answer('next')") == "next"

    @pytest.mark.parametrize("way", WAYS)
    def test_too_short_and_then_the_end(
        self, make_pool: Callable[..., ProcessPool], way: str
    ) -> None:
        pool = make_pool()
        with pytest.raises(UnexpectedEOF, match="3 of 10 bytes"):
            ask(pool, way, "raw(b'10;abc'); os._exit(0)")
        assert ask(pool, way, "answer('next')") == "next"

    @pytest.mark.parametrize("way", ["call", "map"])
    def test_late(self, make_pool: Callable[..., ProcessPool], way: str) -> None:
        """About when its time is over: sometimes it is in time, and sometimes not."""
        limit = 0.3
        pool = make_pool(timeouts={"request": limit})
        for pause in (-0.002, -0.0005, 0.0005):
            with suppress(RequestTimeout):
                late = f"time.sleep({limit + pause}); answer('late')"
                assert ask(pool, way, late) == "late"
            assert ask(pool, way, f"answer({pause})") == str(pause)

    @pytest.mark.parametrize("way", WAYS)
    def test_an_empty_one_is_right(self, make_pool: Callable[..., ProcessPool], way: str) -> None:
        pool = make_pool()
        first = pids(pool)
        assert [ask(pool, way, "raw(b'0;')") for _ in range(3)] == [""] * 3
        assert pids(pool) == first


class TestWhatIsNoText:
    """The bytes are kept, and the worker too: its framing was right."""

    CASES: ClassVar[list[tuple[str, bytes, str]]] = [
        ("text", b"ok\xff\0", r"invalid UTF-8 at byte 2 \(0xff"),
        ("json", b'"\xff"', r"invalid UTF-8 at byte 1 \(0xff"),
        ("json", b"[1, NaN]", "NaN is not JSON"),
        ("json", b'{"a": 1, "a": 2}', "an object has the key 'a' twice"),
        ("json", b"", "Expecting value at byte 0"),
    ]

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize(("codec", "written", "problem"), CASES)
    def test_the_codecs_error_names_the_fault(
        self,
        make_pool: Callable[..., ProcessPool],
        way: str,
        codec: str,
        written: bytes,
        problem: str,
    ) -> None:
        answers = {"bad": written, "good": b'"next"'}
        pool = make_pool(
            ["python", "-IS", "-c", _ANSWERS_BY_NAME, repr(answers)], worker={"codec": codec}
        )
        first = pids(pool)
        with pytest.raises(CodecError, match=problem) as caught:
            ask(pool, way, "bad")
        assert caught.value.record is not None
        assert caught.value.record.raw == written
        assert ask(pool, way, "good").strip('"') == "next"
        assert pids(pool) == first


_ANSWERS_BY_NAME = """
import ast, sys
answers = ast.literal_eval(sys.argv[1])
while header := sys.stdin.buffer.readline():
    if header == b"0;\\n":
        break
    name = sys.stdin.buffer.read(int(header[2:])).decode().strip('"')
    sys.stdout.buffer.write(b"%d;%b" % (len(answers[name]), answers[name]))
    sys.stdout.buffer.flush()
"""
