"""Command workers that lie and babble: it costs one item, and the error says what happened."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import pytest

from processpool import ProcessPool, ProtocolError, RequestTimeout, UnexpectedEOF, WorkerDied
from processpool.core import events
from tests.process.support import WAYS, Gate, ask, await_exit, eventually, has_input, pids

if TYPE_CHECKING:
    from collections.abc import Callable


def wrote_or_went(pool: ProcessPool, pid: int) -> bool:
    """True once a worker's stray output lies in its pipe, or was found already."""
    return pid not in pids(pool) or has_input(pool, pid)


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
        prove(pool)
        got = pool.map(
            ["answer(0)", "answer(1)\nraw(b'oops')", "answer(2)", "answer(3)"], on_error="return"
        )
        assert got[:2] == ["0", "1"]
        assert [value for value in got if isinstance(value, ProtocolError)] == got[2:3]
        assert got[3] == "3"


def prove(pool: ProcessPool) -> None:
    """Have the worker prove itself: only its first answers are held until it awaits input again."""
    for number in range(3):
        assert pool.call(f"answer({number})") == str(number)


class TestStrayOutput:
    """What comes before the next request is sent can never answer it."""

    @pytest.mark.parametrize(
        "stray", ["answer('stray')", "answer()", "raw(b'4;la')", "raw(b'bye')", "raw(b'3')"]
    )
    def test_after_an_answer(
        self,
        make_pool: Callable[..., ProcessPool],
        gate: Gate,
        way: str,
        stray: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        pool = make_pool()
        for _ in range(2):
            prove(pool)
            message = f"answer(os.getpid()); wait({str(gate.path)!r}); {stray}"
            pid = int(ask(pool, way, message))
            gate.open()
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
            error = futures.pop(0).exception(30)
            got = [future.result(30) for future in futures]
        else:
            messages = [two, *(f"answer({n})" for n in range(3))]
            error, *got = pool.map(messages, on_error="return")
        assert type(error) is ProtocolError
        assert "answered b'one', and with that came b'stray'" in str(error)
        assert got == ["0", "1", "2"]

    @pytest.mark.parametrize("pause", [0.0005, 0.001, 0.004])
    def test_an_answer_too_many_while_late_stderr_is_awaited(
        self, make_pool: Callable[..., ProcessPool], way: str, pause: float
    ) -> None:
        pool = make_pool()
        (pid,) = pids(pool)
        late = f"answer('one'); time.sleep({pause}); answer('stray')"
        with suppress(ProtocolError):  # if the second came while stderr was awaited
            assert ask(pool, way, late) == "one"
        eventually(partial(wrote_or_went, pool, pid))
        assert ask(pool, way, "answer('next')") == "next"

    def test_in_the_middle_of_a_pipeline_it_ends_the_worker(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool(worker={"protocol": {"kind": "framed", "pipeline": 4}})
        messages = [f"answer({n})" for n in range(8)]
        got = pool.map([*messages, "raw(b'1;85;stray')"], on_error="return")
        assert got[:8] == [str(n) for n in range(8)]
        assert type(got[8]) is ProtocolError
        eventually(lambda: pool.call("answer('next')") == "next")

    def test_an_event_tells_of_it(self, make_pool: Callable[..., ProcessPool], gate: Gate) -> None:
        pool = make_pool()
        told: list[events.Event] = []
        pool.events(told.append)
        prove(pool)
        (pid,) = pids(pool)
        assert pool.call(f"answer(1); wait({str(gate.path)!r}); raw(b'bye')") == "1"
        gate.open()
        eventually(partial(wrote_or_went, pool, pid))
        assert pool.call("answer(2)") == "2"
        (stray,) = [event for event in told if isinstance(event, events.WorkerWroteUnasked)]
        assert (stray.pid, stray.output) == (pid, b"bye")
