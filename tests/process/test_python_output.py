"""What Python workers print, log and tell of their progress, and whose it is."""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import pytest

import processpool
from processpool import WorkerDied
from tests.process.support import eventually, run_python
from tests.process.workers import functions

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool import ProcessPool
    from tests.process.support import Gate


def shout(n: int) -> int:
    print(f"out {n}")
    print(f"err {n}", file=sys.stderr)
    return n


class TestPrints:
    def test_each_item_has_its_own(self, python_pool: Callable[..., ProcessPool]) -> None:
        records = python_pool(2).map(shout, range(2000), details=True)
        for n, record in enumerate(records):
            assert (record.value, record.stdout, record.stderr) == (n, f"out {n}\n", f"err {n}\n")

    def test_only_those_that_print_have_some(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()

        def sometimes(n: int) -> None:
            if n % 7 == 0:
                print(n, end="")

        records = pool.map(sometimes, range(1000), details=True)
        assert [r.stdout for r in records] == [str(n) if n % 7 == 0 else "" for n in range(1000)]

    def test_every_way_to_print(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        for n, record in enumerate(pool.map(functions.print_all, range(3), details=True)):
            assert record.stdout == f"python {n}\ndescriptor {n}\nchild {n}\n"
            assert record.stderr == f"error {n}\n"

    @pytest.mark.parametrize(
        "write",
        [
            lambda text: sys.stdout.buffer.write(text.encode()),
            lambda text: sys.stdout.buffer.writelines([text.encode()]),
            lambda text: sys.__stdout__.write(text),  # type: ignore[union-attr]
            lambda text: sys.stdout.writelines([text]),
            lambda text: print(text, end="", flush=True),
            lambda text: (sys.stdout.reconfigure(write_through=False), print(text, end="")),  # type: ignore[union-attr]
        ],
    )
    def test_a_rare_print_of_a_fast_item(
        self, python_pool: Callable[..., ProcessPool], write: Callable[[str], object]
    ) -> None:
        def work(n: int) -> None:
            if n % 500 == 499:
                write(f"{n}")

        records = python_pool().map(work, range(2000), details=True)
        printed = {n: record.stdout for n, record in enumerate(records) if record.stdout}
        assert printed == {n: f"{n}" for n in (499, 999, 1499, 1999)}

    @pytest.mark.parametrize("function", [functions.printf, functions.write_fd])
    def test_c_code(self, python_pool: Callable[..., ProcessPool], function: Any) -> None:
        records = python_pool().map(function, range(500), details=True)
        prefix = "c " if function is functions.printf else ""
        assert [record.stdout for record in records] == [f"{prefix}{n}" for n in range(500)]

    def test_fast_c_code_that_prints_late_is_nobody_elses(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool()

        def late(n: int) -> int:
            return os.write(1, b"late") if n == 3000 else 0

        records = pool.map(late, range(4000), details=True)
        assert {r.index for r in records if r.stdout} <= {3000}

    def test_future_and_record(self, python_pool: Callable[..., ProcessPool]) -> None:
        future = python_pool().submit(shout, 5)
        assert future.result() == 5
        assert (future.stdout, future.stderr) == ("out 5\n", "err 5\n")
        assert future.record is not None
        assert future.record.stdout == "out 5\n"

    def test_with_an_error(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()

        def fail(n: int) -> None:
            print("before", n)
            raise ValueError(n)

        with pytest.raises(ValueError, match="1") as caught:
            pool.call(fail, 1)
        assert caught.value.record.stdout == "before 1\n"  # type: ignore[attr-defined]
        records = pool.map(fail, range(3), details=True, on_error="return")
        assert [r.stdout for r in records] == [f"before {n}\n" for n in range(3)]

    @pytest.mark.parametrize("way", ["call", "submit", "map"])
    def test_the_last_words_of_a_worker(
        self, python_pool: Callable[..., ProcessPool], way: str
    ) -> None:
        pool = python_pool()

        def die(_: int) -> None:
            print("my last words")
            sys.stderr.write("and these")
            os._exit(3)

        ask: dict[str, Callable[[], Any]] = {
            "map": lambda: pool.map(die, [0]),
            "call": lambda: pool.call(die, 0),
            "submit": lambda: pool.submit(die, 0).result(),
        }
        with pytest.raises(WorkerDied, match="and these") as caught:
            ask[way]()
        record = caught.value.record
        assert record is not None
        assert (record.stdout, record.stderr) == ("my last words\n", "and these")

    def test_megabytes_and_any_bytes(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()

        def much() -> None:
            print("x" * 3_000_000)
            os.write(1, b"\xff\x00end")

        future = pool.submit(much)
        future.result()
        assert future.stdout == "x" * 3_000_000 + "\n\ufffd\x00end"
        assert pool.submit(shout, 1).exception() is None

    def test_surrogates_and_bytes(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()

        def odd() -> None:
            print("ä€😀\udc80")
            sys.stdout.buffer.write(b"raw")
            sys.stdout.writelines(["a", "b"])

        future = pool.submit(odd)
        future.result()
        assert future.stdout == "ä€😀\\udc80\nrawab"

    @pytest.mark.parametrize(
        "source",
        [
            "sys.stdout.close()",
            "os.close(1)",
            "os.close(2)",
            "sys.stdout = None",
            "sys.stdout = io.StringIO()",
            "del sys.stdout",
            "os.ftruncate(1, 0)",
            "os.dup2(os.open(os.devnull, os.O_WRONLY), 1)",
        ],
    )
    def test_items_that_break_the_streams(
        self, python_pool: Callable[..., ProcessPool], source: str
    ) -> None:
        pool = python_pool()
        pid = pool.call(functions.pid)
        setting = "import io, os, sys, time; time.sleep(0.001); "
        pool.call(exec, setting + source)
        assert pool.map(functions.inc, range(300)) == list(range(1, 301))
        assert pool.call(functions.pid) == pid

    def test_a_thread_between_items_is_for_the_log(
        self, python_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = python_pool()
        pool.call(functions.leave_thread, str(gate.path))
        gate.open()
        eventually(lambda: os.path.exists(f"{gate.path}.done"))
        future = pool.submit(functions.inc, 1)
        assert (future.result(), future.stdout) == (2, "")
        eventually(lambda: "from behind" in pool.snapshot().workers[0].stderr)

    def test_a_fork_that_returns_from_the_item(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool()

        def split(how: str) -> str:
            if os.fork():
                os.wait()
                return "parent"
            if how == "raise":
                raise RuntimeError("in the child")
            if how == "exit":
                sys.exit()
            return "child"

        for how in ("return", "raise", "exit"):
            future = pool.submit(split, how)
            assert future.result() == "parent"
            assert ("in the child" in future.stderr) is (how == "raise")
        assert pool.map(functions.inc, range(100)) == list(range(1, 101))

    def test_multiprocessing_in_an_item(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()

        def use() -> int | None:
            import multiprocessing

            process = multiprocessing.get_context("fork").Process(target=print, args=("child",))
            process.start()
            process.join()
            return process.exitcode

        future = pool.submit(use)
        assert (future.result(), future.stdout) == (0, "child\n")


class TestLogs:
    def test_records_reach_the_loggers_here(
        self, python_pool: Callable[..., ProcessPool], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        pool = python_pool()

        def speak(n: int) -> int:
            import logging

            logger = logging.getLogger("from.worker")
            logger.info("item %d of %s", n, object())
            logger.debug("not this")
            try:
                raise ValueError("inside")
            except ValueError:
                logger.exception("trouble")
            return n

        records = pool.map(speak, range(5), details=True)
        assert [r.stderr for r in records] == [""] * 5
        told = [record for record in caplog.records if record.name == "from.worker"]
        assert [record.levelname for record in told] == ["INFO", "ERROR"] * 5
        assert [record.item for record in told] == [n for n in range(5) for _ in "ab"]  # type: ignore[attr-defined]
        assert {record.worker_id for record in told} == {1}  # type: ignore[attr-defined]
        assert {record.pool for record in told} == {"pool"}  # type: ignore[attr-defined]
        assert {record.process for record in told} == {records[0].pid}
        assert "item 3 of <object object" in told[6].getMessage()
        assert "ValueError: inside" in caplog.text
        assert told[0].funcName == "speak"

    def test_an_importable_function_that_imports_logging_itself(
        self,
        python_pool: Callable[..., ProcessPool],
        caplog: pytest.LogCaptureFixture,
        tmp_path: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        source = (
            "def warn(n):\n import logging\n logging.getLogger('late').warning('number %d', n)\n"
        )
        (tmp_path / "late_logging.py").write_text(source)
        pool = python_pool(worker={"path": [str(tmp_path)], "handler": "late_logging:warn"})
        pool.call(1)
        pool.map([2, 3])
        told = [r.getMessage() for r in caplog.records if r.name == "late"]
        assert told == ["number 1", "number 2", "number 3"]

    def test_setup_and_threads_have_no_item(
        self,
        python_pool: Callable[..., ProcessPool],
        caplog: pytest.LogCaptureFixture,
        tmp_path: Any,
    ) -> None:
        source = "import logging\ndef setup(): logging.getLogger('setup').warning('starting')\n"
        (tmp_path / "logging_setup.py").write_text(source)
        pool = python_pool(worker={"path": [str(tmp_path)], "setup": "logging_setup:setup"})
        assert pool.call(functions.inc, 1) == 2
        told = [r for r in caplog.records if r.name == "setup"]
        assert [(r.getMessage(), r.item) for r in told] == [("starting", None)]  # type: ignore[attr-defined]

    def test_the_level_of_the_moment(
        self, python_pool: Callable[..., ProcessPool], caplog: pytest.LogCaptureFixture
    ) -> None:
        pool = python_pool()

        def speak() -> None:
            logging.getLogger("x").debug("fine print")

        pool.call(speak)
        with caplog.at_level(logging.DEBUG):
            pool.submit(speak).result()
        pool.submit(speak).result()
        assert [r.getMessage() for r in caplog.records if r.name == "x"] == ["fine print"]

    def test_a_filter_that_raises_harms_nobody(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        def refuse(_: logging.LogRecord) -> bool:
            raise RuntimeError("no")

        logger = logging.getLogger("refusing")
        logger.addFilter(refuse)
        try:
            pool = python_pool()
            pool.submit(lambda: logging.getLogger("refusing").warning("hi")).result()
            assert pool.call(functions.inc, 1) == 2
        finally:
            logger.removeFilter(refuse)


class TestProgress:
    def test_it_shows_while_the_item_runs(
        self, python_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = python_pool()

        def work(path: str) -> None:
            processpool.progress(3, 10, "third")
            functions.wait_at(path)

        future = pool.submit(work, str(gate.path))
        gate.await_arrival()
        told = eventually(lambda: pool.snapshot().workers[0].progress)
        assert told == (3.0, 10.0, "third")
        gate.open()
        future.result()
        assert pool.snapshot().workers[0].progress is None

    def test_in_a_map(self, python_pool: Callable[..., ProcessPool], gate: Gate) -> None:
        pool = python_pool()

        def work(n: int) -> int:
            if n == 20:
                processpool.progress(1, note="last")
                functions.wait_at(str(gate.path))
            return n

        answers: list[int] = []
        thread = threading.Thread(target=lambda: answers.extend(pool.map(work, range(21))))
        thread.start()
        gate.await_arrival()
        eventually(lambda: pool.snapshot().workers[0].progress == (1.0, None, "last"))
        gate.open()
        thread.join()
        assert answers == list(range(21))

    def test_outside_of_a_worker_it_does_nothing(self) -> None:
        assert processpool.progress(1, 2) is None  # type: ignore[func-returns-value]

    def test_the_latest_report_shows_however_soon_it_comes(
        self, python_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = python_pool()

        def work(path: str) -> None:
            processpool.progress(1, 10)
            processpool.progress(9, 10)
            functions.wait_at(path)

        assert pool.call(processpool.progress, 1, 1) is None
        assert pool.snapshot().workers[0].progress is None
        future = pool.submit(work, str(gate.path))
        gate.await_arrival()
        assert pool.snapshot().workers[0].progress == (9.0, 10.0, "")
        gate.open()
        future.result()

    def test_it_is_not_that_of_an_earlier_item(
        self, python_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = python_pool()

        def work(path: str | None) -> None:
            if path is None:
                processpool.progress(1, 2)
            else:
                functions.wait_at(path)

        thread = threading.Thread(target=lambda: pool.map(work, [None, str(gate.path)]))
        thread.start()
        gate.await_arrival()
        assert pool.snapshot().workers[0].progress is None
        gate.open()
        thread.join()

    def test_from_a_thread_and_a_fork_of_an_item(
        self, python_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = python_pool()

        def work(path: str) -> int:
            thread = threading.Thread(target=processpool.progress, args=(1, 3, "thread"))
            thread.start()
            thread.join()
            if not (child := os.fork()):
                processpool.progress(2, 3, "fork")
                os._exit(0)
            status = os.waitpid(child, 0)[1]
            functions.wait_at(path)
            return status

        future = pool.submit(work, str(gate.path))
        gate.await_arrival()
        assert pool.snapshot().workers[0].progress == (1.0, 3.0, "thread")
        gate.open()
        assert future.result() == 0

    @pytest.mark.parametrize("character", ["x", "é", "🙂", "\udcff"])
    def test_a_note_of_any_length(
        self, python_pool: Callable[..., ProcessPool], gate: Gate, character: str
    ) -> None:
        pool = python_pool()

        def work(path: str) -> None:
            processpool.progress(0, note="." + 2000 * character)
            functions.wait_at(path)

        future = pool.submit(work, str(gate.path))
        gate.await_arrival()
        progress = pool.snapshot().workers[0].progress
        assert progress is not None
        size = len(character.encode("utf-8", "replace"))
        assert progress[2] == "." + 999 // size * character.replace("\udcff", "?")
        gate.open()
        future.result()

    def test_a_flood_is_cheap_and_read_whole(
        self, python_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = python_pool()

        def work(path: str) -> None:
            for n in range(100_000):
                processpool.progress(n, n + 1, f"{n} " * 100)
            functions.wait_at(path)

        future = pool.submit(work, str(gate.path))
        seen: set[float] = set()

        def is_over() -> bool:
            progress = pool.snapshot(resources=False).workers[0].progress
            if progress is not None:
                done, total, note = progress
                assert (total, note) == (done + 1, f"{done:.0f} " * 100)
                seen.add(done)
            return 99_999 in seen

        eventually(is_over)
        gate.open()
        future.result()


class TestEcho:
    def test_lines_come_while_the_item_runs(
        self, python_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = python_pool()

        def talk(path: str) -> str:
            print("first line")
            print("half of", end=" ")
            functions.wait_at(path)
            print("the second")
            return "done"

        shown = io.StringIO()
        answers: list[Any] = []

        def run() -> None:
            answers.extend(pool.map(talk, [str(gate.path)], echo=True, details=True))

        with redirect_stdout(shown):
            thread = threading.Thread(target=run)
            thread.start()
            eventually(lambda: shown.getvalue() == "first line\n")
            gate.open()
            thread.join()
        assert shown.getvalue() == "first line\nhalf of the second\n"
        assert answers[0].stdout == shown.getvalue()

    def test_nothing_is_shown_unasked(
        self, python_pool: Callable[..., ProcessPool], capfd: pytest.CaptureFixture[str]
    ) -> None:
        pool = python_pool(2)
        assert pool.map(shout, range(10)) == list(range(10))
        assert capfd.readouterr() == ("", "")
        assert pool.map(shout, range(10), echo=True) == list(range(10))
        assert pool.map(shout, [5]) == [5]
        out, err = capfd.readouterr()
        assert sorted(out.splitlines()) == [f"out {n}" for n in range(10)]
        assert sorted(err.splitlines()) == [f"err {n}" for n in range(10)]

    @pytest.mark.parametrize("way", ["imap", "imap_unordered"])
    def test_lazy_maps(
        self,
        python_pool: Callable[..., ProcessPool],
        capfd: pytest.CaptureFixture[str],
        way: str,
    ) -> None:
        pool = python_pool()
        assert list(getattr(pool, way)(functions.print_all, [1, 2], echo=True)) == [1, 2]
        lines = [f"{what} {n}" for n in (1, 2) for what in ("python", "descriptor", "child")]
        assert capfd.readouterr().out.splitlines() == lines

    def test_it_is_harmless_for_a_terminal(
        self, python_pool: Callable[..., ProcessPool], capfd: pytest.CaptureFixture[str]
    ) -> None:
        python_pool().map(print, ["\x1b[31mred\x07", "10 %\r20 %\rdone"], echo=True)
        assert capfd.readouterr().out == "\\x1b[31mred\\x07\ndone\n"

    def test_a_fast_flood(
        self, python_pool: Callable[..., ProcessPool], capfd: pytest.CaptureFixture[str]
    ) -> None:
        pool = python_pool(2)
        assert pool.map(shout, range(3000), echo=True) == list(range(3000))
        assert len(capfd.readouterr().out.splitlines()) == 3000

    def test_with_an_error(
        self, python_pool: Callable[..., ProcessPool], capfd: pytest.CaptureFixture[str]
    ) -> None:
        def fail(_: int) -> None:
            print("so far")
            raise ValueError("such")

        with pytest.raises(ValueError, match="such"):
            python_pool().map(fail, [1], echo=True)
        assert capfd.readouterr().out == "so far\n"

    def test_a_command_shows_its_stderr(
        self, make_pool: Callable[..., ProcessPool], capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert make_pool().map(["err('a note\\n'); answer('yes')"], echo=True) == ["yes"]
        assert capfd.readouterr() == ("", "a note\n")


def test_c_output_at_the_end_of_a_worker_is_not_lost() -> None:
    done = run_python("""
        import logging
        from processpool import ProcessPool
        def thread():
            import atexit
            atexit.register(print, "at the exit")
        seen = []
        with ProcessPool.from_dict({"worker": {"kind": "python"}, "size": {"max": 1}}) as pool:
            pool.events(lambda e: seen.append(e) if "Exited" in type(e).__name__ else None)
            pool.call(thread)
        assert "at the exit" in seen[0].stderr, seen
    """)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
