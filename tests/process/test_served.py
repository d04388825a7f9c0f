"""Programs under `serve` in a pool: their errors, and what is sent ahead to them."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from concurrent.futures import wait
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from processpool import ProcessPool, RemoteError, Retire, WorkerDied
from tests.process.support import WAYS, WORKERS, Gate, ask, eventually, pids

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Make = Callable[..., ProcessPool]

REPORTS = ["python", str(WORKERS / "reports.py")]


@pytest.fixture
def served(make_pool: Make, tmp_path: Path) -> Make:
    """Makes pools of the handler that notes what it begins in the file `runs`."""

    def make(size: int = 1, worker: dict[str, Any] | None = None, **options: Any) -> ProcessPool:
        declared = {"env": {"RUNS": str(tmp_path / "runs")}, **(worker or {})}
        pool = make_pool(REPORTS, size=size, worker=declared, **options)
        pool.wait_ready(60)
        return pool

    return make


def runs(tmp_path: Path) -> Counter[str]:
    """How often each message was begun."""
    return Counter((tmp_path / "runs").read_text().splitlines())


def warm(pool: ProcessPool, message: str = "warm") -> None:
    """Have a pool learn that its items are quick, whatever else this machine does."""
    fleet = pool._engine._core.scheduler.fleet  # type: ignore[attr-defined]
    eventually(lambda: pool.map([message] * 100) and fleet._seconds_each < 0.001)


class TestErrors:
    @pytest.mark.parametrize("way", WAYS)
    def test_one_fails_its_item_and_the_worker_lives(self, way: str, served: Make) -> None:
        pool = served()
        pid = ask(pool, way, "pid")
        with pytest.raises(RemoteError, match=r"^ValueError: bad input(\n|$)") as failed:
            ask(pool, way, "raise bad input")
        error = failed.value
        assert error.type_name == "ValueError"
        assert "reports.py" in error.traceback
        assert "raise ValueError(rest)" in str(error.__cause__)
        assert "serve.py" not in error.traceback
        record = error.record
        assert record is not None
        assert (record.stdout, record.stderr) == ("printed\n", "written to stderr\n")
        assert (record.pid, record.attempts) == (int(pid), 1)
        assert ask(pool, way, "pid") == pid
        assert pool.snapshot().workers[0].failed == 1

    def test_so_does_an_answer_that_is_no_json(self, served: Make) -> None:
        pool = served()
        with pytest.raises(RemoteError, match="TypeError: Object of type object is not JSON"):
            pool.call("code 1")
        assert pool.call("next") == "next"

    def test_in_a_map_the_others_have_their_answers(self, served: Make) -> None:
        pool = served(2)
        messages = [f"raise {n}" if n % 7 == 3 else str(n) for n in range(2000)]
        found = pool.map(messages, on_error="return")
        for n, answer in enumerate(found):
            if n % 7 == 3:
                assert isinstance(answer, RemoteError)
                assert str(answer) == f"ValueError: {n}"
                assert answer.record is not None
                assert answer.record.stderr == "written to stderr\n"
            else:
                assert answer == str(n)
        assert len(pids(pool)) == 2
        assert sum(w.id for w in pool.snapshot().workers) == 3, "none was replaced"

    def test_large_ones_in_a_row_block_nobody(self, served: Make) -> None:
        pool = served(worker={"protocol": {"kind": "framed", "pipeline": 64}})
        found = pool.map(["raise " + "x" * 50_000] * 300, on_error="return")
        assert {type(error) for error in found} == {RemoteError}

    def test_retry_on_error_sees_them(self, served: Make, tmp_path: Path) -> None:
        pool = served(retry={"attempts": 3, "on": ["error"]}, restart={"backoff": [0, 0.01]})
        with pytest.raises(RemoteError) as failed:
            pool.submit("raise again").result(60)
        assert failed.value.record is not None
        assert failed.value.record.attempts == 3
        assert runs(tmp_path)["raise again"] == 3

    def test_a_lease_too(self, served: Make) -> None:
        pool = served()
        with pool.lease() as lease:
            lease.send("raise leased")
            with pytest.raises(RemoteError, match="leased"):
                lease.read_stdout()
            lease.send("on")
            assert lease.read_stdout() == "on"

    def test_exit_keeps_the_old_way(self, served: Make) -> None:
        pool = served(worker={"env": {"SERVE": '{"on_error": "exit"}'}})
        with pytest.raises(WorkerDied, match="ValueError: old way"):
            pool.call("raise old way")
        assert pool.call("next") == "next"

    def test_without_the_channel_it_ends_the_worker(self, served: Make) -> None:
        pool = served()
        assert pool.call("close") == "close"
        with pytest.raises(WorkerDied, match="ValueError: untold"):
            pool.call("raise untold")
        assert pool.call("next") == "next"

    def test_a_fork_that_raises_is_no_answer(self, served: Make) -> None:
        pool = served()
        pid = pool.call("pid")
        assert pool.map(["fork", "one", "fork", "two"]) == ["fork", "one", "fork", "two"]
        assert pool.call("pid") == pid


class TestRetire:
    @pytest.mark.parametrize("way", WAYS)
    def test_another_worker_does_it(self, way: str, served: Make) -> None:
        pool = served()
        first = ask(pool, way, "pid")
        assert ask(pool, way, "retire-unless 2") == "2"
        assert ask(pool, way, "pid") != first
        assert pool.snapshot().failed == 0

    def test_it_is_no_attempt(self, served: Make) -> None:
        pool = served()
        record = next(pool.imap(["retire-unless 3"], details=True))
        assert (record.value, record.attempts) == ("3", 1)
        assert [type(earlier.error) for earlier in record.history] == [Retire, Retire]

    @pytest.mark.parametrize("way", WAYS)
    def test_after_five_workers_it_fails(self, way: str, served: Make) -> None:
        pool = served()
        with pytest.raises(Retire, match=r"5 workers were replaced .* the last said: for ever"):
            ask(pool, way, "retire for ever")
        assert ask(pool, way, "next") == "next"
        assert str(pool.snapshot().state) == "open"

    def test_what_was_sent_ahead_goes_elsewhere(self, served: Make, tmp_path: Path) -> None:
        pool = served(worker={"protocol": {"kind": "framed", "pipeline": 8}})
        messages = ["a", "retire-unless 2", *map(str, range(30))]
        assert pool.map(messages) == ["a", "2", *map(str, range(30))]
        begun = runs(tmp_path)
        assert begun.pop("retire-unless 2") == 2
        assert set(begun.values()) == {1}

    def test_a_function_may_ask_for_it_too(self, python_pool: Make) -> None:
        pool = python_pool(1)
        assert pool.call(number_unless, 2) == 2
        assert pool.map(number_unless, [0, 0, 3, 0]) == [2, 2, 3, 3]
        with pytest.raises(Retire, match="5 workers were replaced"):
            pool.submit(number_unless, -1).result(60)
        assert pool.snapshot().failed == 1

    def test_a_class_of_ones_own_that_derives_from_it(self, python_pool: Make) -> None:
        pool = python_pool(1)
        assert pool.submit(tired, 2).result(60) == 2

    def test_it_cuts_a_run_of_fast_items(self, python_pool: Make) -> None:
        pool = python_pool(1)
        pool.map(number_unless, [0] * 3000)
        found = pool.map(number_unless, [0] * 2000 + [2] + [0] * 2000)
        assert found == [1] * 2000 + [2] * 2001


def number_unless(number: int) -> int:
    """The number of this worker; it must be this one, if one is named."""
    own = int(os.environ["PROCESSPOOL_WORKER"])
    if number not in (0, own):
        raise Retire("not the one")
    return own


class Tired(Retire):
    pass


def tired(number: int) -> int:
    own = int(os.environ["PROCESSPOOL_WORKER"])
    if own != number:
        raise Tired
    return own


class TestSentAhead:
    def test_while_items_are_quick(self, served: Make, tmp_path: Path) -> None:
        pool = served()
        gate = Gate(tmp_path)
        assert pool.submit("one").result(30) == "one"
        warm(pool)
        futures = [pool.submit(f"gate {gate.path}"), *(pool.submit(str(n)) for n in range(20))]
        gate.await_arrival()
        eventually(lambda: pool.snapshot().workers[0].pending == 8)
        gate.open()
        assert [future.result(30) for future in futures[1:]] == [str(n) for n in range(20)]

    def test_not_while_they_are_slow(self, served: Make) -> None:
        pool = served()
        futures = [pool.submit("sleep 0.02") for _ in range(20)]
        while not all(future.done() for future in futures):
            assert pool.snapshot(resources=False).workers[0].pending <= 1
            wait(futures, 0.005)

    def test_not_to_other_programs(self, make_pool: Make) -> None:
        pool = make_pool([sys.executable, "-c", SEED], worker={"protocol": "framed"})
        futures = [pool.submit("x") for _ in range(500)]
        while not all(future.done() for future in futures):
            assert pool.snapshot(resources=False).workers[0].pending <= 1

    def test_every_item_has_its_stderr(self, served: Make) -> None:
        pool = served(2)
        warm(pool)
        messages = [f"err {n}" if n % 3 else str(n) for n in range(1200)]
        for outcome in pool.imap(messages, details=True):
            message = messages[outcome.index]
            expected = f"{message}\n" if message.startswith("err") else ""
            assert outcome.stderr == expected

    @pytest.mark.parametrize("after", [":", "sleep 0.01"])
    def test_and_what_a_child_process_writes(self, after: str, served: Make) -> None:
        pool = served(worker={"protocol": {"kind": "framed", "pipeline": 8}})
        messages = [f"child-err {after}" if n % 3 == 1 else str(n) for n in range(60)]
        for outcome in pool.imap(messages, details=True):
            message = messages[outcome.index]
            assert outcome.stderr == (f"child-err {after}\n" if outcome.index % 3 == 1 else "")
            assert outcome.value == message

    def test_every_item_knows_which_it_is(self, served: Make) -> None:
        pool = served(2, worker={"codec": "json"})
        warm(pool, "who")
        assert pool.map(["who"] * 2000) == [[n, 1] for n in range(2000)]
        assert pool.call("who") == [0, 1]

    def test_the_crash_of_a_full_worker_costs_the_item_that_it_had_begun(
        self, served: Make, tmp_path: Path
    ) -> None:
        pool = served(worker={"protocol": {"kind": "framed", "pipeline": 8}})
        gate = Gate(tmp_path)
        futures = [pool.submit(f"gate {gate.path}"), *(pool.submit(str(n)) for n in range(7))]
        gate.await_arrival()
        eventually(lambda: pool.snapshot().workers[0].pending == 8)
        os.kill(pids(pool)[0], signal.SIGKILL)
        with pytest.raises(WorkerDied, match="SIGKILL"):
            futures[0].result(30)
        assert [future.result(30) for future in futures[1:]] == [str(n) for n in range(7)]
        assert set(runs(tmp_path).values()) == {1}
        gate.close()

    def test_crashes_at_any_moment(self, served: Make, tmp_path: Path) -> None:
        pool = served(2, restart={"max_failures": 10_000})
        found = pool.map([f"die {n % 200}" if n % 97 == 50 else str(n) for n in range(3000)],
                         on_error="return")  # fmt: skip
        died = [n for n, answer in enumerate(found) if isinstance(answer, WorkerDied)]
        assert died == list(range(50, 3000, 97))
        begun = runs(tmp_path)
        assert sum(begun.values()) == 3000
        assert all(count == 1 for message, count in begun.items() if not message.startswith("die"))


class TestRecall:
    def test_what_lies_behind_a_slow_item_is_done_by_others(
        self, served: Make, tmp_path: Path
    ) -> None:
        pool = served(2)
        warm(pool)
        gate = Gate(tmp_path)
        slow = [f"gate {gate.path}"]
        futures = [pool.submit(message) for message in [*slow, *map(str, range(40))]]
        answers = [future.result(30) for future in futures[1:]]  # the gate is still closed
        assert answers == [str(n) for n in range(40)]
        gate.open()
        assert futures[0].result(30) == slow[0]
        begun = runs(tmp_path)
        assert all(begun[str(n)] == 1 for n in range(40))

    def test_of_one_batch_too(self, served: Make, tmp_path: Path) -> None:
        pool = served(2)
        warm(pool)
        gate = Gate(tmp_path)
        messages = [str(n) for n in range(60)]
        messages[17] = f"gate {gate.path}"
        answers = pool.imap_unordered(messages)
        found = [next(answers) for _ in range(59)]
        gate.open()
        assert sorted([*found, *answers]) == sorted(messages)
        begun = runs(tmp_path)
        assert all(begun[message] == 1 for message in messages)

    def test_a_future_that_was_sent_ahead_can_be_cancelled(
        self, served: Make, tmp_path: Path
    ) -> None:
        pool = served(worker={"protocol": {"kind": "framed", "pipeline": 8}})
        gate = Gate(tmp_path)
        futures = [pool.submit(f"gate {gate.path}"), *(pool.submit(str(n)) for n in range(7))]
        gate.await_arrival()
        eventually(lambda: pool.snapshot().workers[0].pending == 8)
        assert [future.cancel() for future in futures] == [False] + [True] * 7
        gate.open()
        assert futures[0].result(30) == f"gate {gate.path}"
        assert pool.call("next") == "next"
        assert not runs(tmp_path).keys() & {str(n) for n in range(7)}

    def test_at_any_moment(self, served: Make, tmp_path: Path) -> None:
        """Items that are now slow, now quick, some of them cancelled: each runs once, or never."""
        pool = served(2, worker={"protocol": {"kind": "framed", "pipeline": 8}})
        random = Random(5)
        futures = {}
        for n in range(1500):
            slow = random.random() < 0.01
            message = f"sleep 0.0{n % 10}{n}" if slow else f"m {n}"
            futures[message] = pool.submit(message)
            if random.random() < 0.1:
                futures[random.choice(list(futures))].cancel()
        wait(futures.values(), 120)
        begun = runs(tmp_path)
        for message, future in futures.items():
            assert begun[message] == (0 if future.cancelled() else 1)
            assert future.cancelled() or future.result() == message


SEED = """
import sys
read, write = sys.stdin.buffer, sys.stdout.buffer
while (head := read.readline()) and head != b"0;\\n":
    data = read.read(int(head[2:]))
    write.write(b"%d;%b" % (len(data), data))
    write.flush()
"""
