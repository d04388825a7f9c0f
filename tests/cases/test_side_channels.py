"""Logging, progress bars, echoes and the like never break what they stand beside."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

import pytest

from processpool import ProcessPool, WorkerStartFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cases.conftest import Ran

POOL = {"worker": {"kind": "python"}, "size": {"min": 1, "max": 1}}
CAT = {"kind": "command", "command": ["cat"], "protocol": "lines"}


def test_a_log_call_that_is_wrong_does_not_fail_its_item(run: Callable[..., Ran]) -> None:
    ran = run(
        """
        import logging
        logging.basicConfig(level=logging.INFO)

        class Bad:
            def __str__(self): raise ValueError("no text")

        def wrong(): logging.info("%d", "x")
        def worse(): logging.info(Bad())

        if __name__ == "__main__":
            with P() as p:
                future = p.submit(wrong)
                print([future.result(), "--- Logging error ---" in future.stderr, p.call(worse)])
        """
    )
    assert ran.value == [None, True, None]


def test_log_records_say_which_process_and_which_error(run: Callable[..., Ran]) -> None:
    ran = run(
        """
        import logging, threading
        heard = []

        class Handler(logging.Handler):
            def emit(self, record): heard.append(record)
        logging.root.addHandler(Handler())

        def fail():
            try: 1 / 0
            except ZeroDivisionError: logging.exception("failed")

        def thread():
            found = threading.Thread(target=logging.warning, args=("here",), name="mine")
            found.start()
            found.join()

        if __name__ == "__main__":
            with P() as p:
                p.call(fail)
                p.call(thread)
            text = logging.Formatter("%(message)s").format(heard[0])
            print([
                [record.processName for record in heard], heard[1].threadName,
                text.count("ZeroDivisionError"), "1 / 0" in text,
                "ZeroDivisionError" in str(heard[0].exc_info[1]),
            ])
        """
    )
    assert ran.value == [["PoolWorker-1"] * 2, "mine", 1, True, True]


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_there_may_be_no_streams(stream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with ProcessPool.from_dict(POOL) as pool:
        monkeypatch.setattr(sys, stream, None)
        assert pool.map(print, [1], echo=True) == [None]
        assert pool.map(abs, [-1], progress=True) == [1]
        assert list(pool.imap(abs, [-1], progress="label")) == [1]


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [object(), closed()], ids=["no stream", "closed"])
def test_a_stream_that_takes_nothing_costs_no_item(
    monkeypatch: pytest.MonkeyPatch, stream: object
) -> None:
    with ProcessPool.from_dict(POOL) as pool:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stream)
            patch.setattr(sys, "stderr", stream)
            printed = pool.map(print, [1], echo=True)
            answers = pool.map(abs, [-1], progress=True), [*pool.imap(abs, [-2], progress="label")]
        assert printed == [None]
        assert answers == ([1], [2])


def test_characters_that_a_stream_does_not_know_are_escaped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    buffer = io.BytesIO()
    with ProcessPool.from_dict(POOL) as pool, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding="ascii"))
        pool.map(print, ["a\N{SNOWMAN}b"], echo=True)
        assert buffer.getvalue() == b"a\\u2603b\n"


@pytest.mark.parametrize(
    "command",
    [["cat", "\ud800"], ["cat", "a\0b"], ["cat", "x" * 3_000_000]],
    ids=["no character", "NUL", "too long"],
)
def test_what_cannot_be_launched_is_refused(command: list[str]) -> None:
    with pytest.raises(Exception, match=r"cannot start|must not hold") as refused:
        ProcessPool.from_dict({"worker": {**CAT, "command": command}}).open()
    assert isinstance(refused.value, (WorkerStartFailed, ValueError))


@pytest.mark.parametrize(
    ("executable", "frozen", "says"),
    [
        (None, False, "sys.executable is not set"),
        ("/opt/app/app", True, "a frozen application"),
        ("/usr/bin/uwsgi", False, "is no Python interpreter"),
    ],
)
@pytest.mark.parametrize("kind", ["python", "command"])
def test_the_interpreter_must_be_one(
    kind: str, executable: str | None, frozen: bool, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    monkeypatch.setattr(sys, "frozen", frozen, raising=False)
    worker = {"kind": "python"} if kind == "python" else {**CAT, "command": ["python", "x.py"]}
    with pytest.raises(WorkerStartFailed, match=says):
        ProcessPool.from_dict({"worker": worker}).open()


def test_gevent_is_told_what_to_leave_alone(run: Callable[..., Ran]) -> None:
    pytest.importorskip("gevent")
    source = """
        from gevent import monkey
        monkey.patch_all({})
        if __name__ == "__main__":
            try:
                with P() as p: print(repr(p.call(abs, -1)))
            except Exception as error: print(repr(str(error)))
        """
    refused = run(source.format("")).value
    assert refused.startswith("gevent has replaced the threads")
    options = refused.partition("patch_all(")[2].rstrip(")")
    assert run(source.format(options)).value == 1


@pytest.mark.parametrize("ignored", ["signal.SIG_IGN", "signal.SIG_DFL"])
def test_a_program_that_ignores_its_children(run: Callable[..., Ran], ignored: str) -> None:
    ran = run(
        f"""
        import os, signal
        signal.signal(signal.SIGCHLD, {ignored})
        if __name__ == "__main__":
            with P() as p:
                try: p.call(os._exit, 3)
                except Exception as error: print([str(error), p.call(abs, -1)])
        """
    )
    how, after = ran.value
    assert after == 1
    known = ignored.endswith("DFL")
    assert ("exited with status 3" if known else "a status that is unknown") in how


def test_where_children_are_ignored_items_still_know_how_theirs_ended(
    run: Callable[..., Ran],
) -> None:
    ran = run(
        """
        import signal, subprocess
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        def status(): return subprocess.run(["sh", "-c", "exit 4"]).returncode
        if __name__ == "__main__":
            with P() as p: print(p.call(status))
        """
    )
    assert ran.value == 4


@pytest.mark.parametrize("limits", [{}, {"open_files": 100}])
def test_where_children_are_ignored_a_program_that_ends_at_once_is_a_failed_start(
    run: Callable[..., Ran], limits: dict[str, int]
) -> None:
    ran = run(
        f"""
        import signal
        from processpool import WorkerStartFailed
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        if __name__ == "__main__":
            worker = {{"kind": "command", "command": ["true"], "protocol": "lines"}}
            for _ in range(20):
                try: P(worker, limits={limits}).open().close()
                except WorkerStartFailed as error: assert "status that is unknown" in str(error)
                else: assert False
            print(True)
        """
    )
    assert ran.value is True


def test_orphans_of_items_leave_no_zombies(run: Callable[..., Ran]) -> None:
    ran = run(
        """
        import ctypes, os, subprocess, time
        ctypes.CDLL(None).prctl(36, 1)  # a child subreaper, as PID 1 of a container is

        def orphan():
            subprocess.Popen(["sh", "-c", "sleep 100 &"])
            os._exit(1)

        def zombies():
            pids = [pid for pid in os.listdir("/proc") if pid.isdigit()]
            found = 0
            for pid in pids:
                try: fields = open(f"/proc/{pid}/stat").read().rpartition(") ")[2].split()
                except OSError: continue
                found += fields[0] == "Z" and int(fields[1]) == os.getpid()
            return found

        if __name__ == "__main__":
            with P() as p:
                for _ in range(5): p.submit(orphan).exception()
            end = time.monotonic() + 20
            while zombies() and time.monotonic() < end: pass
            print(zombies())
        """
    )
    assert ran.value == 0


def test_workers_are_gone_with_the_pool() -> None:
    with ProcessPool.from_dict(POOL) as pool:
        pid = pool.call(os.getpid)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
