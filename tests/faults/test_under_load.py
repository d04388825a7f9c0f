"""Many threads, many items, many workers: callbacks, closing, cancelling, maps, and what is left.

The same of command workers is tested where they are: sixteen threads, callbacks that submit or
raise, a full queue, cancelling → tests.process.test_pool; callbacks that wait for the pool or never
return → tests.process.test_promises; closing twice, from many threads, against submits and crashes,
unused → tests.process.test_close; maps that end early in every way → tests.process.test_map.
"""

from __future__ import annotations

import gc
import itertools
import os
import random
import signal
import sys
import threading
import time
from collections import deque
from concurrent.futures import CancelledError, Future, wait
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from processpool import (
    PoolClosed,
    PoolExhausted,
    ProcessPool,
    ProcessPoolError,
    QueueFull,
    RequestTimeout,
    WorkerDied,
)
from processpool.core.commands import Send, Spawn
from processpool.core.jobs import Batch
from tests.core.scheduling import Bench, NotedJob
from tests.process.conftest import _possessions
from tests.process.support import PUPPET, await_exit, eventually, pids, run_python
from tests.process.workers import functions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.process.support import Gate


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run `work(n)` in so many threads at once; what one of them raises is raised."""
    errors: list[BaseException] = []
    together = threading.Barrier(count)

    def run(n: int) -> None:
        try:
            together.wait()
            work(n)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


class TestSubmits:
    def test_everything_at_once_from_16_threads(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool(3)

        def work(n: int) -> None:
            chance = random.Random(n)
            for _ in range(15):
                m = chance.randrange(1000)
                match chance.randrange(5):
                    case 0:
                        assert pool.call(functions.inc, m) == m + 1
                    case 1:
                        futures = [pool.submit(functions.add, m, k) for k in range(20)]
                        assert [f.result() for f in futures] == [m + k for k in range(20)]
                    case 2:
                        assert pool.map(functions.inc, range(m)) == list(range(1, m + 1))
                    case 3:
                        answers = pool.imap_unordered(lambda x: x + n, range(50))
                        assert sorted(answers) == list(range(n, n + 50))
                    case _:
                        with pytest.raises(ValueError, match=f"^{n} {m}\\n"):
                            pool.call(functions.fail, f"{n} {m}")

        in_threads(16, work)

    def test_values_are_not_mixed_up_between_16_threads(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool(2)

        def work(n: int) -> None:
            for m in range(60):
                text = f"{n}-{m}" * (1 + 3000 * (m % 3))
                assert pool.call(functions.same, text) == text

        in_threads(16, work)

    @pytest.mark.slow
    def test_nor_when_threads_take_turns_after_every_step(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        """What is taken back from one worker, assigned to the next and called meets itself."""
        pool = python_pool(2, timeouts={"request": 20})

        def work(n: int) -> None:
            for m in range(4000):
                text = f"{n}-{m}" * (1 + 3000 * (m % 3))
                if m % 5:
                    assert pool.call(functions.same, text) == text
                else:
                    assert pool.submit(functions.same, text).result() == text

        before = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        try:
            in_threads(16, work)
        finally:
            sys.setswitchinterval(before)


class TestCallbacks:
    def test_submit_from_a_callback(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        finished: Future[int] = Future()

        def more(future: Future[int]) -> None:
            value = future.result()
            if value < 100:
                pool.submit(functions.inc, value).add_done_callback(more)
            else:
                finished.set_result(value)

        pool.submit(functions.inc, 0).add_done_callback(more)
        assert finished.result(20) == 100

    def test_close_from_a_callback(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        future = pool.submit(functions.inc, 1)
        future.add_done_callback(lambda _: pool.close())
        assert future.result() == 2
        eventually(lambda: str(pool.state) == "closed")

    def test_after_a_crash(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        again: Future[int] = Future()

        def retry(_: Any) -> None:
            pool.submit(functions.inc, 5).add_done_callback(lambda f: again.set_result(f.result()))

        pool.submit(functions.end, "SIGKILL").add_done_callback(retry)
        assert again.result(20) == 6

    def test_that_raise_are_logged_and_harm_nobody(
        self, python_pool: Callable[..., ProcessPool], caplog: pytest.LogCaptureFixture
    ) -> None:
        pool = python_pool()
        errors = [ValueError("a"), SystemExit(3), KeyboardInterrupt(), GeneratorExit()]
        for error in errors:

            def callback(_: object, error: BaseException = error) -> None:
                raise error

            pool.pause()  # or it is done before the callback is there, which then runs here
            future = pool.submit(functions.inc, 1)
            future.add_done_callback(callback)
            pool.resume()
            assert future.result() == 2
            assert pool.submit(functions.inc, 2).result() == 3
        eventually(lambda: [r.exc_info[1] for r in caplog.records if r.exc_info] == errors)
        assert pool.map(functions.inc, [1]) == [2]

    def test_one_that_blocks_stops_nobody(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        go_on, went_on = threading.Event(), threading.Event()

        def block(_: object) -> None:
            go_on.wait()
            went_on.set()

        pool.pause()
        pool.submit(functions.inc, 0).add_done_callback(block)
        pool.resume()
        assert pool.map(functions.inc, range(100)) == list(range(1, 101))
        assert pool.submit(functions.inc, 1).result() == 2
        assert not went_on.is_set()
        go_on.set()
        assert went_on.wait(30)


class TestClose:
    def test_against_submits_from_16_threads(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(2)
        futures: list[Future[int]] = []

        def work(n: int) -> None:
            try:
                for m in range(10_000):
                    futures.append(pool.submit(functions.inc, m))
                    if n == 0 and m == 50:
                        pool.close(0.5)
            except PoolClosed:
                pass

        in_threads(16, work)
        done, pending = wait(futures, timeout=20)
        assert not pending
        errors = {type(future.exception()) for future in done}
        assert errors <= {type(None), PoolClosed}

    def test_kill_against_maps(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(2)
        started = threading.Event()

        def started_after(_: int) -> None:
            started.set()

        def work(n: int) -> None:
            if n == 0:
                started.wait()
                pool.kill()
                return
            answers = pool.imap(functions.inc, iter(range(10**9)))
            with pytest.raises(ProcessPoolError):
                deque(map(started_after, answers), maxlen=0)

        in_threads(6, work)

    def test_twice_from_many_threads_and_unused(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        unused = python_pool(opened=False)
        unused.close()
        unused.close()
        assert unused.state == "new"
        pool = python_pool(2)
        futures = [pool.submit(functions.inc, n) for n in range(200)]
        in_threads(8, lambda n: pool.close() if n else pool.kill())
        pool.close()
        assert pool.state == "closed"
        assert all(future.done() for future in futures)

    def test_against_crashes(self, python_pool: Callable[..., ProcessPool]) -> None:
        for _ in range(3):
            pool = python_pool(2)
            futures = [pool.submit(functions.end, "SIGKILL") for _ in range(8)]
            pool.close()
            assert all(future.done() for future in futures)
            errors = {type(future.exception()) for future in futures}
            assert errors <= {WorkerDied, PoolClosed}


class TestCancel:
    def test_what_waits_is_never_run(
        self, python_pool: Callable[..., ProcessPool], gate: Gate, tmp_path: Path
    ) -> None:
        pool = python_pool()
        path = tmp_path / "log"
        first = pool.submit(functions.wait_at, str(gate.path))
        gate.await_arrival()
        futures = [pool.submit(functions.note, str(path), n) for n in range(40)]
        cancelled = {n for n, future in enumerate(futures) if n % 2 and future.cancel()}
        assert cancelled == set(range(1, 40, 2)), "none of them had started"
        assert not first.cancel()
        gate.open()
        for n, future in enumerate(futures):
            if n in cancelled:
                with pytest.raises(CancelledError):
                    future.result()
            else:
                assert future.result() == n
        assert path.read_text().split() == [str(n) for n in range(0, 40, 2)]

    def test_kill_what_runs(self, python_pool: Callable[..., ProcessPool], gate: Gate) -> None:
        pool = python_pool()
        pid = pool.call(functions.pid)
        future = pool.submit(functions.wait_at, str(gate.path))
        gate.await_arrival()
        assert future.kill()
        with pytest.raises(CancelledError):
            future.result(10)
        await_exit(pid)
        assert pool.call(functions.pid) != pid
        assert not future.kill()

    def test_kill_what_waits_behind_another(
        self, python_pool: Callable[..., ProcessPool], gate: Gate, tmp_path: Path
    ) -> None:
        pool = python_pool()
        path = tmp_path / "log"
        pid = pool.call(functions.pid)
        first = pool.submit(functions.wait_at, str(gate.path))
        gate.await_arrival()
        second = pool.submit(functions.note, str(path), 2)
        third = pool.submit(functions.pid)
        assert second.kill()
        with pytest.raises(CancelledError):
            second.result(10)
        gate.open()
        assert (first.result(), third.result()) == ("passed", pid)
        assert not path.exists()

    def test_at_any_moment(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(2)
        chance = random.Random(7)
        futures = []
        for n in range(600):
            future = pool.submit(functions.inc, n)
            futures.append(future)
            victim = chance.choice(futures[-30:])
            match chance.randrange(6):
                case 0:
                    victim.cancel()
                case 1 if n % 20 == 0:
                    victim.kill()
                case 2:
                    time.sleep(0.0002)  # so that others are met running
        for n, future in enumerate(futures):
            with suppress(CancelledError):
                assert future.result(20) == n + 1
        assert pool.map(functions.inc, range(100)) == list(range(1, 101))


class TestMaps:
    @pytest.mark.parametrize("method", ["map", "imap", "imap_unordered"])
    def test_the_iterable_raises(
        self, python_pool: Callable[..., ProcessPool], method: str
    ) -> None:
        pool = python_pool()

        def bad_input() -> Iterator[int]:
            yield from range(300)
            raise KeyError("no more")

        with pytest.raises(KeyError, match="no more"):
            list(getattr(pool, method)(functions.inc, bad_input()))
        assert pool.snapshot().maps == ()
        assert pool.map(functions.inc, [1]) == [2]

    def test_an_item_fails_and_the_rest_never_starts(
        self, python_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        pool = python_pool()
        path = str(tmp_path / "log")

        def work(n: int) -> int:
            if n == 10:
                raise ValueError(n)
            return functions.count_in(path, n)

        with pytest.raises(ValueError, match=r"^10\n"):
            pool.map(work, range(100_000))
        pool.drain(30)
        ran = Path(path).read_text().split()
        assert ran[:10] == [str(n) for n in range(10)]
        assert len(ran) < 50_000
        assert pool.call(functions.inc, 1) == 2

    def test_abandoned_half_way_no_more_starts_than_was_read_ahead(
        self, python_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        pool = python_pool()
        path = str(tmp_path / "log")
        answers = pool.imap(functions.count_in, itertools.repeat(path), range(10_000), buffersize=5)
        assert list(itertools.islice(answers, 100)) == [n * n for n in range(100)]
        del answers
        eventually(lambda: pool.snapshot().maps == () and pool.drain(0))
        assert len(Path(path).read_text().split()) <= 105
        assert pool.call(functions.inc, 1) == 2

    def test_a_timeout_and_a_kill_are_errors_in_their_place(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool(2)

        def work(n: int) -> int:
            if n == 5:
                threading.Event().wait()
            if n == 20:
                os.kill(os.getpid(), signal.SIGKILL)
            return n

        answers = pool.map(work, range(40), timeout=1, on_error="return")
        assert {n: type(answer) for n, answer in enumerate(answers) if answer != n} == {
            5: RequestTimeout,
            20: WorkerDied,
        }
        assert pool.map(functions.inc, range(9)) == list(range(1, 10))

    def test_bad_arguments(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        with pytest.raises(ValueError, match="on_error must be 'raise', 'return' or 'skip'"):
            pool.map(functions.inc, [], on_error="ignore")  # type: ignore[call-overload]
        with pytest.raises(ValueError, match="buffersize must be at least 1, got 0"):
            pool.imap(functions.inc, [], buffersize=0)
        with pytest.raises(TypeError, match="not iterable"):
            pool.map(functions.inc, 3)  # type: ignore[call-overload]
        assert pool.snapshot().maps == ()
        assert pool.map(functions.inc, [1]) == [2]

    def test_stopping_a_map(self, python_pool: Callable[..., ProcessPool], gate: Gate) -> None:
        pool = python_pool()

        def stop() -> None:
            gate.await_arrival()
            pool.stop_map(pool.snapshot().maps[0].id)

        thread = threading.Thread(target=stop)
        thread.start()
        with pytest.raises(CancelledError):
            pool.map(functions.wait_at, [str(gate.path)] * 10)
        thread.join()
        assert pool.call(functions.inc, 1) == 2


PENDING = """
    import time
    from processpool import ProcessPool

    def memory():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    def submit(numbers):
        began = time.thread_time()
        futures.extend([pool.submit(abs, -n) for n in numbers])
        return time.thread_time() - began

    futures = []
    worker = {"kind": "python"}
    size = {"min": 2, "max": 2}
    queue = {"max_pending": 1_000_000}
    with ProcessPool.from_dict({"worker": worker, "size": size, "queue": queue}) as pool:
        pool.pause()
        submit(range(1000))
        before = memory()
        first = submit(range(1000, 21_000))
        submit(range(21_000, 81_000))
        last = submit(range(81_000, 101_000))
        print("bytes", (memory() - before) // 100_000)
        print("growth", round(last / first, 2))
        print("queued", pool.snapshot().queued)
        pool.resume()
        print("right", [future.result() for future in futures] == list(range(101_000)))
"""


class TestAllWaysAtOnce:
    def test_everybody_gets_their_own_answers(
        self, kind: str, make: Callable[..., ProcessPool]
    ) -> None:
        pool = make(2)
        wrong: list[tuple[str, int, object]] = []

        def check(way: str, number: int, answer: object) -> None:
            if str(answer) != str(number):
                wrong.append((way, number, answer))

        def call(number: int) -> None:
            check("call", number, pool.call(f"answer({number})"))

        def submit(number: int) -> None:
            check("submit", number, pool.submit(f"answer({number})").result())

        def map_two(number: int) -> None:
            for offset, answer in enumerate(pool.map([f"answer({number + i})" for i in (0, 1)])):
                check("map", number + offset, answer)

        def use(way: Callable[[int], None]) -> None:
            for number in range(300):
                way(number)

        threads = [threading.Thread(target=use, args=(way,)) for way in (call, submit, map_two) * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong


class TestMany:
    def test_100000_pending_take_linear_time_and_under_1_kb_each(self) -> None:
        done = run_python(PENDING, timeout=100)
        assert done.stderr == ""
        found = dict(line.split() for line in done.stdout.splitlines())
        assert (found["queued"], found["right"]) == ("101000", "True")
        assert int(found["bytes"]) < 1024
        assert float(found["growth"]) < 4, "the last items took longer than the first"

    def test_a_map_of_a_million_takes_memory_for_its_answers_alone(self) -> None:
        done = run_python("""
            from processpool import ProcessPool

            def peak():
                with open("/proc/self/status") as file:
                    return int(file.read().split("VmHWM:")[1].split()[0])

            with ProcessPool.from_dict({"worker": {"kind": "python"}, "size": {"max": 2}}) as pool:
                assert sum(pool.imap(abs, range(10_000))) == sum(range(10_000))
                before = peak()
                assert sum(pool.imap(abs, range(1_000_000))) == sum(range(1_000_000))
                print("KiB", peak() - before)
        """)
        assert done.stderr == ""
        assert int(done.stdout.split()[1]) < 50_000

    def test_nothing_grows_with_the_number_of_workers(self) -> None:
        few, many = (min(_time_scheduling(size) for _ in range(3)) for size in (10, 1000))
        assert many < 4 * few

    @pytest.mark.parametrize("kind", ["command", "python"])
    def test_64_workers_all_work(
        self,
        make_pool: Callable[..., ProcessPool],
        python_pool: Callable[..., ProcessPool],
        gate: Gate,
        kind: str,
    ) -> None:
        path = str(gate.path)
        if kind == "command":
            pool = make_pool(size=64)
            futures = [pool.submit(f"wait({path!r}); answer(os.getpid())") for _ in range(64)]
        else:
            pool = python_pool(64)
            futures = [pool.submit(functions.wait_at, path) for _ in range(64)]
        eventually(lambda: pool.num_running == 64, within=60)
        gate.open_until(lambda: all(future.done() for future in futures))
        assert {future.record.pid for future in futures if future.record} == set(pids(pool))
        assert len(pids(pool)) == 64
        if kind == "python":
            assert pool.map(functions.inc, range(5000)) == list(range(1, 5001))
        else:
            messages = [f"answer({n})" for n in range(2000)]
            assert pool.map(messages) == [str(n) for n in range(2000)]

    def test_a_full_queue_is_an_error_with_the_pools_name_and_the_limit(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool(name="mine", queue={"max_pending": 3, "when_full": "raise"})
        pool.pause()
        futures = [pool.submit(functions.inc, n) for n in range(3)]
        for use in (pool.submit, pool.call):
            with pytest.raises(QueueFull, match=r"'mine'.* queue\.max_pending is 3"):
                use(functions.inc, 3)
        pool.resume()
        assert [future.result() for future in futures] == [1, 2, 3]

    def test_one_waits_for_a_worker_for_a_time(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool(name="mine")
        with (
            pool.lease(),
            pytest.raises(PoolExhausted, match=r"'mine'.* size\.max \(1\)"),
        ):
            pool.lease(timeout=0.05)


def _time_scheduling(workers: int) -> float:
    """Seconds of this thread that the scheduler takes for 2000 items, nearly all workers busy."""
    scheduler = Bench(min=workers, max=workers).scheduler
    for spawn in iter(partial(scheduler.spawn, 0.0), []):
        assert type(spawn[0]) is Spawn
        scheduler.ready(spawn[0].worker, 0.0)
    job = NotedJob("a", timeout=60.0)
    for n in range(workers - 5):
        scheduler.submit(Batch(job, n, [n], 0.0), 0.0)
    began = time.thread_time()
    for n in range(2000):
        commands = scheduler.submit(Batch(job, n, [n], 0.0), 0.0)
        (number,) = [command.worker for command in commands if isinstance(command, Send)]
        scheduler.answered(number, 1, 0.0, 0)
    return time.thread_time() - began


@pytest.mark.parametrize("kind", ["command", "python"])
def test_50_cycles_and_20_with_a_crash_leave_nothing(kind: str) -> None:
    worker: dict[str, Any] = {"kind": kind}
    if kind == "command":
        worker["command"] = PUPPET
    good, bad = {
        "command": (("answer(2)",), ("die()",)),
        "python": ((functions.inc, 1), (functions.end, "SIGKILL")),
    }[kind]
    before, memory = set[str](), 0
    for number in range(55):
        with ProcessPool.from_dict({"worker": worker, "size": {"max": 1}}) as pool:
            if number % 5 < 2:
                with pytest.raises(WorkerDied):
                    pool.call(*bad)
            else:
                assert int(pool.call(*good)) == 2
        if number == 4:  # whatever is made once is there now
            gc.collect()
            before, memory = _possessions(), _memory()
    gc.collect()
    eventually(lambda: not _possessions() - before, f"left behind: {_possessions() - before}")
    maps = Path("/proc/self/maps").read_text()
    assert "memfd:processpool" not in maps
    assert _memory() - memory < 20 << 20


def _memory() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
