"""Functions that do everything wrong: a clear error for that item, and the pool is well afterwards.

Of most kinds there is more → `test_pickling_and_exceptions`. Generators as results →
tests.process.test_python_forms; what items do to their streams → tests.process.test_python_output.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from processpool import ProcessPool, ProtocolError, RemoteError, RequestTimeout, WorkerDied
from tests.process.support import await_exit, eventually, is_gone, pids
from tests.process.workers import functions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIMIT = 1.0
"""Seconds that an item may take, where nothing else ends it."""


class Hostility(NamedTuple):
    """A function with its argument; the error, what it says, and whether the worker stays."""

    function: Callable[[Any], Any]
    argument: Any
    error: type[BaseException]
    says: str = ""
    stays: bool = True


class Exits(Exception):
    """An exception that cannot be pickled: it tries to exit instead."""

    def __reduce__(self) -> Any:
        sys.exit("no pickling")


class Speechless(Exception):
    """One that has nothing to say, whoever asks."""

    def __str__(self) -> str:
        raise SystemExit

    def __repr__(self) -> str:
        raise KeyboardInterrupt


class Untouchable(Exception):
    """One that lets nobody look at it."""

    def __getattribute__(self, name: str) -> Any:
        raise SystemExit(7)


class Uncaused(Exception):
    """One that has no cause, and says so loudly."""

    @property
    def __cause__(self) -> None:  # type: ignore[override]
        raise KeyboardInterrupt


class TwoArguments(Exception):
    """One that fails on unpickling, as everybody writes it once."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class NeverPickled:
    def __reduce__(self) -> Any:
        time.sleep(600)


class NeverUnpickled:
    def __reduce__(self) -> Any:
        return time.sleep, (600,)


class EndsWhenItGoes:
    def __del__(self) -> None:
        os._exit(8)


def raise_(error: BaseException) -> None:
    raise error


def call(function: Callable[[], Any]) -> Any:
    return function()


def make(kind: type) -> Any:
    return kind()


def recurse(n: int) -> int:
    return recurse(n + 1) + 1


def nest(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def generate(n: int) -> Any:
    return (i for i in range(n))


def write_to_every_descriptor(data: bytes) -> None:
    for fd in range(3, 256):
        try:
            os.write(fd, data)
        except OSError:
            continue
    threading.Event().wait()  # until the pool has seen it


def close_descriptors(first: int) -> None:
    os.closerange(first, 4096)


def run_another_program(name: str) -> None:
    os.execvp(name, [name])


def leave_by_a_fork(status: int) -> None:
    if os.fork():
        os._exit(status)
    os.setsid()


def take_all_memory(size: int) -> bytearray:
    return bytearray(size)


def raise_in_a_thread(error: BaseException) -> str:
    thread = threading.Thread(target=raise_, args=(error,))
    thread.start()
    thread.join()
    return "the thread has ended"


HOSTILITIES = {
    "an argument that cannot be pickled": Hostility(
        functions.kind_of, functions.Unpicklable(), RuntimeError, "I stay here"
    ),
    "an argument that exits when pickled": Hostility(
        functions.kind_of, functions.ExitsWhenPickled(), SystemExit, "no pickling"
    ),
    "an argument that fails on unpickling": Hostility(
        functions.kind_of, functions.RaisesWhenUnpickled(), ValueError, "not here"
    ),
    "an argument that exits on unpickling": Hostility(
        functions.kind_of, functions.ExitsWhenUnpickled(), SystemExit, "5"
    ),
    "an argument that ends the worker": Hostility(
        functions.kind_of, functions.EndsWhenUnpickled(), WorkerDied, "status 5", stays=False
    ),
    "an argument that never is unpickled": Hostility(
        functions.kind_of, NeverUnpickled(), RequestTimeout, "did not answer", stays=False
    ),
    "a lock": Hostility(functions.kind_of, threading.Lock(), TypeError, "cannot pickle"),
    "a result that cannot be pickled": Hostility(
        functions.make, "Unpicklable", RuntimeError, "I stay here"
    ),
    "a result whose __reduce__ exits": Hostility(
        functions.make, "ExitsWhenPickled", SystemExit, "no pickling"
    ),
    "a result whose __reduce__ ends the worker": Hostility(
        functions.make, "EndsWhenPickled", WorkerDied, "status 6", stays=False
    ),
    "a result that never is pickled": Hostility(
        make, NeverPickled, RequestTimeout, "did not answer", stays=False
    ),
    "a result that fails on unpickling": Hostility(
        functions.make, "RaisesWhenUnpickled", ValueError, "not here"
    ),
    "a result that exits on unpickling": Hostility(
        functions.make, "ExitsWhenUnpickled", SystemExit, "5"
    ),
    "an endlessly nested result": Hostility(nest, 100_000, RecursionError),
    "a generator as the result": Hostility(generate, 3, TypeError, "generator"),
    "an exception that cannot be pickled": Hostility(raise_, Exits("mine"), SystemExit),
    "an exception that fails on unpickling": Hostility(
        call, lambda: raise_(TwoArguments(7, "mine")), TwoArguments, "mine"
    ),
    "an exception whose __reduce__ exits": Hostility(
        call, lambda: raise_(Exits("mine")), Exits, "mine"
    ),
    "an exception that says nothing": Hostility(raise_, Speechless(), Speechless),
    "an exception that cannot be touched": Hostility(
        call, lambda: raise_(Untouchable()), RemoteError, "Untouchable: "
    ),
    "an exception without a cause": Hostility(
        call, lambda: raise_(Uncaused("mine")), RemoteError, "Uncaused: "
    ),
    "recursion": Hostility(recurse, 0, RecursionError, "maximum recursion depth"),
    "SystemExit": Hostility(raise_, SystemExit(3), SystemExit, "3"),
    "sys.exit": Hostility(sys.exit, "mine", SystemExit, "mine"),
    "KeyboardInterrupt": Hostility(raise_, KeyboardInterrupt("mine"), KeyboardInterrupt, "mine"),
    "GeneratorExit": Hostility(raise_, GeneratorExit("mine"), GeneratorExit, "mine"),
    "BaseException": Hostility(raise_, BaseException("mine"), BaseException, "mine"),
    "an interrupt of its own group": Hostility(
        call, lambda: os.killpg(0, signal.SIGINT), KeyboardInterrupt
    ),
    "no exception at all": Hostility(
        raise_, "text", TypeError, "exceptions must derive from BaseException"
    ),
    "MemoryError": Hostility(take_all_memory, 1 << 60, MemoryError),
    "os._exit": Hostility(os._exit, 0, WorkerDied, "exited with status 0", stays=False),
    "an abort": Hostility(functions.end, "abort", WorkerDied, "killed by SIGABRT", stays=False),
    "a segfault": Hostility(functions.end, "segfault", WorkerDied, "SIGSEGV", stays=False),
    "SIGKILL": Hostility(functions.end, "SIGKILL", WorkerDied, "killed by SIGKILL", stays=False),
    "SIGSTOP": Hostility(functions.end, "SIGSTOP", RequestTimeout, "not answer", stays=False),
    "another program": Hostility(
        run_another_program, "true", WorkerDied, "exited with status 0", stays=False
    ),
    "a fork that goes on instead": Hostility(
        leave_by_a_fork, 9, WorkerDied, "exited with status 9", stays=False
    ),
    "every descriptor closed": Hostility(
        close_descriptors, 0, WorkerDied, "exited with status 1", stays=False
    ),
    "every other descriptor closed": Hostility(
        close_descriptors, 3, WorkerDied, "Bad file descriptor", stays=False
    ),
    "garbage in every descriptor": Hostility(
        write_to_every_descriptor,
        b"\xff" * 50,
        ProtocolError,
        r"not its own, but the pool's: b'\\xff",
        stays=False,
    ),
    "zeros in every descriptor": Hostility(
        write_to_every_descriptor, bytes(20), ProtocolError, "not its own", stays=False
    ),
    "code that holds the GIL": Hostility(
        functions.hold_gil, 1000, RequestTimeout, "did not answer", stays=False
    ),
}


@pytest.mark.parametrize("name", HOSTILITIES)
def test_a_hostility_costs_one_item(python_pool: Callable[..., ProcessPool], name: str) -> None:
    function, argument, error, says, stays = HOSTILITIES[name]
    pool = python_pool(timeouts={"request": LIMIT if error is RequestTimeout else 60})
    pid = pool.call(functions.pid)
    with pytest.raises(error, match=says or None) as caught:
        pool.call(function, argument)
    assert type(caught.value) is error
    assert (pool.call(functions.pid) == pid) is stays
    if stays and function is not generate:  # others go this way in the map of all; this one streams
        assert type(pool.submit(function, argument).exception()) is error
    assert pool.map(functions.inc, range(100)) == list(range(1, 101))


def test_all_hostilities_at_once_in_one_map(python_pool: Callable[..., ProcessPool]) -> None:
    pool = python_pool(4, timeouts={"request": 3})
    hostilities = {
        name: hostility
        for name, hostility in HOSTILITIES.items()
        if hostility.function is not write_to_every_descriptor  # spoils what others have answered
    }
    calls: list[tuple[Callable[[Any], Any], Any]] = []
    for number, hostility in enumerate(hostilities.values()):
        calls += [(functions.inc, number), (hostility.function, hostility.argument)]
    answers = pool.map(apply, *zip(*calls, strict=True), on_error="return")
    assert answers[::2] == list(range(1, len(hostilities) + 1))
    for (name, hostility), answer in zip(hostilities.items(), answers[1::2], strict=True):
        assert type(answer) is hostility.error, name
    assert pool.wait_ready(30)
    assert pool.map(functions.inc, range(100)) == list(range(1, 101))


def apply(function: Callable[[Any], Any], argument: Any) -> Any:
    return function(argument)


def test_a_returned_exception_object_is_a_value(python_pool: Callable[..., ProcessPool]) -> None:
    pool = python_pool()
    for error in (ValueError(1), SystemExit(2), KeyboardInterrupt(), StopIteration(3)):
        for value in (
            pool.call(functions.same, error),
            pool.submit(functions.same, error).result(),
            *pool.map(functions.same, [error]),
            *pool.imap(functions.same, [error]),
        ):
            assert (type(value), value.args) == (type(error), error.args)


@pytest.mark.parametrize("method", ["map", "imap", "imap_unordered"])
def test_a_stop_iteration_does_not_end_a_map_early_unseen(
    python_pool: Callable[..., ProcessPool], method: str
) -> None:
    pool = python_pool()
    errors = [StopIteration(n) if n == 5 else n for n in range(10)]
    with pytest.raises(RuntimeError) as caught:
        list(getattr(pool, method)(raise_errors, errors))
    cause: Any = caught.value.__cause__
    assert (type(cause), cause.args, cause.record.index) == (StopIteration, (5,), 5)
    answers = list(getattr(pool, method)(raise_errors, errors, on_error="return"))
    assert [type(answer) for answer in answers] == [int] * 5 + [StopIteration] + [int] * 4


def raise_errors(value: Any) -> Any:
    if isinstance(value, BaseException):
        raise value
    return value


def test_a_result_that_ends_the_worker_when_it_goes(
    python_pool: Callable[..., ProcessPool],
) -> None:
    """By then it was answered."""
    pool = python_pool()
    for _ in range(3):
        pid = pool.call(functions.pid)
        assert type(pool.call(make_and_drop, 1)) is int
        await_exit(pid)
    assert pool.map(functions.inc, range(9)) == list(range(1, 10))


def test_a_worker_that_cuts_its_memory_off_ends_nobody_else(
    python_pool: Callable[..., ProcessPool],
) -> None:
    """Whoever looks at memory that is not there any more is ended by SIGBUS."""
    pool = python_pool()
    large = b"x" * 300_000
    assert pool.call(functions.same, large) == large
    pool.call(cut_every_file_off)
    assert pool.call(functions.same, large) == large
    assert pool.map(functions.same, [large] * 5) == [large] * 5
    assert pool.map(functions.inc, range(9)) == list(range(1, 10))


def cut_every_file_off() -> None:
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            os.ftruncate(int(name), 0)


@pytest.mark.parametrize("way", ["call", "submit", "map"])
def test_one_that_blocks_all_signals_is_shown_where_it_hangs(
    python_pool: Callable[..., ProcessPool], way: str
) -> None:
    pool = python_pool(timeouts={"request": 1})
    pool.map(raise_errors, range(9), timeout=60)  # by now the workers have imported this module
    ask: dict[str, Callable[[], Any]] = {
        "call": lambda: pool.call(block_all_signals),
        "submit": lambda: pool.submit(block_all_signals).result(),
        "map": lambda: pool.map(block_all_signals, range(3)),
    }
    with pytest.raises(RequestTimeout) as caught:
        ask[way]()
    record = caught.value.record
    assert record is not None
    assert "in block_all_signals" in record.stderr
    assert record.stdout == "begun\n"


def block_all_signals(_: int = 0) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    assert signal.SIGTERM in signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
    print("begun")
    while True:
        pass


def make_and_drop(n: int) -> int:
    kept.append(EndsWhenItGoes())
    threading.Timer(0.05, kept.clear).start()
    return n


kept: list[EndsWhenItGoes] = []


@pytest.mark.parametrize("daemon", [True, False])
def test_a_thread_left_running_holds_nobody_up(
    python_pool: Callable[..., ProcessPool], daemon: bool
) -> None:
    pool = python_pool(timeouts={"exit": 0.5})
    pid = pool.call(leave_threads, daemon)
    assert pool.map(functions.inc, range(300)) == list(range(1, 301))
    assert pool.call(functions.pid) == pid
    began = time.monotonic()
    pool.close()
    assert time.monotonic() - began < 20
    assert is_gone(pid)


def leave_threads(daemon: bool) -> int:
    def spin() -> None:
        while True:
            pass

    for target in (spin, threading.Event().wait):
        threading.Thread(target=target, daemon=daemon).start()
    return os.getpid()


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), ValueError("mine")])
def test_what_a_thread_raises_is_not_the_items(
    python_pool: Callable[..., ProcessPool], error: BaseException
) -> None:
    pool = python_pool()
    future = pool.submit(raise_in_a_thread, error)
    assert future.result() == "the thread has ended"
    assert ("mine" in future.stderr) is isinstance(error, ValueError)


def test_an_item_that_starts_its_own_pool(python_pool: Callable[..., ProcessPool]) -> None:
    pool = python_pool(2)
    for *values, inner in pool.map(functions.use_pool, [3, 4]):
        assert values == list(range(1, len(values) + 1))
        eventually(lambda inner=inner: is_gone(inner))  # type: ignore[misc]


def test_an_item_that_leaves_its_own_pool_open(python_pool: Callable[..., ProcessPool]) -> None:
    pool = python_pool()
    inner = pool.call(leave_pool_open)
    assert pool.map(functions.inc, range(50)) == list(range(1, 51))
    assert not any(map(is_gone, inner))
    pool.close()
    for pid in inner:
        await_exit(pid)


def leave_pool_open() -> list[int]:
    global kept_open
    kept_open = ProcessPool.from_dict({"worker": {"kind": "python"}, "size": {"min": 2}}).open()
    kept_open.wait_ready()
    return pids(kept_open)


kept_open: ProcessPool | None = None


SPOILING = {
    "no working directory": "d = tempfile.mkdtemp(); os.chdir(d); os.rmdir(d)",
    "SIGTERM ignored": "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "stdin closed": "sys.stdin.close(); os.close(0)",
    "no environment": "os.environ.clear()",
    "an umask": "os.umask(0o777)",
    "no garbage collection": "gc.disable(); gc.freeze()",
    "no clock": "time.sleep = time.monotonic = time.monotonic_ns = time.time = None",
    "no pickle": "import pickle; pickle.dumps = pickle.loads = pickle.Pickler = None",
    "warnings as errors": "warnings.simplefilter('error')",
    "an empty __main__": "import __main__; __main__.__dict__.clear()",
    "no logging": "import logging; logging.disable(); logging.root.handlers.clear()",
    "no faulthandler": "import faulthandler; faulthandler.disable()",
    "a fork left running": "os.fork() or time.sleep(1000)",
    "no space for files": "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))",
    "little address space": "resource.setrlimit(resource.RLIMIT_AS, (200 << 20, 200 << 20))",
    "something to do at the exit": "import atexit; atexit.register(time.sleep, 1000)",
}


@pytest.mark.parametrize("name", SPOILING)
def test_an_item_that_spoils_its_process_costs_no_other(
    python_pool: Callable[..., ProcessPool], name: str
) -> None:
    modules = "import gc, os, resource, signal, sys, tempfile, time, warnings\n"
    pool = python_pool(timeouts={"exit": 0.5})
    pool.map(functions.inc, [1])
    pool.call(exec, modules + SPOILING[name])
    assert pool.map(functions.inc, range(300)) == list(range(1, 301))
    assert pool.submit(functions.same, "x" * 200_000).result() == "x" * 200_000
    assert pool.call(functions.inc, 1) == 2
    before = pids(pool)
    pool.close()
    assert all(map(is_gone, before))


@pytest.mark.parametrize(
    "source", ["import builtins; builtins.__dict__.clear()", "import os; os.write = os.read = None"]
)
def test_an_item_that_leaves_nothing_to_work_with(
    python_pool: Callable[..., ProcessPool], source: str
) -> None:
    pool = python_pool()
    (pid,) = pids(pool)
    with suppress(WorkerDied):  # it may have put its answer down before
        pool.call(exec, source)
    await_exit(pid)
    assert pool.map(functions.inc, range(30)) == list(range(1, 31))


class TestLogRecords:
    def test_of_classes_that_only_the_worker_knows(
        self,
        python_pool: Callable[..., ProcessPool],
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        (tmp_path / "only_there.py").write_text(_CLASSES)
        pool = python_pool(worker={"path": [str(tmp_path)]})
        pool.call(exec, "import only_there; only_there.log()")
        (record,) = [record for record in caplog.records if record.name == "only there"]
        found: Any = vars(record)
        values = [found[name] for name in ("levelno", "text", "number", "ratio", "thing")]
        assert values == [30, "a text", 7, 0.5, "a thing"]
        assert [type(value) for value in values] == [int, str, int, float, str]
        assert pool.map(functions.inc, range(50)) == list(range(1, 51))

    @pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), ValueError("mine")])
    def test_that_a_handler_here_cannot_bear(
        self,
        python_pool: Callable[..., ProcessPool],
        caplog: pytest.LogCaptureFixture,
        error: BaseException,
    ) -> None:
        def refuse(record: logging.LogRecord) -> bool:
            raise error

        pool = python_pool()
        logger = logging.getLogger("refused")
        logger.addFilter(refuse)
        try:
            future = pool.submit(exec, "import logging; logging.getLogger('refused').error('no')")
            assert future.result() is None
        finally:
            logger.removeFilter(refuse)
        assert "could not be handled" in caplog.text
        assert pool.map(functions.inc, range(50)) == list(range(1, 51))


_CLASSES = """
import enum, logging

class Level(enum.IntEnum):
    MINE = 30

class Text(str):
    pass

class Ratio(float):
    pass

class Thing:
    def __repr__(self):
        return "a thing"

def log():
    more = {"text": Text("a text"), "number": enum.IntEnum("N", {"X": 7}).X, "ratio": Ratio(0.5)}
    logging.getLogger("only there").log(Level.MINE, "hello", extra={**more, "thing": Thing()})
"""


class TestPrints:
    MIB = 1 << 20

    @pytest.mark.parametrize("mebibytes", [64, pytest.param(1024, marks=pytest.mark.slow)])
    @pytest.mark.parametrize("stream", [1, 2])
    def test_a_flood_is_bounded_and_belongs_to_its_item(
        self, python_pool: Callable[..., ProcessPool], stream: int, mebibytes: int
    ) -> None:
        pool = python_pool()
        flood = pool.submit(write_much, stream, mebibytes)
        after = pool.submit(write_much, stream, 0)
        assert flood.result() == after.result() == "end"
        text, own = (flood.stdout, after.stdout) if stream == 1 else (flood.stderr, after.stderr)
        assert len(text) < 20 * self.MIB
        assert text.startswith("[… ")
        assert text.endswith("\0\ufffdend")
        assert own == "end"

    def test_python_prints_never_take_more_memory_than_is_kept(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool()
        before = pool.call(shared_memory)
        future = pool.submit(print_much, 200)
        most, text = future.result(), future.stdout
        assert most - before < 80 * self.MIB
        assert len(text) < 20 * self.MIB
        assert text.endswith("the last line\n")


def write_much(stream: int, mebibytes: int) -> str:
    block = b"\0\xff" * (1 << 19)
    for _ in range(mebibytes):
        os.write(stream, block)
    os.write(stream, b"end")
    return "end"


def print_much(mebibytes: int) -> int:
    line, most = "x" * (1 << 20), 0
    for _ in range(mebibytes):
        print(line)
        most = max(most, shared_memory())
    print("the last line")
    return most


def shared_memory() -> int:
    """Bytes of the files in memory that this process has open."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            if "memfd:" in os.readlink(f"/proc/self/fd/{name}"):
                found += os.fstat(int(name)).st_blocks * 512
        except OSError:
            continue
    return found
