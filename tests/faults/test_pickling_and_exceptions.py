"""What is sent, answered and raised: whatever is wrong with one item is that item's error alone.

Tested elsewhere: the pool itself as an argument → tests.process.test_python_forms; large arrays and
300 MiB at once, with and without shared memory → tests.process.test_python_arrays; how exceptions
travel → tests.wire.test_raised.
"""

from __future__ import annotations

import mmap
import os
import sys
import threading
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from processpool import RemoteError, RequestTimeout, WorkerDied
from processpool.wire.framing.declaration import FRAMED
from processpool.wire.framing.declared import make_framing
from processpool.wire.python import layout
from tests.process.support import run_python
from tests.process.workers import functions
from tests.process.workers.functions import (
    EndsWhenUnpickled,
    ExitsWhenPickled,
    ExitsWhenUnpickled,
    RaisesWhenUnpickled,
    Unpicklable,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool import ProcessPool


def error_of(pool: ProcessPool, function: Any, *args: Any) -> BaseException:
    """The error of an item, which is the same by every way."""
    with pytest.raises(BaseException) as called:  # noqa: PT011
        pool.call(function, *args)
    submitted = pool.submit(function, *args).exception()
    (returned,) = pool.map(function, *[[arg] for arg in args or [None]], on_error="return")
    if args:
        assert type(called.value) is type(submitted) is type(returned)
        assert str(called.value) == str(submitted) == str(returned)
    return called.value


def raise_(error: BaseException) -> None:
    raise error


class Coded(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


class Slotted(Exception):
    __slots__ = ("value",)


def raise_new(kind: type[Exception]) -> None:
    """Raise an exception that was not pickled before, in which other packages have their say."""
    raise kind(1)


class Stubborn(Exception):
    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError("nothing is set here")


class Mute(Exception):
    def __str__(self) -> str:
        raise SystemExit("cannot be shown")


class Locked(Exception):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()


class Strange(BaseException):
    pass


class HangsWhenUnpickled:
    def __reduce__(self) -> Any:
        return time.sleep, (1000,)


class RaisesHere:
    """Something that can be pickled, and raises when it is unpickled."""

    def __init__(self, kind: type[BaseException]) -> None:
        self.kind = kind

    def __reduce__(self) -> Any:
        return raise_, (self.kind("not here"),)


MAP_NORESERVE = 0x4000


def available() -> int:
    """Bytes of memory that nobody uses."""
    fields = Path("/proc/meminfo").read_text().split()
    return int(fields[fields.index("MemAvailable:") + 1]) * 1024


def ends_of(data: bytearray) -> tuple[int, int, int]:
    """The length, the first and the last byte."""
    return len(data), data[0], data[-1]


class TestFidelity:
    def test_type_arguments_attributes_and_notes(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool()

        def fail(x: int) -> None:
            error = KeyError("key", x)
            error.extra = {"x": x}  # type: ignore[attr-defined]
            error.add_note("noted there")
            raise error

        error = error_of(pool, fail, 3)
        assert type(error) is KeyError
        assert error.args == ("key", 3)
        assert error.extra == {"x": 3}  # type: ignore[attr-defined]
        assert error.__notes__ == ["noted there", "call of 'fail': 3"]
        record = error.record  # type: ignore[attr-defined]
        assert (record.error, record.worker_id, record.ok) == (error, 1, False)

    def test_the_remote_traceback_is_shown_once(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool()
        with pytest.raises(ValueError, match="my text") as caught:
            pool.call(functions.fail, "my text")
        text = "".join(traceback.format_exception(caught.value))
        assert text.count("raise ValueError(text)") == 1
        assert text.count("workers/functions.py") == 1
        assert text.count("ValueError: my text") == 2, "as the cause, and as what is raised"
        assert "python_worker" not in str(caught.value.__cause__)
        assert "functions.py" in str(caught.value.__cause__)

    def test_causes_and_contexts(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()

        def chained(how: str) -> None:
            try:
                os.environ.copy().pop("no such variable")
            except KeyError as error:
                if how == "from":
                    raise ValueError("outer") from error
                if how == "none":
                    raise ValueError("outer") from None
                raise ValueError("outer")  # noqa: B904

        for how, inner in (("from", KeyError), ("implicit", KeyError), ("none", type(None))):
            with pytest.raises(ValueError, match="outer") as caught:
                pool.call(chained, how)
            assert isinstance(caught.value.__context__, inner)
            assert ("KeyError: 'no such variable'" in str(caught.value.__cause__)) is (
                how != "none"
            )

    def test_groups(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()

        def fail() -> None:
            raise ExceptionGroup("several", [ValueError(1), ExceptionGroup("in", [KeyError(2)])])

        with pytest.raises(ExceptionGroup) as caught:
            pool.call(fail)
        assert caught.group_contains(ValueError, match="1")
        assert caught.group_contains(KeyError, match="2", depth=2)

    def test_the_place_in_a_map(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(2)

        def picky(n: int) -> int:
            if n % 10 == 3:
                raise ValueError(n)
            return n

        answers = pool.map(picky, range(500), on_error="return")
        assert all(
            isinstance(a, ValueError) and a.args == (n,) if n % 10 == 3 else a == n
            for n, a in enumerate(answers)
        )
        assert pool.map(picky, range(20), on_error="skip") == [n for n in range(20) if n % 10 != 3]
        with pytest.raises(ValueError, match=r"^\d*3\n") as caught:  # the first to be seen
            list(pool.imap(picky, range(500)))
        assert caught.value.record.index % 10 == 3  # type: ignore[attr-defined]

    def test_a_returned_exception_is_a_value(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        value = pool.call(functions.same, ValueError(3))
        assert type(value) is ValueError
        assert pool.submit(functions.same, KeyError(1)).exception() is None
        (record,) = pool.map(functions.same, [SystemExit(3)], details=True)
        assert record.ok
        assert isinstance(record.value, SystemExit)


class TestWhatEndsPrograms:
    @pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, Strange])
    def test_the_worker_stays(
        self, python_pool: Callable[..., ProcessPool], kind: type[BaseException]
    ) -> None:
        pool = python_pool()
        pid = pool.call(functions.pid)
        error = error_of(pool, raise_, kind(5))
        assert type(error) is kind
        assert error.args == (5,)
        answers = pool.map(raise_, [kind(n) for n in range(50)], on_error="return")
        assert [answer.args for answer in answers] == [(n,) for n in range(50)]  # type: ignore[union-attr]
        assert pool.call(functions.pid) == pid

    def test_sys_exit(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        pid = pool.call(functions.pid)
        with pytest.raises(SystemExit) as caught:
            pool.call(sys.exit, 3)
        assert caught.value.code == 3
        assert pool.call(functions.pid) == pid

    def test_an_interrupt_that_an_item_sends_to_itself(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool()
        pid = pool.call(functions.pid)
        with pytest.raises(KeyboardInterrupt):
            pool.call(functions.end, "SIGINT")
        assert pool.call(functions.pid) == pid

    def test_deep_recursion(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        pid = pool.call(functions.pid)

        def deep(n: int) -> int:
            return deep(n + 1) + 1

        def nested() -> list[Any]:
            value: list[Any] = []
            for _ in range(100_000):
                value = [value]
            return value

        assert isinstance(error_of(pool, deep, 0), RecursionError)
        assert isinstance(error_of(pool, nested), RecursionError)
        with pytest.raises(RecursionError):
            pool.call(functions.same, nested())
        answers = pool.map(functions.kind_of, [1, nested(), 2], on_error="return")
        assert [type(answer) for answer in answers] == [str, RecursionError, str]
        assert pool.call(functions.pid) == pid


class TestSubstitutes:
    def test_an_exception_with_other_arguments(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        def fail(code: int) -> None:
            raise Coded(code, "text")

        error = error_of(python_pool(), fail, 7)
        assert isinstance(error, Coded)
        assert "7: text" in str(error)
        assert 'raise Coded(code, "text")' in str(error.__cause__)

    def test_one_that_cannot_be_pickled(self, python_pool: Callable[..., ProcessPool]) -> None:
        def fail(text: str) -> None:
            raise Locked(text)

        error = error_of(python_pool(), fail, "my text")
        assert isinstance(error, Locked)
        assert str(error) == "my text"

    def test_one_that_cannot_be_imported_here(
        self, python_pool: Callable[..., ProcessPool], tmp_path: Any
    ) -> None:
        source = "class Local(Exception): pass\ndef fail(x):\n raise Local(x)\n"
        (tmp_path / "only_there.py").write_text(source)
        pool = python_pool(worker={"path": [str(tmp_path)], "handler": "only_there:fail"})
        error = error_of(pool, "text")
        assert isinstance(error, RemoteError)
        assert "only_there.Local: text" in str(error)
        assert "raise Local(x)" in str(error.__cause__)

    @pytest.mark.parametrize("kind", [Slotted, Stubborn])
    def test_one_that_takes_no_attributes(
        self, python_pool: Callable[..., ProcessPool], kind: type[Exception]
    ) -> None:
        pool = python_pool()
        for _ in range(3):
            answers = pool.map(raise_new, [kind], on_error="return")
            assert type(answers[0]).__name__ in (kind.__name__, "RemoteError")
        assert pool.call(functions.inc, 1) == 2

    def test_one_that_cannot_be_shown(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        pid = pool.call(functions.pid)
        future = pool.submit(raise_, Mute())
        assert type(future.exception()) in (Mute, RemoteError)
        assert pool.call(functions.pid) == pid

    def test_one_that_ends_whoever_unpickles_it(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool()

        def fail() -> None:
            error = ValueError("carrier")
            error.load = EndsWhenUnpickled()  # type: ignore[attr-defined]
            raise error

        with pytest.raises(WorkerDied, match="exited with status 5"):
            pool.call(fail)
        assert pool.call(functions.inc, 1) == 2

    def test_one_that_raises_when_it_is_unpickled_here(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool()

        def fail() -> None:
            error = ValueError("carrier")
            error.load = functions.ExitsWhenUnpickled()  # type: ignore[attr-defined]
            raise error

        error = error_of(pool, fail)
        assert type(error) is ValueError
        assert str(error) == "carrier"


class TestArguments:
    @pytest.mark.parametrize(
        ("bad", "says"),
        [
            (Unpicklable(), "I stay here"),
            (threading.Lock(), "cannot pickle"),
            (ExitsWhenPickled(), "no pickling"),
            (RaisesWhenUnpickled(), "not here"),
            (ExitsWhenUnpickled(), "5"),
        ],
    )
    def test_the_bad_one_alone(
        self, python_pool: Callable[..., ProcessPool], bad: Any, says: str
    ) -> None:
        pool = python_pool(2)
        assert says in str(error_of(pool, functions.kind_of, bad))
        items = [bad if n % 40 == 7 else n for n in range(200)]
        answers = pool.map(functions.kind_of, items, on_error="return")
        for n, answer in enumerate(answers):
            if n % 40 == 7:
                assert says in str(answer)
                assert answer.record.index == n  # type: ignore[union-attr]
            else:
                assert answer == "builtins.int"

    def test_a_hundred_in_a_row(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(2)
        for bad in (Unpicklable(), RaisesWhenUnpickled(), ExitsWhenUnpickled()):
            answers = pool.map(functions.same, [bad] * 100, on_error="return")
            assert all(isinstance(answer, BaseException) for answer in answers)
            futures = [pool.submit(functions.same, bad) for _ in range(100)]
            assert all(future.exception() for future in futures)
        assert pool.map(functions.inc, range(10)) == list(range(1, 11))

    def test_one_that_ends_the_worker_when_it_is_unpickled(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool(2)
        with pytest.raises(WorkerDied, match="exited with status 5"):
            pool.call(functions.kind_of, EndsWhenUnpickled())
        with pytest.raises(WorkerDied, match="exited with status 5"):
            pool.submit(functions.kind_of, EndsWhenUnpickled()).result()
        items = [EndsWhenUnpickled() if n in (5, 60) else n for n in range(100)]
        answers = pool.map(functions.kind_of, items, on_error="return")
        died = [n for n, answer in enumerate(answers) if isinstance(answer, WorkerDied)]
        assert died == [5, 60]
        assert answers[6:60] == ["builtins.int"] * 54

    def test_one_that_never_is_unpickled(self, python_pool: Callable[..., ProcessPool]) -> None:
        """It hangs before any item of its batch begins: those have their own time, elsewhere."""
        pool = python_pool()
        assert pool.map(functions.kind_of, range(2000)) == ["builtins.int"] * 2000
        items = [HangsWhenUnpickled() if n == 700 else n for n in range(1500)]
        answers = pool.map(functions.kind_of, items, on_error="return", timeout=1.0)
        assert [n for n, answer in enumerate(answers) if answer != "builtins.int"] == [700]
        assert isinstance(answers[700], RequestTimeout)

    @pytest.mark.parametrize("count", [30, pytest.param(100, marks=pytest.mark.slow)])
    def test_a_hundred_in_a_row_that_end_their_worker(
        self, python_pool: Callable[..., ProcessPool], count: int
    ) -> None:
        pool = python_pool(2)
        items = [EndsWhenUnpickled() if n < count else n for n in range(count + 10)]
        answers = pool.map(functions.kind_of, items, on_error="return")
        assert {type(answer) for answer in answers[:count]} == {WorkerDied}
        assert answers[count:] == ["builtins.int"] * 10

    def test_the_same_error_is_not_given_to_another(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        class Named:
            def __init__(self, name: str) -> None:
                self.name = name

            def __reduce__(self) -> Any:
                raise ValueError(self.name)

        pool = python_pool(2)
        items = [Named(str(n)) if n % 2 else n for n in range(300)]
        answers = pool.map(functions.same, items, on_error="return")
        assert [str(answer) for answer in answers] == [str(n) for n in range(300)]

    def test_a_function_that_cannot_be_sent(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        lock = threading.Lock()
        with pytest.raises(TypeError, match="pickle"):
            pool.call(lambda: lock)
        assert pool.call(functions.inc, 1) == 2

    def test_a_function_that_cannot_be_loaded_there(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool()
        pid = pool.call(functions.pid)
        bad = RaisesWhenUnpickled()
        error = error_of(pool, lambda x: (x, bad), 1)
        assert "not here" in str(error)
        assert pool.call(functions.pid) == pid


class TestResults:
    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("Unpicklable", "I stay here"),
            ("ExitsWhenPickled", "no pickling"),
            ("RaisesWhenUnpickled", "not here"),
            ("ExitsWhenUnpickled", "5"),
        ],
    )
    def test_the_bad_one_alone(
        self, python_pool: Callable[..., ProcessPool], name: str, says: str
    ) -> None:
        pool = python_pool(2)
        pool.wait_ready()
        pids = {worker.pid for worker in pool.snapshot().workers}
        error = error_of(pool, functions.make, name)
        assert says in str(error)
        assert error.__notes__
        names = [name if n % 40 == 7 else "Unknown" for n in range(200)]
        answers = pool.map(functions.make, names, on_error="return")
        for n, answer in enumerate(answers):
            assert type(answer) is (type(error) if n % 40 == 7 else KeyError)
        assert {worker.pid for worker in pool.snapshot().workers} == pids

    def test_a_hundred_in_a_row(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        pid = pool.call(functions.pid)
        for name in ("Unpicklable", "ExitsWhenUnpickled"):
            answers = pool.map(functions.make, [name] * 100, on_error="return")
            assert len({str(answer) for answer in answers}) == 1
        assert pool.call(functions.pid) == pid

    @pytest.mark.parametrize(
        "kind", [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError, RecursionError, Strange]
    )
    def test_one_that_raises_anything_when_it_is_unpickled_here(
        self, python_pool: Callable[..., ProcessPool], kind: type[BaseException]
    ) -> None:
        pool = python_pool()
        pid = pool.call(functions.pid)
        error = error_of(pool, RaisesHere, kind)
        assert type(error) is kind
        assert "cannot be unpickled here" in error.__notes__[0]
        assert pool.call(functions.pid) == pid

    def test_one_that_ends_the_worker_when_it_is_pickled(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool(2)
        with pytest.raises(WorkerDied, match="exited with status 6"):
            pool.call(functions.make, "EndsWhenPickled")
        names = ["EndsWhenPickled" if n in (5, 60) else "Unknown" for n in range(100)]
        answers = pool.map(functions.make, names, on_error="return")
        assert [n for n, a in enumerate(answers) if isinstance(a, WorkerDied)] == [5, 60]
        assert sum(isinstance(answer, KeyError) for answer in answers) == 98


def test_a_script_that_fails_shows_where() -> None:
    done = run_python("""
        from processpool import ProcessPool
        def fail(x):
            return 1 / x
        with ProcessPool.from_dict({"worker": {"kind": "python"}}) as pool:
            pool.map(fail, [1, 0])
    """)
    assert done.returncode == 1
    assert done.stderr.count("ZeroDivisionError: division by zero") == 2
    assert 'File "<string>", line 4, in fail' in done.stderr


GIB = 1 << 30
OVER_4_GIB = 4 * GIB + 4096


class TestSizes:
    """Smaller ones, both ways at once, through pipes → `test_streams_and_the_protocol`."""

    def test_256_mib_each_way(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        sent = (bytes(range(251)) * (GIB // 4 // 251 + 1))[: GIB // 4]
        assert pool.call(functions.same, sent) == sent
        assert pool.call(functions.inc, 1) == 2

    @pytest.mark.slow
    @pytest.mark.skipif(available() < 20 * GIB, reason="needs 20 GiB of memory")
    def test_over_4_gib_each_way(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        assert pool.call(ends_of, bytearray(OVER_4_GIB - 1) + b"!") == (OVER_4_GIB, 0, b"!"[0])
        assert ends_of(pool.call(bytearray, OVER_4_GIB)) == (OVER_4_GIB, 0, 0)
        assert pool.call(functions.inc, 1) == 2

    def test_lengths_between_pool_and_python_worker_have_64_bits(self) -> None:
        packet = (layout.ITEMS, layout.AWAY, 1, 1, 1, 1, OVER_4_GIB, 2 * OVER_4_GIB, OVER_4_GIB)
        assert layout.PACKET.unpack(layout.PACKET.pack(*packet)) == packet
        frame = (layout.ENTRIES, 1, OVER_4_GIB)
        assert layout.FRAME.unpack(layout.FRAME.pack(*frame)) == frame
        place = (OVER_4_GIB, 2 * OVER_4_GIB)
        assert layout.PLACE.unpack(layout.PLACE.pack(*place)) == place

    def test_lengths_of_the_framed_protocol_have_64_bits(self) -> None:
        framing = make_framing(replace(FRAMED, max_message=1 << 62))
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE
        with mmap.mmap(-1, OVER_4_GIB, flags=flags) as message:
            header, body = framing.encode(cast("bytes", message))
            assert header == b"1;4294971392\n"
            assert id(body) == id(message), "it was copied"
            del body
        assert framing.feed(b"4611686018427387904;begin") == []
        assert framing.error is None
        assert str(framing.eof()) == "stdout ended after 5 of 4611686018427387904 bytes"


class Untouchable(Exception):
    """Ends the program, if anybody sets something on it."""

    def __setattr__(self, name: str, value: object) -> None:
        raise SystemExit(7)


def raise_untouchable(_: int) -> None:
    raise Untouchable("no")


@pytest.mark.parametrize("way", ["submit", "map"])
def test_an_exception_that_ends_whoever_sets_something_on_it(
    way: str, python_pool: Callable[..., ProcessPool]
) -> None:
    pool = python_pool(1)
    error = (
        pool.submit(raise_untouchable, 1).exception(30)
        if way == "submit"
        else pool.map(raise_untouchable, [1], on_error="return")[0]
    )
    assert "no" in str(error)
    assert pool.call(abs, -1) == 1
