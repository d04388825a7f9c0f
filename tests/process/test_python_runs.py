"""Runs of fast items: as fast as they are answered, each has its own value, and nothing is lost."""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
from collections import Counter
from contextlib import suppress
from random import Random
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest

import processpool
from processpool import WorkerDied
from tests.process.workers.functions import inc, wait_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from processpool import ProcessPool
    from tests.process.support import Gate

N = 30_000
"""Items of a map: enough for its last ones to be answered in runs."""
KILLS = 40


class Number(int):
    pass


class Word(str):
    __slots__ = ()


ODD = [
    2**63 - 1, -(2**63), 2**63, -(2**63) - 1, 2**200, -(2**80), True, False, None, 0.5, -0.0,
    math.inf, "", "ä€", "\ud800", b"", b"\xff", "x" * 1000, [1], (2,), {"a": b"b"}, 1j,
    Number(7), Word("word"), bytearray(b"ab"), Exception("a value"),
]  # fmt: skip


def same(value: Any) -> Any:
    return value


@pytest.mark.parametrize("usual", [7, 0.5, "word", None], ids=repr)
def test_a_value_that_does_not_fit(python_pool: Callable[..., ProcessPool], usual: object) -> None:
    """It is what it was, class and all; and so are those before and behind it."""
    odd = [ODD[n // 997 % len(ODD)] if n % 997 == 996 else usual for n in range(N)]

    def pick(n: int) -> Any:
        return odd[n]

    answers = python_pool().map(pick, range(N))
    assert [type(answer) for answer in answers] == [type(value) for value in odd]
    assert list(map(repr, answers)) == list(map(repr, odd))


@pytest.mark.parametrize("kind", [int, float, str, bool, bytes, Number, Word])
def test_values_of_one_type(python_pool: Callable[..., ProcessPool], kind: Any) -> None:
    def convert(n: int) -> Any:
        return kind(n % 100)

    answers = python_pool(2).map(convert, range(N))
    assert answers == [kind(n % 100) for n in range(N)]
    assert {type(answer) for answer in answers} == {kind}


def test_nan_and_zeros_keep_their_signs(python_pool: Callable[..., ProcessPool]) -> None:
    values = [math.nan, -math.nan, -0.0, 0.0]

    def pick(n: int) -> float:
        return values[n % 4]

    answers = python_pool().map(pick, range(N))
    assert list(map(repr, answers)) == [repr(values[n % 4]) for n in range(N)]
    signs = [math.copysign(1, answer) for answer in answers]
    assert signs == [math.copysign(1, values[n % 4]) for n in range(N)]


def test_values_without_room_in_one_journal(python_pool: Callable[..., ProcessPool]) -> None:
    def long(n: int) -> str:
        return f"{n}" * 200

    assert python_pool().map(long, range(N)) == [f"{n}" * 200 for n in range(N)]


def test_several_arguments(python_pool: Callable[..., ProcessPool]) -> None:
    answers = python_pool(2).map(pow, range(N), [2] * N)
    assert answers == [n * n for n in range(N)]


def test_errors_among_them(python_pool: Callable[..., ProcessPool]) -> None:
    def check(n: int) -> int:
        if n % 1000 == 999:
            raise ValueError(n)
        return n

    answers = python_pool().map(check, range(N), on_error="return")
    for n, answer in enumerate(answers):
        if n % 1000 == 999:
            assert isinstance(answer, ValueError)
            assert answer.args == (n,)
        else:
            assert answer == n
    error = next(answer for answer in answers if isinstance(answer, ValueError))
    assert "worker/items.py" not in str(error.__cause__)


def test_each_item_has_what_it_printed(python_pool: Callable[..., ProcessPool]) -> None:
    def speak(n: int) -> int:
        if n % 5000 == 4999:
            print("out", n)
            print("err", n, file=sys.stderr)
        return n

    records = python_pool().map(speak, range(N), details=True)
    assert [record.value for record in records] == list(range(N))
    spoken = {record.index: (record.stdout, record.stderr) for record in records if record.stdout}
    assert spoken == {n: (f"out {n}\n", f"err {n}\n") for n in range(4999, N, 5000)}
    assert [record.index for record in records if record.stderr] == list(spoken)


def test_a_log_record_has_its_item(
    python_pool: Callable[..., ProcessPool], caplog: pytest.LogCaptureFixture
) -> None:
    def warn(n: int) -> int:
        if n % 5000 == 4999:
            logging.getLogger("runs").warning("at %d", n)
        return n

    with caplog.at_level(logging.WARNING):
        assert python_pool().map(warn, range(N)) == list(range(N))
    noted = [(r.item, r.getMessage()) for r in caplog.records if r.name == "runs"]  # type: ignore[attr-defined]
    assert noted == [(n, f"at {n}") for n in range(4999, N, 5000)]


def test_progress_in_the_middle(python_pool: Callable[..., ProcessPool], gate: Gate) -> None:
    def report(n: int, path: str) -> int:
        if n == N // 2:
            processpool.progress(1, 2, "half")
            wait_at(path)
        return n

    pool = python_pool(1)
    answers = pool.imap(report, range(N), [str(gate.path)] * N)
    first = next(answers)
    rest: list[int] = []
    reader = Thread(target=lambda: rest.extend(answers))
    reader.start()
    gate.await_arrival()
    (worker,) = pool.snapshot().workers
    assert worker.progress == (1, 2, "half")
    gate.open()
    reader.join()
    assert [first, *rest] == list(range(N))


def die_at(n: int, item: int) -> int:
    if n == item:
        os._exit(9)
    return n + 1


@pytest.mark.parametrize("item", [0, 77_777, 999_999])
def test_a_crash_costs_exactly_its_item_of_a_million(
    python_pool: Callable[..., ProcessPool], item: int
) -> None:
    def work(n: int) -> int:
        return die_at(n, item)

    answers = python_pool(2).map(work, range(1_000_000), on_error="return")
    assert isinstance(answers[item], WorkerDied)
    answers[item] = item + 1
    assert answers == list(range(1, 1_000_001))


def test_kills_at_random_moments(python_pool: Callable[..., ProcessPool], tmp_path: Path) -> None:
    """Each kill costs one item at most, and none runs twice: each run leaves a byte behind."""
    ran = tmp_path / "ran"
    ran.write_bytes(bytes(8 * N))

    def count(n: int) -> Any:
        at = 8 * n
        if not opened:
            opened.append(os.open(ran, os.O_RDWR))
        os.pwrite(opened[0], bytes([os.pread(opened[0], 1, at)[0] + 1]), at)
        return [n, n / 2, str(n)][n // 5000 % 3]

    opened: list[int] = []
    pool = python_pool(2, restart={"max_failures": 10_000, "backoff": ["1ms", "1ms"]})
    stop, killed, chance = Event(), [0], Random(3)

    def kill() -> None:
        while killed[0] < KILLS and not stop.wait(chance.uniform(0.0, 0.03)):
            busy = [w.pid for w in pool.snapshot().workers if w.handled and w.pid is not None]
            if busy:
                with suppress(ProcessLookupError):
                    os.kill(chance.choice(busy), signal.SIGKILL)
                    killed[0] += 1

    killer = Thread(target=kill)
    killer.start()
    try:
        answers = pool.map(count, range(N), on_error="return")
    finally:
        stop.set()
        killer.join()
    lost = [n for n, answer in enumerate(answers) if isinstance(answer, WorkerDied)]
    assert len(lost) <= killed[0]
    expected = [[n, n / 2, str(n)][n // 5000 % 3] for n in range(N)]
    assert [a for n, a in enumerate(answers) if n not in set(lost)] == [
        value for n, value in enumerate(expected) if n not in set(lost)
    ]
    runs = Counter(ran.read_bytes()[::8])
    assert not set(runs) - {0, 1}, "an item ran twice"
    assert runs[0] <= len(lost), "only a lost item may not have run"


def test_what_has_not_begun_is_shared_out(
    python_pool: Callable[..., ProcessPool], gate: Gate
) -> None:
    """One item waits, its run is taken apart: all the others are answered meanwhile."""

    def wait_once(n: int, path: str) -> int:
        if n == N // 2:
            wait_at(path)
        return n + 1

    pool = python_pool(2)
    pool.map(inc, range(N))
    answers = pool.imap_unordered(wait_once, range(N), [str(gate.path)] * N, buffersize=2 * N)
    before = [next(answers) for _ in range(N - 1)]
    gate.open()
    assert sorted(before) == [n + 1 for n in range(N) if n != N // 2]
    assert list(answers) == [N // 2 + 1]


def test_a_fork_answers_nothing(python_pool: Callable[..., ProcessPool]) -> None:
    def fork(n: int) -> Any:
        if n % 5000 == 4999 and not os.fork():
            return -1 if n % 10000 == 4999 else "child"
        return n

    assert python_pool().map(fork, range(N)) == list(range(N))


def test_a_thread_that_logs_all_the_time(
    python_pool: Callable[..., ProcessPool], caplog: pytest.LogCaptureFixture
) -> None:
    def start() -> None:
        def shout() -> None:
            while True:
                logging.getLogger("noise").warning("still here")
                stopped.wait(0.001)

        stopped = Event()
        Thread(target=shout, daemon=True).start()

    pool = python_pool(1)
    pool.call(start)
    caplog.set_level(logging.CRITICAL, logger="noise")
    assert pool.map(inc, range(N)) == list(range(1, N + 1))
