"""`limits`: what the system allows each worker from its beginning, and what it says of it."""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from processpool import WorkerDied, WorkerStartFailed
from processpool.system.limits import Limits
from processpool.system.process import Command, Process
from tests.process.support import await_exit, run_python

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from processpool import ProcessPool

MIB = 1 << 20


def allocate(size: int) -> int:
    return len(bytearray(size))


def burn() -> None:
    while True:
        pass


def burn_on() -> None:
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    burn()


def limits() -> dict[str, tuple[int, int]]:
    names = ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_NOFILE")
    return {name: resource.getrlimit(getattr(resource, name)) for name in names}


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, 0)


def open_many(count: int) -> int:
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(count)]
    for fd in files:
        os.close(fd)
    return count


def test_memory_is_a_memory_error_and_the_worker_stays(
    python_pool: Callable[..., ProcessPool],
) -> None:
    pool = python_pool(1, limits={"memory": "512MiB"})
    pid = pool.call(os.getpid)

    with pytest.raises(MemoryError):
        pool.call(allocate, 1024 * MIB)

    assert pool.call(allocate, 64 * MIB) == 64 * MIB
    assert pool.call(os.getpid) == pid


def test_cpu_time_ends_a_worker_and_the_error_names_the_limit(
    python_pool: Callable[..., ProcessPool],
) -> None:
    pool = python_pool(1, limits={"cpu_time": "1s"})

    with pytest.raises(WorkerDied, match=r"killed by SIGXCPU: limits\.cpu_time 1s; ") as caught:
        pool.submit(burn).result()

    assert caught.value.exitcode == -24
    assert pool.call(allocate, 1) == 1


def test_cpu_time_ends_a_worker_that_ignores_it_and_the_error_names_the_limit(
    python_pool: Callable[..., ProcessPool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("processpool.system.limits.CPU_GRACE", 1)
    pool = python_pool(1, limits={"cpu_time": "1s"})

    expected = r"killed by SIGKILL: limits\.cpu_time 1s; it had not answered; its command"
    with pytest.raises(WorkerDied, match=expected) as caught:
        pool.submit(burn_on).result()

    assert caught.value.exitcode == -9


def test_cpu_time_ends_a_worker_that_is_not_ready_yet(
    make_pool: Callable[..., ProcessPool],
) -> None:
    command = ["sh", "-c", "while :; do :; done"]
    pool = make_pool(command, opened=False, limits={"cpu_time": 1})

    expected = r"was killed by SIGXCPU \(limits\.cpu_time 1s\) before it was ready; its command: sh"
    with pytest.raises(WorkerStartFailed, match=expected):
        pool.open()


@pytest.mark.parametrize(
    ("exitcode", "cpu_seconds", "cause"),
    [
        (-signal.SIGXCPU, None, "limits.cpu_time 10m"),
        (-signal.SIGXCPU, 1.0, "limits.cpu_time 10m"),
        (-signal.SIGKILL, 605.0, "limits.cpu_time 10m"),
        (-signal.SIGKILL, 604.0, "limits.cpu_time 10m"),
        (-signal.SIGKILL, 599.0, None),
        (-signal.SIGKILL, None, None),
        (-signal.SIGTERM, 605.0, None),
        (1, 605.0, None),
    ],
)
def test_what_is_known_of_the_cause(
    exitcode: int, cpu_seconds: float | None, cause: str | None
) -> None:
    assert Limits(cpu_time=600).cause(exitcode, cpu_seconds) == cause
    assert Limits().cause(exitcode, cpu_seconds) is None


def test_a_memory_limit_is_told_to_the_byte() -> None:
    cause = Limits(memory=1234567).cause(-signal.SIGSEGV, None)
    assert cause == "perhaps limits.memory 1234567B"


def test_a_crash_for_lack_of_memory_names_the_limit(
    python_pool: Callable[..., ProcessPool],
) -> None:
    pool = python_pool(1, opened=False, limits={"memory": "4KiB"})
    expected = r"was killed by SIGSEGV \(perhaps limits\.memory 4KiB\) before it was ready"
    with pytest.raises(WorkerStartFailed, match=expected):
        pool.open()


def test_cpu_time_of_a_command(make_pool: Callable[..., ProcessPool]) -> None:
    pool = make_pool(limits={"cpu_time": 1})

    with pytest.raises(WorkerDied, match=r"SIGXCPU: limits\.cpu_time 1s"):
        pool.call("while True: pass")

    assert pool.call("answer('well')") == "well"


def test_open_files(python_pool: Callable[..., ProcessPool]) -> None:
    pool = python_pool(1, limits={"open_files": 200})

    assert pool.call(open_many, 150) == 150
    with pytest.raises(OSError, match="Too many open files"):
        pool.call(open_many, 250)


def test_nice_is_added_to_ours(python_pool: Callable[..., ProcessPool]) -> None:
    pool = python_pool(1, limits={"nice": 5})

    assert pool.call(niceness) == niceness() + 5


def test_all_of_them_hold_from_the_first_item(python_pool: Callable[..., ProcessPool]) -> None:
    declared = {"memory": "1GiB", "cpu_time": "10m", "open_files": 300}
    pool = python_pool(1, limits=declared)

    found = pool.call(limits)

    assert found["RLIMIT_AS"] == (1024 * MIB, 1024 * MIB)
    assert found["RLIMIT_CPU"][0] == 600
    assert found["RLIMIT_NOFILE"] == (300, 300)


def test_without_limits_they_are_ours(python_pool: Callable[..., ProcessPool]) -> None:
    assert python_pool(1).call(limits) == limits()


def test_a_limit_that_no_interpreter_can_start_under_says_so(
    python_pool: Callable[..., ProcessPool],
) -> None:
    pool = python_pool(1, opened=False, limits={"memory": "1MiB"})

    with pytest.raises(WorkerStartFailed, match=r"before it was ready"):
        pool.open()


class TestTheyHoldFromTheBeginning:
    """The program can do nothing without them, however late this process gets to run."""

    ASKS = ("sh", "-c", "ulimit -n; ulimit -v; ulimit -t; ulimit -Ht; nice; cat /proc/$$/cmdline")
    ALL = Limits(memory=1024 * MIB, cpu_time=60, open_files=100, nice=3)

    @pytest.fixture
    def _late(self) -> Iterator[None]:
        """A thread that computes, and gives way to others every now and then only."""
        ended = threading.Event()

        def compute() -> None:
            while not ended.is_set():
                pass

        before = sys.getswitchinterval()
        sys.setswitchinterval(0.1)
        thread = threading.Thread(target=compute)
        thread.start()
        yield
        ended.set()
        thread.join()
        sys.setswitchinterval(before)

    @pytest.mark.usefixtures("_late")
    def test_all_of_them(self, tmp_path: Path) -> None:
        said = self._run(tmp_path, self.ALL).split("\n")
        nice = str(min(niceness() + 3, 19))
        assert said[:5] == ["100", str(1024 * 1024), "60", "65", nice]
        assert said[5].split("\0") == [*self.ASKS, ""], "its arguments are its own"

    def test_niceness_alone(self, tmp_path: Path) -> None:
        said = self._run(tmp_path, Limits(nice=2)).split("\n")
        assert said[0] == str(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        assert said[4] == str(min(niceness() + 2, 19))

    def _run(self, folder: Path, limits: Limits) -> str:
        command = Command(self.ASKS, str(folder), {"PATH": "/usr/bin:/bin"})
        process = Process(command, limits=limits)
        await_exit(process.pid)
        said = os.read(process.stdout, 4096).decode()
        process.reap()
        process.close()
        return said


def test_they_are_set_where_the_programs_for_that_are_not_installed(
    python_pool: Callable[..., ProcessPool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.defpath", "/nowhere")
    pool = python_pool(1, limits={"open_files": 300, "nice": 5})

    assert pool.call(limits)["RLIMIT_NOFILE"] == (300, 300)
    assert pool.call(niceness) == min(niceness() + 5, 19)


def test_what_ended_a_process_is_not_taken_for_a_limit(tmp_path: Path) -> None:
    process = Process(Command(("cat",), str(tmp_path), {}), limits=Limits(cpu_time=60))
    assert process.limit_reached is None
    process.signal(signal.SIGKILL)
    assert process.reap() == -signal.SIGKILL
    assert process.limit_reached is None
    process.close()


def test_what_the_user_may_not_set_keeps_the_workers_from_starting() -> None:
    done = run_python(
        """
        import os
        from processpool import ProcessPool, WorkerStartFailed

        declared = {
            "worker": {"kind": "command", "command": ["cat"], "protocol": "lines", "cwd": "/"},
            "size": {"min": 1, "max": 1},
        }
        with ProcessPool.from_dict(declared) as warm:
            warm.call("works")
        if os.geteuid() == 0:  # who may do it
            import ctypes
            os.setresgid(54321, 54321, 54321)
            os.setresuid(54321, 54321, 54321)
            ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # it may look at itself all the same
        before = os.getpriority(os.PRIO_PROCESS, 0)
        try:
            ProcessPool.from_dict({**declared, "limits": {"nice": -5, "memory": "1GiB"}}).open()
        except WorkerStartFailed as error:
            print(error)
        assert os.getpriority(os.PRIO_PROCESS, 0) == before
        with ProcessPool.from_dict({**declared, "limits": {"nice": 5, "memory": "1GiB"}}) as pool:
            print(pool.call("may give way"))
        """
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "cannot set the worker's limits: [Errno 13] Permission denied; see `limits`\nmay give way\n"
    )
