"""A worker dies: it costs the item that it had, the error says what happened, the pool goes on.

What is tested elsewhere:
- an item that raises SystemExit, KeyboardInterrupt or GeneratorExit → test_pickling_and_exceptions
- a lease is never given the dead → tests.process.test_lease
- a grandchild holds the pipes while the pool is closed → tests.process.test_close; it floods
  stderr → test_streams_and_the_protocol
"""

from __future__ import annotations

import functools
import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from processpool import ProcessPool, RequestTimeout, WorkerDied
from tests.process.support import (
    WAYS,
    Gate,
    ask,
    await_exit,
    eventually,
    is_gone,
    pids,
    slowness,
    states,
)
from tests.process.workers import functions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PIPELINE = {"worker": {"protocol": {"kind": "framed", "pipeline": 8}}}


def busy_pids(pool: ProcessPool) -> set[int]:
    """The processes of the workers that have an item."""
    workers = pool.snapshot(resources=False).workers
    return {worker.pid for worker in workers if worker.state == "busy" and worker.pid is not None}


def noted(path: Path, word: object) -> str:
    """Code that leaves a word in a file."""
    return f"open({str(path)!r}, 'a').write('{word}\\n'); "


def by_map(pool: ProcessPool, function: Any, items: list[int]) -> list[Any]:
    return pool.map(function, items, on_error="return")


def by_imap(pool: ProcessPool, function: Any, items: list[int]) -> list[Any]:
    return list(pool.imap(function, iter(items), on_error="return"))


def by_imap_unordered(pool: ProcessPool, function: Any, items: list[int]) -> list[Any]:
    records = list(pool.imap_unordered(function, items, on_error="return", details=True))
    records.sort(key=lambda record: record.index)
    assert [record.index for record in records] == list(range(len(items)))
    return [record.value if record.ok else record.error for record in records]


def by_submit(pool: ProcessPool, function: Any, items: list[int]) -> list[Any]:
    futures = [pool.submit(function, item) for item in items]
    return [future.exception() or future.result() for future in futures]


def by_call(pool: ProcessPool, function: Any, items: list[int]) -> list[Any]:
    answers: list[Any] = []
    for item in items:
        try:
            answers.append(pool.call(function, item))
        except WorkerDied as error:
            answers.append(error)
    return answers


PYTHON_WAYS = [by_map, by_imap, by_imap_unordered, by_submit, by_call]
"""The ways of a pool that takes functions, for many items."""


def counted(path: Path) -> Counter[int]:
    """How often each number was noted."""
    return Counter(map(int, path.read_text().split())) if path.exists() else Counter()


def check(answers: list[Any], items: Iterable[int], path: Path) -> list[int]:
    """Everything ended once, right, and ran at most once; gives the items that were lost."""
    lost = []
    ran = counted(path)
    assert not [n for n, times in ran.items() if times > 1], "some ran twice"
    for n, answer in zip(items, answers, strict=True):
        if isinstance(answer, WorkerDied):
            lost.append(n)
        else:
            assert int(answer) == n * n
            assert ran[n] == 1
    return lost


class TestInTheMiddleOfAnItem:
    def test_sigkill_in_the_middle_of_an_item_costs_that_item_alone(
        self, make: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        pool = make(2)
        ran = tmp_path / "ran"
        mine, others = Gate(tmp_path, "mine"), Gate(tmp_path, "others")
        seconds = []
        for n in range(3):
            victim = pool.submit(noted(ran, f"victim {n}") + f"wait({str(mine.path)!r})")
            mine.await_arrival()
            (pid,) = busy_pids(pool)
            other = pool.submit(f"wait({str(others.path)!r}); answer('other')")
            others.await_arrival()
            queued = [pool.submit(noted(ran, f"{n} {k}") + f"answer({k})") for k in range(3)]
            killed_at = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            error = victim.exception(30)
            seconds.append(time.monotonic() - killed_at)
            assert isinstance(error, WorkerDied)
            assert f"(pid {pid}) was killed by SIGKILL before it answered" in str(error)
            assert (error.pid, error.exitcode) == (pid, -signal.SIGKILL)
            others.open()
            assert other.result(30) == "other"
            assert [future.result(30) for future in queued] == ["0", "1", "2"]
            mine.close()
            eventually(lambda: states(pool) == ["idle"] * 2)
            assert pid not in pids(pool)
        assert min(seconds) < slowness(), "it waited for a timer"
        expected = [f"victim {n}" for n in range(3)] + [f"{n} {k}" for n in range(3) for k in "012"]
        assert sorted(ran.read_text().splitlines()) == sorted(expected)

    @pytest.mark.parametrize(
        ("end", "exitcode", "words"),
        [
            ("die()", -9, r"was killed by SIGKILL before it answered \(out of memory\?\)"),
            ("die(signal.SIGTERM)", -15, "was killed by SIGTERM before it answered"),
            ("die(signal.SIGSEGV)", -11, "was killed by SIGSEGV before it answered"),
            ("os.abort()", -6, "was killed by SIGABRT before it answered"),
            ("os._exit(0)", 0, "exited with status 0 before it answered"),
            ("os._exit(3)", 3, "exited with status 3 before it answered"),
        ],
    )
    def test_a_clean_exit_or_a_signal_is_the_items_error_and_never_a_success(
        self, make: Callable[..., ProcessPool], kind: str, end: str, exitcode: int, words: str
    ) -> None:
        pool = make()
        for number, way in enumerate(WAYS, 1):
            pid = int(ask(pool, way, "answer(os.getpid())"))
            said = rf"^worker {number} \(pid {pid}\) {words}"
            with pytest.raises(WorkerDied, match=said) as caught:
                ask(pool, way, f"err('last words\\n'); {end}")
            error = caught.value
            assert (error.pid, error.exitcode) == (pid, exitcode)
            assert error.stderr.startswith("last words")
            assert "its command: " in str(error)
            told_by_python = kind != "foreign" and exitcode in (-signal.SIGSEGV, -signal.SIGABRT)
            assert told_by_python or str(error).endswith("  | last words")
            assert error.record is not None
            assert error.record.error is error
            assert error.record.stderr.startswith("last words")
        assert pool.call("answer('next')") == "next"

    @pytest.mark.parametrize("kind", ["foreign"])
    @pytest.mark.parametrize(("end", "exitcode"), [("sys.exit(3)", 3), ("raise ValueError", 1)])
    def test_an_exception_that_ends_a_foreign_program(
        self, make: Callable[..., ProcessPool], way: str, end: str, exitcode: int
    ) -> None:
        pool = make()
        with pytest.raises(WorkerDied, match=f"exited with status {exitcode} before") as caught:
            ask(pool, way, f"err('last words\\n'); {end}")
        assert caught.value.exitcode == exitcode
        assert "puppet.py" in str(caught.value)
        assert ask(pool, way, "answer('next')") == "next"

    @pytest.mark.parametrize("kind", ["serve", "python"])
    @pytest.mark.parametrize(
        ("end", "says"),
        [
            ("die(signal.SIGSEGV)", "Fatal Python error: Segmentation fault"),
            ("import ctypes; ctypes.string_at(0)", "Fatal Python error: Segmentation fault"),
            ("os.abort()", "Fatal Python error: Aborted"),
        ],
    )
    def test_a_segfault_or_an_abort_comes_with_the_text_of_faulthandler(
        self, make: Callable[..., ProcessPool], end: str, says: str
    ) -> None:
        """However deep in the item it is: what happened and where is never what is cut off."""
        pool = make()
        deep = f"def inmost(): {end}\ndef fall(n): fall(n - 1) if n else inmost()\nfall(70)"
        for way in WAYS:
            with pytest.raises(WorkerDied, match=r"was killed by SIG(SEGV|ABRT)") as caught:
                ask(pool, way, f"err('before\\n')\n{deep}")
            assert f"  | {says}" in str(caught.value)
            assert '  |   File "<string>", line 2 in inmost' in str(caught.value)
            assert "in inmost" in caught.value.stderr
            assert "most recent call first" in caught.value.stderr
        assert pool.call("answer('next')") == "next"

    def test_the_very_first_item_of_each_worker(self, make: Callable[..., ProcessPool]) -> None:
        pool = make()
        for way in WAYS:
            with pytest.raises(WorkerDied, match="exited with status 5"):
                ask(pool, way, "os._exit(5)")
        assert pool.call("answer('next')") == "next"

    @pytest.mark.parametrize(
        ("way", "how"),
        [
            *((way, "SIGKILL") for way in PYTHON_WAYS),
            *((by_map, how) for how in ("exit", "clean exit", "abort", "segfault")),
            *((by_submit, how) for how in ("exit", "clean exit", "segfault")),
        ],
    )
    def test_of_many_items_exactly_those_are_lost(
        self, python_pool: Callable[..., ProcessPool], tmp_path: Path, way: Any, how: str
    ) -> None:
        pool = python_pool(2)
        pool.wait_ready()
        path = tmp_path / "log"
        items = list(range(120))
        function = functools.partial(functions.count_and_end, str(path), every=40, how=how)
        assert check(way(pool, function, items), items, path) == [39, 79, 119]
        assert sorted(counted(path)) == items
        assert pool.call(functions.inc, 1) == 2

    def test_fast_items_before_a_crash_are_delivered(
        self, python_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        """What was computed and not yet sent survives the worker."""
        pool = python_pool()
        path = tmp_path / "log"
        function = functools.partial(functions.count_and_end, str(path), every=5000, how="SIGKILL")
        items = list(range(20_000))
        lost = check(by_map(pool, function, items), items, path)
        assert lost == [4999, 9999, 14999, 19999]

    def test_a_crash_ends_a_map_that_raises(
        self, python_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        pool = python_pool(2)
        path = tmp_path / "log"
        function = functools.partial(functions.count_and_end, str(path), every=100, how="exit")
        with pytest.raises(WorkerDied) as caught:
            pool.map(function, range(1_000_000))
        assert caught.value.record is not None
        assert caught.value.record.index % 100 == 99
        pool.drain(30)
        assert len(counted(path)) < 500_000

    @pytest.mark.parametrize("kind", ["foreign", "serve"])
    def test_what_lies_behind_it_in_a_pipeline_runs_once_and_elsewhere(
        self, make: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        pool = make(**PIPELINE)
        ran = tmp_path / "ran"
        futures = [pool.submit(noted(ran, "first") + "time.sleep(60)")]
        eventually(lambda: ran.exists() and ran.read_text())
        futures += [pool.submit(noted(ran, n) + f"answer({n})") for n in range(3)]
        os.kill(pids(pool)[0], signal.SIGKILL)
        assert isinstance(futures[0].exception(30), WorkerDied)
        assert [future.result(30) for future in futures[1:]] == ["0", "1", "2"]
        assert ran.read_text().split() == ["first", "0", "1", "2"]

    @pytest.mark.parametrize("kind", ["foreign", "serve"])
    def test_one_of_a_full_pipeline(self, make: Callable[..., ProcessPool]) -> None:
        pool = make(**PIPELINE)
        got = pool.map(
            [f"answer({n})" if n != 5 else "die()" for n in range(16)], on_error="return"
        )
        assert [n for n, value in enumerate(got) if isinstance(value, Exception)] == [5]


class TestWhileIdle:
    def test_it_is_noticed_and_the_next_item_simply_works(
        self, make: Callable[..., ProcessPool]
    ) -> None:
        pool = make()
        for way in WAYS * 2:
            victim = pids(pool)[0]
            os.kill(victim, signal.SIGKILL)
            await_exit(victim)
            assert ask(pool, way, "answer(os.getpid())") != str(victim)

    def test_after_a_call_which_keeps_its_worker(self, make: Callable[..., ProcessPool]) -> None:
        pool = make()
        for _ in range(3):
            victim = int(pool.call("answer(os.getpid())"))
            os.kill(victim, signal.SIGKILL)
            await_exit(victim)
            assert pool.submit("answer('next')").result(30) == "next"

    def test_at_the_moment_of_the_next_item(self, python_pool: Callable[..., ProcessPool]) -> None:
        """A Python worker notes what it begins, so that not even then anything is lost."""
        pool = python_pool()
        for _ in range(10):
            pid = pool.call(functions.pid)
            os.kill(pid, signal.SIGKILL)
            assert pool.call(functions.pid) != pid
        for _ in range(10):
            (pid,) = pool.map(functions.pid, [1])
            os.kill(pid, signal.SIGKILL)
            assert pool.map(functions.pid, [1]) != [pid]

    def test_the_dead_are_replaced_without_being_asked(
        self, make: Callable[..., ProcessPool]
    ) -> None:
        pool = make(3)
        before = set(pids(pool))
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: states(pool) == ["idle"] * 3 and not before & set(pids(pool)))


class TestSeveralAtOnce:
    def test_every_future_ends_and_no_lock_is_left_held(
        self, make: Callable[..., ProcessPool], gate: Gate, tmp_path: Path
    ) -> None:
        pool = make(4)
        ran = tmp_path / "ran"
        wait = f"wait({str(gate.path)!r}); "
        futures = [pool.submit(noted(ran, n) + wait + f"answer({n})") for n in range(12)]
        eventually(lambda: ran.exists() and len(ran.read_text().split()) == 4)
        for pid in pids(pool):
            os.kill(pid, signal.SIGKILL)
        ended = [future.exception(30) for future in futures[:4]]
        assert [type(error) for error in ended] == [WorkerDied] * 4
        gate.open_until(lambda: all(future.done() for future in futures))
        assert [future.result() for future in futures[4:]] == [str(n) for n in range(4, 12)]
        assert sorted(map(int, ran.read_text().split())) == list(range(12))
        for way in WAYS:
            assert ask(pool, way, "answer('free')") == "free"
        eventually(lambda: states(pool) == ["idle"] * 4)
        pool.resize(max=5)
        pool.close()
        assert pool.state == "closed"

    def test_in_the_middle_of_large_answers(self, make: Callable[..., ProcessPool]) -> None:
        pool = make(3)
        chance = random.Random(5)
        for _ in range(3):
            eventually(lambda: states(pool) == ["idle"] * 3)
            futures = [pool.submit("answer('x' * 3_000_000)") for _ in range(30)]
            eventually(lambda: pool.num_running == 3)
            for pid in chance.sample(pids(pool), 2):
                os.kill(pid, signal.SIGKILL)
            ends = [future.exception(60) for future in futures]
            assert {type(end) for end in ends} <= {type(None), WorkerDied}
            assert sum(end is not None for end in ends) <= 2
            assert {len(f.result()) for f in futures if not f.exception()} == {3_000_000}
        eventually(lambda: states(pool) == ["idle"] * 3)


class TestStorm:
    """Kills at any moment, from outside."""

    KILLS = 200
    ITEMS = 20_000

    @pytest.mark.parametrize("kind", ["foreign", "python"])
    def test_200_random_kills_over_20_000_items_cost_at_most_one_item_each(
        self, make: Callable[..., ProcessPool], kind: str, tmp_path: Path
    ) -> None:
        pool = make(4, **(PIPELINE if kind == "foreign" else {}))
        path = tmp_path / "log"
        flags = "os.O_WRONLY | os.O_APPEND | os.O_CREAT"
        journal = f"J = globals().get('J') or os.open({str(path)!r}, {flags}); "
        every = self.ITEMS // self.KILLS
        drawn = 0
        killed: list[int] = []
        news = threading.Condition()
        chance = random.Random(7)

        def items() -> Iterator[str]:
            nonlocal drawn
            for n in range(self.ITEMS):
                with news:
                    drawn = n
                    if not n % every:
                        news.notify_all()
                        while len(killed) < n // every - 3:
                            assert news.wait(60)
                yield journal + f"os.write(J, b'{n}\\n'); answer({n * n})"

        def storm() -> None:
            for k in range(self.KILLS):
                with news:
                    while drawn < k * every:
                        assert news.wait(60)
                victim = eventually(lambda: [pid for pid in pids(pool) if pid not in killed])
                pid = chance.choice(victim)
                os.kill(pid, signal.SIGKILL)
                with news:
                    killed.append(pid)
                    news.notify_all()

        killer = threading.Thread(target=storm)
        killer.start()
        answers = pool.map(items(), on_error="return")
        killer.join()
        numbers = range(self.ITEMS)
        lost = check(answers, numbers, path)
        succeeded = [answer for answer in answers if not isinstance(answer, Exception)]
        assert len(killed) == self.KILLS
        assert len(succeeded) + len(lost) == len(answers) == self.ITEMS
        culprits = Counter(answers[n].pid for n in lost)
        assert set(culprits) <= set(killed)
        assert max(culprits.values(), default=1) == 1
        assert set(counted(path)) <= set(numbers)
        eventually(lambda: states(pool) == ["idle"] * 4 and not set(killed) & set(pids(pool)))
        assert pool.map(["answer(1)"] * 9) == ["1"] * 9

    @pytest.mark.parametrize("way", PYTHON_WAYS)
    def test_some(self, python_pool: Callable[..., ProcessPool], tmp_path: Path, way: Any) -> None:
        self._storm(python_pool(2), tmp_path / "log", way, items=3000, kills=12, seed=1)

    @pytest.mark.slow
    @pytest.mark.parametrize("way", PYTHON_WAYS)
    def test_thousands(
        self, python_pool: Callable[..., ProcessPool], tmp_path: Path, way: Any
    ) -> None:
        pool = python_pool(3, restart={"max_failures": 1000, "within": "1s"})
        for seed in range(10):
            self._storm(pool, tmp_path / f"log{seed}", way, items=20_000, kills=60, seed=seed)

    def _storm(
        self, pool: ProcessPool, path: Path, way: Any, *, items: int, kills: int, seed: int
    ) -> None:
        chance = random.Random(seed)
        over = threading.Event()
        killed: set[int] = set()

        def kill() -> None:
            while len(killed) < kills and not over.wait(chance.expovariate(100)):
                alive = [pid for pid in pids(pool) if pid not in killed]
                if alive:
                    victim = chance.choice(alive)
                    killed.add(victim)
                    os.kill(victim, signal.SIGKILL)

        pool.wait_ready()
        killer = threading.Thread(target=kill)
        killer.start()
        numbers = list(range(items))
        function = functools.partial(functions.count_slowly, str(path))
        try:
            answers = way(pool, function, numbers)
        finally:
            over.set()
            killer.join()
        lost = check(answers, numbers, path)
        assert len(lost) <= len(killed)
        for n in lost:
            assert answers[n].record.pid in killed
        eventually(lambda: len(pids(pool)) == pool.config.size.min)
        assert way(pool, functions.inc, [1, 2]) == [2, 3]


@pytest.fixture
def confine() -> Iterator[Callable[[int], object]]:
    """Puts a process into a control group with little memory, where this user may make one."""
    root = Path("/sys/fs/cgroup")
    first = (root / "memory").is_dir()
    group = (root / "memory" if first else root) / f"processpool-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made: {error}")
    try:
        try:
            (group / ("memory.limit_in_bytes" if first else "memory.max")).write_text("64M")
        except OSError as error:
            pytest.skip(f"memory cannot be limited: {error}")
        yield lambda pid: (group / "cgroup.procs").write_text(str(pid))
    finally:
        eventually(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()


class TestOutOfMemory:
    @pytest.mark.parametrize("kind", ["foreign", "python"])
    def test_killed_by_the_kernel(
        self, make: Callable[..., ProcessPool], confine: Callable[[int], object]
    ) -> None:
        pool = make()
        (pid,) = pids(pool)
        confine(pid)
        future = pool.submit("hoard = [b'x' * (1 << 20) for _ in range(1000)]")
        with pytest.raises(WorkerDied, match=rf"pid {pid}\) was killed by SIGKILL") as caught:
            future.result(60)
        assert "out of memory" in str(caught.value)
        assert pool.call("answer('next')") == "next"

    def test_a_sigkill_from_outside_is_hinted_to_be_the_kernels(
        self, make: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = make()
        future = pool.submit(f"wait({str(gate.path)!r})")
        gate.await_arrival()
        os.kill(pids(pool)[0], signal.SIGKILL)
        assert "was killed by SIGKILL before it answered (out of memory?)" in str(
            future.exception(30)
        )

    def test_a_kill_of_the_pools_own_is_not(self, make: Callable[..., ProcessPool]) -> None:
        pool = make(timeouts={"request": 0.5})
        with pytest.raises(RequestTimeout) as caught:
            pool.submit("time.sleep(60)").result(30)
        assert "memory" not in str(caught.value)

    @pytest.mark.parametrize("kind", ["python"])
    def test_a_memory_error_is_only_an_exception(
        self, make: Callable[..., ProcessPool], way: str
    ) -> None:
        pool = make(limits={"memory": "4GiB"})
        (pid,) = pids(pool)
        with pytest.raises(MemoryError):
            ask(pool, way, "bytearray(1 << 36)")
        assert ask(pool, way, "answer(os.getpid())") == str(pid)


class TestAGrandchildHoldsThePipesOpen:
    @pytest.mark.parametrize("way", ["call", "submit"])
    def test_death_is_taken_from_the_process_and_close_does_not_wait(
        self, make: Callable[..., ProcessPool], tmp_path: Path, way: str
    ) -> None:
        pool = make()
        path = tmp_path / "child"
        leave_a_child = (
            "if not os.fork():\n"
            "    os.setsid()\n"
            f"    with open({str(path)!r}, 'w') as file:\n"
            "        file.write(f'{os.getpid()}\\n')\n"
            "    time.sleep(1000)\n"
            f"while not (os.path.exists({str(path)!r}) and open({str(path)!r}).read()):\n"
            "    time.sleep(0.001)\n"
            "os._exit(4)"
        )
        try:
            with pytest.raises(WorkerDied, match="exited with status 4"):
                ask(pool, way, leave_a_child, timeout=10)
            assert ask(pool, way, "answer('next')") == "next"
            pool.close()
            assert not is_gone(int(path.read_text())), "it still holds the pipes"
        finally:
            os.kill(int(path.read_text()), signal.SIGKILL)
        await_exit(int(path.read_text()))

    def test_one_in_the_workers_group_goes_with_it(
        self, make: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        pool = make()
        path = tmp_path / "child"
        code = (
            "child = os.spawnlp(os.P_NOWAIT, 'sleep', 'sleep', '1000'); "
            f"open({str(path)!r}, 'w').write(str(child)); os._exit(4)"
        )
        with pytest.raises(WorkerDied, match="exited with status 4"):
            pool.submit(code).result(30)
        await_exit(int(path.read_text()))
        assert pool.call("answer('next')") == "next"
