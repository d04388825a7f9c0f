"""Maps on real processes: order, laziness, errors in their places, and every way to end early."""

from __future__ import annotations

import itertools
import os
import threading
import time
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Any

import pytest
from tqdm import tqdm

from processpool import Outcome, PoolClosed, ProcessPool, RequestTimeout, WorkerDied
from tests.process.support import Gate, eventually, pids, run_python

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PIPELINE = {"protocol": {"kind": "framed", "pipeline": 8}}


def answers(count: int) -> Iterator[str]:
    """Messages whose answers are 0, 1, 2, …"""
    return (f"answer({n})" for n in range(count))


def numbers(count: int) -> list[str]:
    return [str(n) for n in range(count)]


class Counted:
    """An iterator that knows how much of it was read."""

    def __init__(self, items: Iterator[str]) -> None:
        self.items = items
        self.read = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        item = next(self.items)
        self.read += 1
        return item


class TestOrder:
    @pytest.mark.parametrize("count", [0, 1, 2, 700])
    @pytest.mark.parametrize("worker", [{}, PIPELINE], ids=["one", "pipeline"])
    def test_map(
        self, make_pool: Callable[..., ProcessPool], count: int, worker: dict[str, Any]
    ) -> None:
        pool = make_pool(size=2, worker=worker)
        assert pool.map(answers(count)) == numbers(count)
        assert list(pool.imap(answers(count))) == numbers(count)
        assert sorted(pool.imap_unordered(answers(count)), key=int) == numbers(count)

    def test_answers_keep_their_order_when_late_items_are_fast(
        self, make_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = make_pool(size=2)
        pool.wait_ready()
        running = pool.imap([f"wait({str(gate.path)!r}); answer('first')", *answers(20)])
        result: Future[list[str]] = Future()
        thread = threading.Thread(target=lambda: result.set_result(list(running)))
        thread.start()
        gate.await_arrival()
        eventually(lambda: pool.snapshot().finished >= 1)
        assert not result.done()
        gate.open()
        assert result.result(30) == ["first", *numbers(20)]
        thread.join()

    def test_unordered_answers_come_as_they_are_there(
        self, make_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = make_pool(size=2)
        pool.wait_ready()
        running = pool.imap_unordered([f"wait({str(gate.path)!r}); answer('slow')", "answer(1)"])
        assert next(running) == "1"
        gate.open()
        assert list(running) == ["slow"]

    def test_two_maps_at_a_time(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(size=2)
        one, two = pool.imap(answers(50)), pool.imap(f"answer('-{n}')" for n in range(50))
        both = list(zip(one, two, strict=True))
        assert both == [(str(n), f"-{n}") for n in range(50)]

    def test_a_map_within_a_map(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(size=2)
        inner = (f"answer({n} * 2)" for n in map(int, pool.imap(answers(20))))
        assert pool.map(inner) == [str(n * 2) for n in range(20)]


class TestLaziness:
    def test_endless_input_is_read_only_as_far_as_needed(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool(size=2)
        source = Counted(f"answer({n})" for n in itertools.count())
        running = pool.imap(source)
        assert list(itertools.islice(running, 100)) == numbers(100)
        assert 100 <= source.read <= 100 + 2 * 2 * 2
        running.close()
        assert pool.call("answer('next')") == "next"

    @pytest.mark.parametrize("buffersize", [1, 3])
    def test_buffersize_bounds_what_is_read_ahead(
        self, make_pool: Callable[..., ProcessPool], buffersize: int
    ) -> None:
        pool = make_pool(size=2, worker=PIPELINE)
        source = Counted(answers(50))
        ahead = []
        for taken, _ in enumerate(pool.imap(source, buffersize=buffersize), start=1):
            ahead.append(source.read - taken)
        assert max(ahead) <= buffersize

    def test_nothing_is_read_before_the_first_next(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool()
        source = Counted(answers(5))
        running = pool.imap(source)
        assert source.read == 0
        assert next(running) == "0"

    def test_a_slow_input_does_not_hold_answers_back(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool(size=2)
        got: list[str] = []

        def slow() -> Iterator[str]:
            for n in range(4):
                yield f"answer({n})"
                time.sleep(0.05)

        for answer in pool.imap_unordered(slow(), buffersize=1):
            got.append(answer)
        assert sorted(got) == numbers(4)

    def test_a_map_may_be_larger_than_the_queue(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool(queue={"max_pending": 3, "when_full": "raise"})
        assert pool.map(answers(100)) == numbers(100)
        assert list(pool.imap(answers(100), buffersize=50)) == numbers(100)


class TestErrors:
    BAD = "err('why'); die()"

    def test_the_first_error_ends_the_map(
        self, make_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        pool = make_pool()
        ran = tmp_path / "ran"
        note = f"open({str(ran)!r}, 'a').write('x'); answer()"
        with pytest.raises(WorkerDied) as caught:
            pool.map([*answers(3), self.BAD, *[note] * 50])
        record = caught.value.record
        assert record is not None
        assert (record.index, record.stderr) == (3, "why")
        assert pool.call("answer('usable')") == "usable"
        pool.drain()
        assert not ran.exists(), "what had not started never starts"

    def test_imap_raises_in_the_place_of_the_item(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool(size=2)
        running = pool.imap([*answers(4), self.BAD, *answers(9)])
        got: list[str] = []
        with pytest.raises(WorkerDied):
            got.extend(running)
        assert got == numbers(4)

    @pytest.mark.parametrize("method", ["map", "imap", "imap_unordered"])
    def test_return(self, make_pool: Callable[..., ProcessPool], method: str) -> None:
        pool = make_pool(size=2)
        messages = [*answers(3), self.BAD, "answer(4)", self.BAD, "answer(6)"]
        got = list(getattr(pool, method)(messages, on_error="return"))
        errors = [value for value in got if isinstance(value, WorkerDied)]
        assert sorted(value for value in got if isinstance(value, str)) == list("01246")
        assert sorted(error.record.index for error in errors if error.record) == [3, 5]
        if method != "imap_unordered":
            assert [isinstance(value, WorkerDied) for value in got] == [0, 0, 0, 1, 0, 1, 0]

    def test_skip(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        messages = ["answer(0)", self.BAD, "answer(2)"]
        assert pool.map(messages, on_error="skip") == ["0", "2"]

    def test_details(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        good, bad = pool.map(["err('e'); answer('v')", self.BAD], details=True, on_error="return")
        assert isinstance(good, Outcome)
        assert (good.index, good.value, good.stdout, good.stderr) == (0, "v", "v", "e")
        assert good.ok
        assert not bad.ok
        assert isinstance(bad.error, WorkerDied)
        assert isinstance(bad.error.record, Outcome)
        assert bad.error.record.index == 1
        assert (bad.index, bad.stderr, bad.attempts) == (1, "why", 1)
        assert good.pid == bad.pid

    def test_what_cannot_be_sent_is_an_item_that_failed(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool(["cat"], worker={"protocol": "lines", "codec": "json"})
        got = pool.map([1, {2}, 3, {4}], on_error="return")
        assert [got[0], got[2]] == [1, 3]
        assert [str(got[n])[:11] for n in (1, 3)] == ["codec json:"] * 2

    def test_a_timeout_costs_one_item(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(size=2)
        messages = ["answer(0)", "time.sleep(60)", "answer(2)", "time.sleep(60)", "answer(4)"]
        got = pool.map(messages, timeout=0.5, on_error="return")
        assert [got[n] for n in (0, 2, 4)] == ["0", "2", "4"]
        assert [type(got[n]) for n in (1, 3)] == [RequestTimeout] * 2

    def test_a_timeout_of_none_overrides_the_yaml(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool(timeouts={"request": 0.05})
        slow = "time.sleep(0.3); answer(1)"
        assert pool.map([slow], timeout=None) == ["1"]
        with pytest.raises(RequestTimeout):
            pool.map([slow])

    @pytest.mark.parametrize("method", ["map", "imap", "imap_unordered"])
    def test_an_input_that_raises(self, make_pool: Callable[..., ProcessPool], method: str) -> None:
        pool = make_pool()

        def bad_input() -> Iterator[str]:
            yield from answers(3)
            raise KeyError("no more")

        with pytest.raises(KeyError, match="no more"):
            list(getattr(pool, method)(bad_input()))
        assert pool.call("answer(1)") == "1"
        assert pool.snapshot().maps == ()

    def test_bad_arguments(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        with pytest.raises(ValueError, match="on_error must be 'raise', 'return' or 'skip'"):
            pool.map([], on_error="ignore")  # type: ignore[call-overload]
        with pytest.raises(ValueError, match="buffersize must be at least 1, got 0"):
            pool.imap([], buffersize=0)
        assert pool.snapshot().maps == ()

    def test_every_item_is_accounted_for_while_workers_die(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool(size=2, worker=PIPELINE)
        messages = ["die()" if n % 17 == 5 else f"answer({n})" for n in range(200)]
        got = pool.map(messages, on_error="return")
        for n, value in enumerate(got):
            if n % 17 == 5:
                assert isinstance(value, WorkerDied)
                assert value.record is not None
                assert value.record.index == n
            else:
                assert value == str(n)


class TestEndings:
    def test_abandoned_half_way(
        self, make_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        pool = make_pool()
        for answer in pool.imap(answers(1000)):
            if answer == "3":
                break
        del answer
        assert pool.call("answer(1)") == "1"
        eventually(lambda: pool.snapshot().maps == () and pool.drain(0))

    def test_stopped_from_outside(self, make_pool: Callable[..., ProcessPool], gate: Gate) -> None:
        pool = make_pool()
        result: Future[Any] = Future()

        def run() -> None:
            try:
                pool.map([f"wait({str(gate.path)!r})"] * 3, progress=False)
            except CancelledError as error:
                result.set_result(error)

        first = pids(pool)
        thread = threading.Thread(target=run)
        thread.start()
        gate.await_arrival()
        (shown,) = pool.snapshot().maps
        assert (shown.done, shown.failed, shown.total, shown.eta) == (0, 0, 3, None)
        pool.stop_map(shown.id)
        assert "was stopped" in str(result.result(30))
        thread.join()
        assert pool.call("answer(1)") == "1"
        assert pids(pool) != first
        assert pool.snapshot().maps == ()

    @pytest.mark.parametrize("how", ["close", "kill"])
    def test_the_pool_ends_under_it(
        self, make_pool: Callable[..., ProcessPool], gate: Gate, how: str
    ) -> None:
        pool = make_pool()
        result: Future[Any] = Future()

        def run() -> None:
            try:
                pool.map([f"wait({str(gate.path)!r})"] * 3)
            except PoolClosed as error:
                result.set_result(str(error))

        thread = threading.Thread(target=run)
        thread.start()
        gate.await_arrival()
        pool.close(grace=0) if how == "close" else pool.kill()
        assert "the pool " in result.result(30)
        thread.join()

    def test_an_interrupt_comes_back_at_once_and_leaves_the_pool_usable(self) -> None:
        source = """
            import os, signal, sys, threading, time
            from processpool import ProcessPool
            path = sys.argv[1]
            worker = {"kind": "command", "command": ["python", "-IS", sys.argv[2]]}
            with ProcessPool.from_dict({"worker": worker, "size": {"min": 2, "max": 2}}) as pool:
                pool.wait_ready()
                other = pool.submit("time.sleep(1); answer('other')")
                def interrupt():
                    while pool.snapshot().running < 2:
                        time.sleep(0.005)
                    global began
                    began = time.monotonic()
                    os.kill(os.getpid(), signal.SIGINT)
                threading.Thread(target=interrupt).start()
                try:
                    pool.map([f"time.sleep(60)", *[f"open({path!r}, 'w'); answer()"] * 30])
                except KeyboardInterrupt:
                    print("interrupted", time.monotonic() - began < float(sys.argv[3]))
                print(other.result(), pool.call("answer('usable')"))
                pool.drain()
                print(os.path.exists(path), len(pool.snapshot().maps))
        """
        from tests.process.support import PUPPET, slowness

        path = f"/tmp/processpool-test-{os.getpid()}-ran"
        done = run_python(source, arguments=[path, PUPPET[-1], str(slowness())])
        assert done.stderr == ""
        assert done.stdout == "interrupted True\nother usable\nFalse 0\n"


class TestProgress:
    @pytest.mark.parametrize("progress", [True, "my label"])
    def test_a_bar(
        self,
        make_pool: Callable[..., ProcessPool],
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        progress: bool | str,
    ) -> None:
        monkeypatch.setattr(tqdm, "monitor_interval", 0)  # no thread of its own
        pool = make_pool()
        assert pool.map(list(answers(30)), progress=progress) == numbers(30)
        shown = capsys.readouterr().err
        assert "30/30" in shown
        assert ("my label" in shown) is (progress == "my label")

    def test_a_map_in_progress_is_shown(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        running = pool.imap(list(answers(10)))
        for _ in range(4):
            next(running)
        (shown,) = pool.snapshot().maps
        assert shown.total == 10
        assert 4 <= shown.done <= 10
        assert shown.label == "puppet.py"
        assert list(running) == [str(n) for n in range(4, 10)]
        assert pool.snapshot().maps == ()
