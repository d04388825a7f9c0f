"""What a program writes late, or before its first request, is never taken for an answer."""

from __future__ import annotations

import logging
import re
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from processpool import PoolBroken, ProcessPool, ProtocolError, RequestTimeout, WorkerStartFailed
from tests.process.support import ask, eventually
from tests.programs.test_never_silently_wrong import WAYS, error_of

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., ProcessPool]

LINES: dict[str, Any] = {"worker": {"protocol": "lines"}}
ONCE: dict[str, Any] = {"restart": {"max_failures": 0}}
"""The first failed start breaks the pool."""
POLLING = """
import os, select, sys, time
poll = select.poll()
poll.register(0, select.POLLIN)
while True:
    poll.poll()
    for line in os.read(0, 65536).splitlines():
{}
"""
"""A program that is not seen to read: it polls."""


def shell(answer: str, begin: str = "") -> list[str]:
    """A program that does this for each line."""
    return ["sh", "-c", f"{begin} while IFS= read -r x; do {answer}; done"]


def polling(answer: str) -> list[str]:
    return [sys.executable, "-c", POLLING.format("        " + answer)]


@pytest.mark.parametrize("way", WAYS)
class TestASecondLine:
    """The program answers A and then, a moment later, B."""

    @pytest.mark.parametrize("pause", ["", "sleep 0.01;", "sleep 0.3;"])
    def test_of_a_program_that_reads(self, make_pool: Make, way: str, pause: str) -> None:
        pool = make_pool(shell(f'echo "A$x"; {pause} echo "B$x"'), **LINES)
        for number in range(3):
            error = error_of(pool, way, str(number))
            assert f"answered b'A{number}', and with that came b'B{number}'" in str(error)

    def test_of_a_program_that_polls(self, make_pool: Make, way: str) -> None:
        answer = "os.write(1, b'A%b\\n' % line); time.sleep(0.05); os.write(1, b'B%b\\n' % line)"
        pool = make_pool(polling(answer), **LINES)
        error = error_of(pool, way, "0")
        assert "answered b'A0', and with that came b'B0'" in str(error)

    def test_before_it_ends(self, make_pool: Make, way: str) -> None:
        pool = make_pool(shell('echo "A$x"; sleep 0.05; echo "B$x"; exit'), **LINES)
        error = error_of(pool, way, "0")
        assert "answered b'A0', and with that came b'B0'" in str(error)

    def test_that_is_not_complete(self, make_pool: Make, way: str) -> None:
        pool = make_pool(shell('echo "A$x"; sleep 0.01; printf "> "'), **LINES)
        error = error_of(pool, way, "0")
        assert "answered b'A0', and with that came b'> '" in str(error)

    def test_with_a_framing_by_length(self, make_pool: Make, way: str) -> None:
        answer = "printf '1;A'; sleep 0.01; printf B"
        program = ["sh", "-c", f"while read -r n && read -r x; do {answer}; done"]
        pool = make_pool(program)
        error = error_of(pool, way, "0\n")
        assert "answered b'A', and with that came b'B'" in str(error)


@pytest.mark.parametrize("program", [shell('echo "A$x"'), polling("os.write(1, b'A%b\\n' % line)")])
@pytest.mark.parametrize("way", WAYS)
def test_one_line_each_is_right(make_pool: Make, way: str, program: list[str]) -> None:
    pool = make_pool(program, **LINES)
    assert [ask(pool, way, str(number)) for number in range(5)] == ["A0", "A1", "A2", "A3", "A4"]
    assert pool.snapshot().workers[0].handled == 5


@pytest.mark.parametrize("pipeline", [1, 8])
def test_a_map_of_a_program_that_adds_a_line_has_no_value(make_pool: Make, pipeline: int) -> None:
    protocol = {"kind": "lines", "pipeline": pipeline}
    pool = make_pool(shell('echo "A$x"; sleep 0.01; echo "B$x"'), worker={"protocol": protocol})
    got = pool.map([str(number) for number in range(6)], on_error="return")
    assert [type(value) for value in got] == [ProtocolError] * 6


def test_a_pipelining_map_is_right(make_pool: Make) -> None:
    protocol = {"kind": "lines", "pipeline": 8}
    pool = make_pool(shell('echo "A$x"'), worker={"protocol": protocol})
    messages = [str(number) for number in range(500)]
    assert pool.map(messages) == [f"A{message}" for message in messages]


def test_maps_in_a_row_keep_their_order(make_pool: Make) -> None:
    """Between two maps another thread leads, and then both send to the same worker."""
    protocol = {"request": "{message};\n", "answer": {"until": ";\n"}, "pipeline": 64}
    pool = make_pool(["cat"], worker={"protocol": protocol}, size={"min": 2, "max": 2})
    pool.wait_ready()
    messages = [str(number) for number in range(1500)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    try:
        for _ in range(300):
            assert pool.map(messages) == messages
            threading.Event().wait(0.006)  # until nobody leads any more
    finally:
        sys.setswitchinterval(interval)


def test_the_lease_of_a_program_that_adds_a_line(make_pool: Make) -> None:
    with make_pool(shell('echo "A$x"; sleep 0.05; echo "B$x"'), **LINES).lease() as lease:
        lease.send("0")
        with pytest.raises(ProtocolError, match="answered b'A0', and with that came b'B0'"):
            lease.read_stdout()


LOOKING = """
import os, sys, time
os.set_blocking(0, False)
while True:
    try:
        lines = os.read(0, 65536).splitlines()
    except BlockingIOError:
        time.sleep(0.002)
        continue
    for line in lines:
        os.write(1, b"A%b\\n" % line)
    if not lines:
        break
"""
"""A program that looks for input again and again, and never sleeps for long."""


def test_a_program_that_looks_again_and_again(make_pool: Make) -> None:
    pool = make_pool([sys.executable, "-c", LOOKING], **LINES, timeouts={"start": 15})
    assert pool.map([str(number) for number in range(20)]) == [f"A{i}" for i in range(20)]


class TestABanner:
    EXPECT = re.escape('worker.protocol.start: [{expect: "ready> "}]')

    @pytest.mark.parametrize("pause", ["", "sleep 0.3;", "x=$(sleep 0.3);"])
    def test_before_it_reads(self, make_pool: Make, pause: str) -> None:
        program = shell('echo "A$x"', begin=f"{pause} printf 'hello\\nready> ';")
        with pytest.raises(WorkerStartFailed, match=self.EXPECT) as caught:
            make_pool(program, **LINES, **ONCE)
        assert r"before it was asked anything: b'hello\nready> '" in str(caught.value)

    @pytest.mark.parametrize("pause", ["", "sleep 0.3;"])
    def test_that_is_declared(self, make_pool: Make, pause: str) -> None:
        protocol = {"start": [{"expect": "ready> "}]}
        program = shell('echo "A$x"', begin=f"{pause} printf 'hello\\nready> ';")
        pool = make_pool(program, worker={"protocol": protocol})
        assert pool.map(["0", "1"]) == ["A0", "A1"]

    def test_while_nobody_asks(self, make_pool: Make) -> None:
        begin = "import threading; threading.Timer(0.4, os.write, (1, b'ready> ')).start()"
        program = polling("os.write(1, b'A%b\\n' % line)")
        program[2] = program[2].replace("poll = ", f"{begin}\npoll = ", 1)
        pool = make_pool(program, **LINES, **ONCE)
        pid = pool.snapshot().workers[0].pid
        (worker,) = pool._engine._core.workers.values()  # type: ignore[attr-defined]
        eventually(lambda: not worker.channel.is_quiet())
        with pytest.raises((PoolBroken, WorkerStartFailed), match=self.EXPECT):
            pool.submit("0").result(30)
        assert pid is not None

    @pytest.mark.parametrize("way", WAYS)
    def test_when_it_is_first_asked(self, make_pool: Make, way: str) -> None:
        pool = make_pool(shell('test "$y" || echo hello; y=1; echo "A$x"'), **LINES)
        error = error_of(pool, way, "0")
        assert "answered b'hello', and with that came b'A0'" in str(error)
        assert 'worker.protocol.start: [{expect: "hello"}]' in str(error)

    @pytest.mark.parametrize("way", WAYS)
    def test_after_the_first_answer(self, make_pool: Make, way: str) -> None:
        pool = make_pool(shell('echo "A$x"; sleep 0.05; test "$y" || echo hello; y=1'), **LINES)
        error = error_of(pool, way, "0")
        assert "answered b'A0', and with that came b'hello'" in str(error)


class TestSilence:
    WHY = "it has read its request and awaits input: either it holds its output back"

    @pytest.mark.parametrize("way", WAYS)
    def test_a_timeout_says_why(self, make_pool: Make, way: str) -> None:
        pool = make_pool(shell("echo so far >&2"), **LINES, timeouts={"request": 0.3})
        with pytest.raises(RequestTimeout, match=self.WHY) as caught:
            ask(pool, way, "0")
        assert "stdbuf -oL" in str(caught.value)
        assert "worker.stdout: pty" in str(caught.value)
        assert "  | so far" in str(caught.value)

    @pytest.mark.parametrize("way", WAYS)
    def test_work_is_no_silence(self, make_pool: Make, way: str) -> None:
        pool = make_pool(shell("while :; do :; done"), **LINES, timeouts={"request": 0.3})
        with pytest.raises(RequestTimeout) as caught:
            ask(pool, way, "0")
        assert "awaits input" not in str(caught.value)

    @pytest.mark.parametrize("way", WAYS)
    def test_it_is_told_once_a_pool(
        self, make_pool: Make, way: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        pool = make_pool(shell(":"), **LINES, timeouts={"request": 2.5})
        with caplog.at_level(logging.WARNING, "processpool"):
            for _ in range(2):
                with pytest.raises(RequestTimeout):
                    ask(pool, way, "0")
        told = [record.getMessage() for record in caplog.records if self.WHY in record.getMessage()]
        assert len(told) == 1

    def test_a_pipelined_worker_that_wants_more(self, make_pool: Make) -> None:
        program = [sys.executable, "-c", "import sys\nwhile x := sys.stdin.read(1024): print(x)"]
        protocol = {"kind": "lines", "pipeline": 4}
        pool = make_pool(program, worker={"protocol": protocol}, timeouts={"request": 0.3})
        with pytest.raises(RequestTimeout, match=self.WHY):
            pool.map(["0", "1", "2"])
