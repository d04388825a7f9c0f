"""Command workers that die, lie and babble: it costs one item, and the error says what happened."""

from __future__ import annotations

import os
import random
import signal
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from processpool import (
    ProcessPool,
    ProtocolError,
    RequestTimeout,
    UnexpectedEOF,
    WorkerDied,
    events,
)
from tests.process.support import Gate, await_exit, eventually, has_input, pids, states

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WAYS = ["call", "submit", "map", "imap"]


def ask(pool: ProcessPool, way: str, message: str, timeout: float = 60) -> Any:
    """One request, in each of the ways in which it can be made."""
    match way:
        case "call":
            return pool.call(message)
        case "submit":
            return pool.submit(message).result(timeout)
        case "map":
            return pool.map([message])[0]
        case _:
            return next(pool.imap([message]))


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def the_only_pid(pool: ProcessPool) -> int:
    """The worker of a pool of one, once it is there alone."""
    eventually(lambda: [state for state in states(pool) if state != "idle"] == [] and pids(pool))
    (pid,) = pids(pool)
    return pid


def wrote_or_went(pool: ProcessPool, pid: int) -> bool:
    """True once a worker's stray output lies in its pipe, or was found already."""
    return pid not in pids(pool) or has_input(pool, pid)


class TestDeath:
    @pytest.mark.parametrize(
        ("message", "exitcode", "words"),
        [
            ("die()", -9, r"was killed by SIGKILL before it answered \(out of memory\?\)"),
            ("die(signal.SIGSEGV)", -11, "was killed by SIGSEGV before it answered"),
            ("os.abort()", -6, "was killed by SIGABRT before it answered"),
            ("os._exit(0)", 0, "exited with status 0 before it answered"),
            ("sys.exit(3)", 3, "exited with status 3 before it answered"),
            ("raise ValueError('mine')", 1, "exited with status 1 before it answered"),
        ],
    )
    def test_in_the_middle_of_an_item(
        self,
        make_pool: Callable[..., ProcessPool],
        way: str,
        message: str,
        exitcode: int,
        words: str,
    ) -> None:
        pool = make_pool()
        pid = pids(pool)[0]
        pool.call("answer('it works')")
        with pytest.raises(WorkerDied, match=rf"^worker 1 \(pid {pid}\) {words}") as caught:
            ask(pool, way, f"err('last words'); {message}")
        error = caught.value
        assert (error.pid, error.exitcode) == (pid, exitcode)
        assert error.stderr.startswith("last words")
        assert "its command: " in str(error)
        assert "puppet.py" in str(error)
        assert "  | last words" in str(error)
        assert error.record is not None
        assert error.record.stderr.startswith("last words")
        assert ask(pool, way, "answer('next')") == "next"

    def test_in_the_very_first_item(self, make_pool: Callable[..., ProcessPool], way: str) -> None:
        pool = make_pool()
        with pytest.raises(WorkerDied, match="exited with status 5"):
            ask(pool, way, "sys.exit(5)")
        assert ask(pool, way, "answer('next')") == "next"

    def test_killed_from_outside(self, make_pool: Callable[..., ProcessPool], gate: Gate) -> None:
        pool = make_pool(size=2)
        pool.wait_ready()
        future = pool.submit(f"wait({str(gate.path)!r}); answer()")
        gate.await_arrival()
        busy = next(w for w in pool.snapshot().workers if w.state == "busy")
        assert busy.pid is not None
        os.kill(busy.pid, signal.SIGKILL)
        with pytest.raises(WorkerDied, match="SIGKILL"):
            future.result(30)
        assert pool.map(["answer(1)"] * 10) == ["1"] * 10
        assert pool.wait_ready(30)

    def test_while_idle(self, make_pool: Callable[..., ProcessPool], way: str) -> None:
        pool = make_pool()
        for _ in range(4):
            victim = pids(pool)[0]
            os.kill(victim, signal.SIGKILL)
            await_exit(victim)
            assert ask(pool, way, "answer(os.getpid())") != str(victim)

    def test_while_idle_after_a_call(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        for _ in range(3):
            victim = int(pool.call("answer(os.getpid())"))
            os.kill(victim, signal.SIGKILL)
            await_exit(victim)
            assert pool.submit("answer('next')").result(30) == "next"

    def test_the_idle_dead_are_replaced_without_being_asked(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool(size=3)
        pool.wait_ready()
        before = set(pids(pool))
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: states(pool) == ["idle"] * 3 and not before & set(pids(pool)))

    def test_all_at_once(self, make_pool: Callable[..., ProcessPool], gate: Gate) -> None:
        pool = make_pool(size=4, restart={"max_failures": 100, "backoff": [0, 0]})
        pool.wait_ready()
        futures = [pool.submit(f"wait({str(gate.path)!r}); answer({n})") for n in range(12)]
        eventually(lambda: pool.num_running == 4)
        gate.await_arrival()
        for pid in pids(pool):
            os.kill(pid, signal.SIGKILL)
        ended = [future.exception(30) for future in futures[:4]]
        assert [type(error) for error in ended] == [WorkerDied] * 4
        gate.close()
        gate.open_until(lambda: all(future.done() for future in futures))
        assert [future.result() for future in futures[4:]] == [str(n) for n in range(4, 12)]

    def test_a_stopped_worker_holds_up_nobody_else(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool(size=2)
        pool.wait_ready()
        stopped = pids(pool)[1]
        os.kill(stopped, signal.SIGSTOP)
        futures = [pool.submit("answer(os.getpid())") for _ in range(6)]
        eventually(lambda: sum(future.done() for future in futures) == 5)
        os.kill(stopped, signal.SIGCONT)
        assert sorted(future.result(30) == str(stopped) for future in futures)[-1]

    def test_a_timeout_ends_a_stopped_worker(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(timeouts={"request": 0.3})
        os.kill(pids(pool)[0], signal.SIGSTOP)
        with pytest.raises(RequestTimeout):
            pool.call("answer()")
        assert pool.call("answer(1)") == "1"

    def test_a_worker_that_signals_its_own_group(
        self, make_pool: Callable[..., ProcessPool], way: str
    ) -> None:
        pool = make_pool()
        with pytest.raises(WorkerDied, match="SIGTERM"):
            ask(pool, way, "os.killpg(0, signal.SIGTERM); time.sleep(60)")
        assert ask(pool, way, "answer(1)") == "1"

    def test_nothing_runs_twice(
        self, make_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        pool = make_pool(worker={"protocol": {"kind": "framed", "pipeline": 4}})
        ran = tmp_path / "ran"
        note = f"open({str(ran)!r}, 'a').write('%s '); "
        futures = [pool.submit(note % "first" + "time.sleep(60)")]
        eventually(lambda: ran.exists() and ran.read_text())
        futures += [pool.submit(note % n + f"answer({n})") for n in range(3)]
        os.kill(pids(pool)[0], signal.SIGKILL)
        assert isinstance(futures[0].exception(30), WorkerDied)
        assert [future.result(30) for future in futures[1:]] == ["0", "1", "2"]
        assert ran.read_text().split() == ["first", "0", "1", "2"]

    def test_several_lost_in_one_pipeline_are_one(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool(worker={"protocol": {"kind": "framed", "pipeline": 16}})
        got = pool.map(
            [f"answer({n})" if n != 5 else "die()" for n in range(16)], on_error="return"
        )
        assert [n for n, value in enumerate(got) if isinstance(value, Exception)] == [5]


class TestStorm:
    def test_kills_cost_at_most_one_item_each_and_all_are_accounted_for(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool(
            size=3,
            worker={"protocol": {"kind": "framed", "pipeline": 8}},
            restart={"max_failures": 1000, "backoff": [0, 0]},
        )
        kills, stop, chance = 0, threading.Event(), random.Random(7)

        def storm() -> None:
            nonlocal kills
            while not stop.wait(0.01):
                alive = pids(pool)
                if alive and kills < 60:
                    os.kill(chance.choice(alive), signal.SIGKILL)
                    kills += 1

        thread = threading.Thread(target=storm)
        thread.start()
        items = 6000
        got = pool.map((f"answer({n})" for n in range(items)), on_error="return")
        stop.set()
        thread.join()
        failed = [value for value in got if isinstance(value, Exception)]
        assert len(got) == items
        assert all(value == str(n) for n, value in enumerate(got) if isinstance(value, str))
        assert {type(error) for error in failed} <= {WorkerDied, UnexpectedEOF}
        assert len(failed) <= kills
        assert pool.wait_ready(30)
        assert pool.map(["answer(1)"] * 9) == ["1"] * 9


class TestAnswerThenExit:
    def test_the_answer_counts(self, make_pool: Callable[..., ProcessPool], way: str) -> None:
        pool = make_pool()
        for number in range(5):
            assert ask(pool, way, f"answer({number}); os._exit(0)") == str(number)

    def test_in_turn(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        for _ in range(3):
            for each in WAYS:
                assert ask(pool, each, "answer('last'); os._exit(1)") == "last"

    def test_one_answer_a_process(self, make_pool: Callable[..., ProcessPool], way: str) -> None:
        once = ["sh", "-c", "read x && echo $x"]
        pool = make_pool(once, worker={"protocol": "lines"}, restart={"backoff": [0, 0]})
        assert [ask(pool, way, str(n)) for n in range(5)] == [str(n) for n in range(5)]

    def test_a_whole_map_of_one_answer_a_process(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        once = ["sh", "-c", "read x && echo $x"]
        pool = make_pool(once, size=2, worker={"protocol": "lines"}, restart={"backoff": [0, 0]})
        assert pool.map(map(str, range(30))) == [str(n) for n in range(30)]

    def test_the_others_in_the_pipeline_go_elsewhere(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool(worker={"protocol": {"kind": "framed", "pipeline": 8}})
        messages = [f"answer({n}); n = {n}\nif n % 5 == 4: os._exit(0)" for n in range(40)]
        got = pool.map(messages, on_error="return")
        answered = [value for value in got if isinstance(value, str)]
        lost = [value for value in got if not isinstance(value, str)]
        assert all(value == str(n) for n, value in enumerate(got) if isinstance(value, str))
        assert len(answered) >= 32
        assert {type(error) for error in lost} <= {WorkerDied}


class TestHalfAnswers:
    @pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit(2)"])
    def test_then_exit(self, make_pool: Callable[..., ProcessPool], way: str, end: str) -> None:
        pool = make_pool()
        pool.call("answer()")
        with pytest.raises(UnexpectedEOF, match=r"3 of 10 bytes.* exited with status") as caught:
            ask(pool, way, f"raw(b'10;abc'); {end}")
        assert caught.value.record is not None
        assert caught.value.record.raw == b"abc"
        assert ask(pool, way, "answer('next')") == "next"

    def test_then_killed(self, make_pool: Callable[..., ProcessPool], way: str) -> None:
        pool = make_pool()
        with pytest.raises(WorkerDied, match="SIGKILL") as caught:
            ask(pool, way, "raw(b'10;abc'); die()")
        assert "3 of 10 bytes" in str(caught.value.__cause__)
        assert caught.value.record is not None
        assert caught.value.record.raw == b"abc"

    def test_then_silence(self, make_pool: Callable[..., ProcessPool], way: str) -> None:
        pool = make_pool(timeouts={"request": 0.3})
        with pytest.raises(RequestTimeout):
            ask(pool, way, "raw(b'10;abc'); time.sleep(60)")
        assert ask(pool, way, "answer('next')") == "next"

    def test_a_line_without_its_end(self, make_pool: Callable[..., ProcessPool], way: str) -> None:
        pool = make_pool(["sh", "-c", "read x; printf half"], worker={"protocol": "lines"})
        with pytest.raises(UnexpectedEOF, match="in the middle of a line, after 4 bytes"):
            ask(pool, way, "x")

    def test_stdout_is_closed_and_the_worker_lives(
        self, make_pool: Callable[..., ProcessPool], way: str
    ) -> None:
        pool = make_pool()
        with pytest.raises(UnexpectedEOF, match="closed its standard output without an answer"):
            ask(pool, way, "os.close(1); time.sleep(60)")
        assert ask(pool, way, "answer('next')") == "next"

    def test_stdout_is_closed_after_the_answer(
        self, make_pool: Callable[..., ProcessPool], way: str
    ) -> None:
        pool = make_pool()
        assert ask(pool, way, "answer(1); os.close(1)") == "1"
        for _ in range(3):
            eventually(lambda: _answers(pool, way))


def _answers(pool: ProcessPool, way: str) -> bool:
    """One item may still fall to the worker that can answer no more."""
    try:
        return bool(ask(pool, way, "answer('next')") == "next")
    except (UnexpectedEOF, WorkerDied):
        return False


class TestBadFraming:
    @pytest.mark.parametrize(
        ("written", "problem"),
        [
            (b"hello", "an answer must begin with its length and ';', got: b'hello'"),
            (b"-1;x", "got: b'-1;x'"),
            (b"+4;abcd", "got: b'+4;abcd'"),
            (b";x", "got: b';x'"),
            (b"4.0;abcd", "got: b'4.0;abcd'"),
            (b"0x4;abcd", "got: b'0x4;abcd'"),
            ("٤;abcd".encode(), "got: b"),
            (b"\n4;abcd", "got: b'\\n4;abcd'"),
            (b"1" * 20 + b";", "an answer's length has more than 19 digits: b'1111"),
            (b"9999999999999999999;", "the answer is longer than max_message (1073741824)"),
            (b"PHP Warning:  Undefined variable $x in /srv/worker.php on line 3\n" * 50, "got: b"),
        ],
    )
    def test_the_offending_bytes_are_shown_and_the_worker_replaced(
        self, make_pool: Callable[..., ProcessPool], way: str, written: bytes, problem: str
    ) -> None:
        pool = make_pool()
        first = pids(pool)[0]
        with pytest.raises(ProtocolError) as caught:
            ask(pool, way, f"raw({written!r})")
        assert problem in str(caught.value)
        shown = repr(written[:64])
        assert shown in str(caught.value)
        assert repr(written[:65]) == shown or repr(written[:65]) not in str(caught.value)
        assert caught.value.record is not None
        assert caught.value.record.raw == written
        await_exit(first)
        assert ask(pool, way, "answer('next')") == "next"

    def test_over_max_message(self, make_pool: Callable[..., ProcessPool], way: str) -> None:
        pool = make_pool(worker={"protocol": {"kind": "framed", "max_message": 100}})
        assert ask(pool, way, "answer('x' * 100)") == "x" * 100
        with pytest.raises(ProtocolError, match=r"longer than max_message \(100\)"):
            ask(pool, way, "answer('x' * 101)")
        with pytest.raises(ProtocolError, match=r"has 101 bytes, more than max_message \(100\)"):
            ask(pool, way, "x" * 101)

    def test_a_line_over_max_message(self, make_pool: Callable[..., ProcessPool], way: str) -> None:
        pool = make_pool(
            ["sed", "-u", "s/long/xxxxxxxxxxxxxxxxxxxx/"],
            worker={"protocol": {"kind": "lines", "max_message": 10}},
        )
        with pytest.raises(ProtocolError, match="longer than max_message"):
            ask(pool, way, "long")
        assert ask(pool, way, "short") == "short"

    def test_a_bad_answer_after_a_good_one(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(worker={"protocol": {"kind": "framed", "pipeline": 4}})
        got = pool.map(
            ["answer(0)", "answer(1)\nraw(b'oops')", "answer(2)", "answer(3)"], on_error="return"
        )
        assert got[:2] == ["0", "1"]
        assert [value for value in got if isinstance(value, ProtocolError)] == got[2:3]
        assert got[3] == "3"


class TestStrayOutput:
    """What comes before the next request is sent can never answer it."""

    @pytest.mark.parametrize(
        "stray", ["answer('stray')", "answer()", "raw(b'4;la')", "raw(b'bye')", "raw(b'3')"]
    )
    def test_after_an_answer(
        self,
        make_pool: Callable[..., ProcessPool],
        way: str,
        stray: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        pool = make_pool()
        for number in range(5):
            pid = the_only_pid(pool)
            assert ask(pool, way, f"answer({number}); {stray}") == str(number)
            eventually(partial(wrote_or_went, pool, pid))
        assert ask(pool, way, "answer('next')") == "next"
        assert "without a request, and is replaced" in caplog.text

    @pytest.mark.parametrize("way", ["submit", "map"])
    def test_an_answer_too_many_in_one_write(
        self, make_pool: Callable[..., ProcessPool], way: str
    ) -> None:
        pool = make_pool()
        two = "raw(b'3;one5;stray')"
        if way == "submit":
            futures = [pool.submit(two), *(pool.submit(f"answer({n})") for n in range(3))]
            got = [future.result(30) for future in futures]
        else:
            got = pool.map([two, *(f"answer({n})" for n in range(3))])
        assert got == ["one", "0", "1", "2"]

    @pytest.mark.parametrize("pause", [0.0005, 0.001, 0.004])
    def test_an_answer_too_many_while_late_stderr_is_awaited(
        self, make_pool: Callable[..., ProcessPool], way: str, pause: float
    ) -> None:
        pool = make_pool()
        (pid,) = pids(pool)
        late = f"answer('one'); time.sleep({pause}); answer('stray')"
        assert ask(pool, way, late) == "one"
        eventually(partial(wrote_or_went, pool, pid))
        assert ask(pool, way, "answer('next')") == "next"

    def test_in_the_middle_of_a_pipeline_it_ends_the_worker(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool(worker={"protocol": {"kind": "framed", "pipeline": 4}})
        got = pool.map([f"answer({n})" for n in range(8)] + ["answer(8); answer('stray')"])
        assert got == [str(n) for n in range(9)]
        eventually(lambda: pool.call("answer('next')") == "next")

    def test_an_event_tells_of_it(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        told: list[events.Event] = []
        pool.events(told.append)
        (pid,) = pids(pool)
        assert pool.call("answer(1); raw(b'bye')") == "1"
        eventually(partial(wrote_or_went, pool, pid))
        assert pool.call("answer(2)") == "2"
        (stray,) = [event for event in told if isinstance(event, events.WorkerWroteUnasked)]
        assert (stray.pid, stray.output) == (pid, b"bye")
