"""`protocol: oneshot`: a process for each message, started before the message comes."""

from __future__ import annotations

import shutil
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from processpool import (
    AnswerError,
    CodecError,
    ProtocolError,
    RequestTimeout,
    WorkerDied,
    WorkerStartFailed,
)
from tests.process.support import Gate, ask, await_exit, eventually, pids, states

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from processpool import ProcessPool

    Make = Callable[..., ProcessPool]

ONESHOT: dict[str, Any] = {"worker": {"protocol": "oneshot"}}
BYTES: dict[str, Any] = {"worker": {"protocol": "oneshot", "codec": "bytes"}}
EVERY_BYTE = bytes(range(1, 256))
LONGEST = 131_071
"""Bytes of the longest argument on Linux."""


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


class TestAnItem:
    def test_its_message_is_the_input_and_its_answer_the_output(
        self, make_pool: Make, way: str
    ) -> None:
        pool = make_pool(["tr", "a-z", "A-Z"], **ONESHOT)
        for message in ("", "one", "two\nlines\n", "x" * 300_000):
            assert ask(pool, way, message) == message.upper()

    def test_each_has_a_process_of_its_own(self, make_pool: Make, way: str) -> None:
        pool = make_pool(shell("cat > /dev/null; echo $$"), **ONESHOT)
        assert len({ask(pool, way, "") for _ in range(5)}) == 5

    def test_a_map_keeps_the_order(self, make_pool: Make) -> None:
        pool = make_pool(["cat"], size=2, **ONESHOT)
        messages = [str(number) for number in range(40)]
        assert pool.map(messages) == messages
        assert sorted(pool.imap_unordered(messages)) == sorted(messages)

    def test_a_status_other_than_0_is_an_error(self, make_pool: Make, way: str) -> None:
        pool = make_pool(shell("echo early >&2; cat; echo oops >&2; exit 3"), **ONESHOT)
        for _ in range(7):  # more than `restart.max_failures`
            with pytest.raises(AnswerError, match="the program exited with status 3") as caught:
                ask(pool, way, "half")
            record = caught.value.record
            assert "  | oops" in str(caught.value)
            assert caught.value.value == "half"
            assert record is not None
            assert (record.raw, record.stderr) == (b"half", "early\noops\n")
        assert pool.snapshot().state == "open"

    def test_an_answer_may_be_declared_an_error(self, make_pool: Make) -> None:
        protocol = {"kind": "oneshot", "error": "^ERR", "error_stderr": "^bad"}
        pool = make_pool(shell("tee /dev/stderr"), worker={"protocol": protocol})
        assert pool.call("fine") == "fine"
        for message in ("ERR 1", "bad\n"):
            with pytest.raises(AnswerError):
                pool.call(message)

    def test_an_error_may_be_tried_again(self, make_pool: Make, tmp_path: Path) -> None:
        script = f"cat > /dev/null; mkdir {tmp_path}/begun 2>/dev/null && exit 1; echo second"
        pool = make_pool(shell(script), **ONESHOT, retry={"attempts": 2, "on": ["error"]})
        assert pool.submit("").result(30) == "second\n"

    def test_a_signal_that_ends_it_is_a_crash(self, make_pool: Make, way: str) -> None:
        pool = make_pool(shell("cat > /dev/null; kill -SEGV $$"), **ONESHOT)
        with pytest.raises(WorkerDied, match="was killed by SIGSEGV before it answered"):
            ask(pool, way, "x")
        assert pool.snapshot().state == "open"

    def test_its_input_need_not_be_read(self, make_pool: Make, way: str) -> None:
        pool = make_pool(shell("head -c 3; exec <&-; echo"), **ONESHOT)
        assert ask(pool, way, "abc" * 200_000) == "abc\n"

    def test_it_may_close_its_output_before_it_ends(self, make_pool: Make, gate: Gate) -> None:
        pool = make_pool(shell(f"cat; exec >&-; cat {gate.path} >&2; exit 4"), **ONESHOT)
        future = pool.submit("x")
        gate.open()
        with pytest.raises(AnswerError, match="status 4"):
            future.result(30)

    def test_what_it_leaves_running_is_ended(self, make_pool: Make, way: str) -> None:
        pool = make_pool(shell("cat > /dev/null; sleep 600 & echo $!"), **ONESHOT)
        await_exit(int(ask(pool, way, "")))

    def test_too_long_an_answer_is_refused(self, make_pool: Make) -> None:
        protocol = {"kind": "oneshot", "max_message": 1000}
        pool = make_pool(shell("cat; head -c 1001 /dev/zero"), worker={"protocol": protocol})
        with pytest.raises(ProtocolError, match="longer than max_message"):
            pool.call("")

    def test_a_lease_is_good_for_one(self, make_pool: Make) -> None:
        pool = make_pool(["cat"], **ONESHOT)
        with pool.lease() as lease:
            lease.send("x" * 200_000)
            assert lease.wait(30)
            assert lease.read_stdout() == "x" * 200_000
        assert pool.call("y") == "y"


class TestItsProcess:
    def test_it_stands_ready_before_the_item(self, make_pool: Make, tmp_path: Path) -> None:
        pool = make_pool(shell(f"echo $$ >> {tmp_path}/started; cat"), size=2, **ONESHOT)
        pool.wait_ready()
        ready = pids(pool)
        assert len(ready) == 2
        future = pool.submit("x")
        assert future.result(30) == "x"
        assert future.record is not None
        pid = future.record.pid
        assert pid is not None
        assert pid in ready
        eventually(lambda: states(pool) == ["idle", "idle"])
        assert pid not in pids(pool)

    def test_the_next_one_starts_while_the_item_runs(self, make_pool: Make, gate: Gate) -> None:
        pool = make_pool(shell(f"cat; cat {gate.path}"), **ONESHOT)
        future = pool.submit("x")
        eventually(lambda: states(pool) == ["busy", "idle"])
        gate.open()
        assert future.result(30) == "x"

    def test_no_more_than_max_run_at_a_time(self, make_pool: Make, gate: Gate) -> None:
        pool = make_pool(shell(f"cat; cat {gate.path}"), size=2, **ONESHOT)
        futures = [pool.submit(str(number)) for number in range(5)]
        eventually(lambda: states(pool).count("idle") == 2)
        assert states(pool).count("busy") == 2
        gate.open_until(lambda: all(future.done() for future in futures))
        assert [future.result() for future in futures] == ["0", "1", "2", "3", "4"]

    def test_a_timeout_ends_it(self, make_pool: Make, way: str) -> None:
        pool = make_pool(shell("cat; exec sleep 600"), **ONESHOT, timeouts={"request": 0.2})
        with pytest.raises(RequestTimeout, match="of its answer had come b'half'") as caught:
            ask(pool, way, "half")
        record = caught.value.record
        assert record is not None
        assert record.pid is not None
        await_exit(record.pid)

    def test_kill_ends_it(self, make_pool: Make) -> None:
        pool = make_pool(shell("cat; exec sleep 600"), **ONESHOT)
        future = pool.submit("x")
        pid = eventually(lambda: [w.pid for w in pool.snapshot().workers if w.state == "busy"])[0]
        assert future.kill()
        await_exit(pid)

    def test_closing_ends_it_without_running_it(self, make_pool: Make, tmp_path: Path) -> None:
        pool = make_pool(shell(f"cat > /dev/null && touch {tmp_path}/ran"), size=2, **ONESHOT)
        pool.wait_ready()
        ready = pids(pool)
        began = monotonic()
        pool.close()
        assert monotonic() - began < 2
        for pid in ready:
            await_exit(pid)
        assert list(tmp_path.iterdir()) == []

    def test_closing_waits_for_what_runs(self, make_pool: Make, gate: Gate) -> None:
        pool = make_pool(shell(f"cat; cat {gate.path}"), **ONESHOT)
        futures = [pool.submit(message) for message in "ab"]
        closing = Thread(target=pool.close)
        closing.start()
        gate.open_until(lambda: all(future.done() for future in futures))
        closing.join()
        assert [future.result() for future in futures] == ["a", "b"]

    def test_one_that_cannot_start_breaks_the_pool(self, make_pool: Make) -> None:
        pool = make_pool(
            shell("echo no licence >&2; exit 1"),
            **ONESHOT,
            opened=False,
            restart={"max_failures": 2, "backoff": [0.01, 0.01]},
        )
        with pytest.raises(WorkerStartFailed, match="exited with status 1 before it was ready"):
            pool.open()

    def test_one_that_does_not_read_is_told_about_arguments(self, make_pool: Make) -> None:
        with pytest.raises(WorkerStartFailed, match=r"put \{message\} into worker.command"):
            make_pool(["echo", "hello"], **ONESHOT, restart={"backoff": [0.01, 0.01]})


class TestAnArgument:
    def test_any_bytes_but_nul(self, make_pool: Make) -> None:
        pool = make_pool(["printf", "%s|%s", "{message}", "<{message}>"], **BYTES)
        for message in (b"", b"\n\n", b"$(id) `id` ' \" \\ *", b".", EVERY_BYTE):
            assert pool.call(message) == message + b"|<" + message + b">"
        with pytest.raises(CodecError, match="must not hold a NUL, as it does at byte 1"):
            pool.call(b"a\0b")

    def test_its_length(self, make_pool: Make) -> None:
        pool = make_pool(["printf", "%s", "{message}"], **BYTES)
        assert pool.call(b"x" * LONGEST) == b"x" * LONGEST
        with pytest.raises(CodecError, match="and an argument at most 131071"):
            pool.call(b"x" * (LONGEST + 1))

    def test_its_input_is_empty(self, make_pool: Make, way: str) -> None:
        pool = make_pool([*shell('echo "$0"; wc -c'), "{message}"], **ONESHOT)
        assert ask(pool, way, "x") == "x\n0\n"

    def test_the_program_does_not_start_before(self, make_pool: Make, tmp_path: Path) -> None:
        program = shell(f"echo >> {tmp_path}/started")
        pool = make_pool([*program, "{message}"], size=2, **ONESHOT)
        pool.wait_ready()
        pool.call("x")
        pool.wait_ready()
        ready = pids(pool)
        pool.close()
        for pid in ready:
            await_exit(pid)
        assert (tmp_path / "started").read_text() == "\n"

    def test_its_program_must_be_there(self, make_pool: Make) -> None:
        with pytest.raises(WorkerStartFailed, match="cannot start 'no-such-program'"):
            make_pool(["no-such-program", "{message}"], **ONESHOT)

    def test_the_pid_is_the_programs(self, make_pool: Make) -> None:
        pool = make_pool([*shell('echo "$$ $0"'), "{message}"], **ONESHOT)
        future = pool.submit("x")
        answer = future.result(30)
        assert future.record is not None
        assert answer == f"{future.record.pid} x\n"


@pytest.mark.parametrize(
    ("command", "message", "expected"),
    [
        (
            ["tidy", "-q"],
            "<!DOCTYPE html><title>t</title><body><p>hello</p></body>",
            "<p>hello</p>",
        ),
        (["Rscript", "-"], "cat(1+1)", "2"),
        (["Rscript", "-e", "{message}"], "cat(6*7)", "42"),
        (["dot", "-Tsvg"], "digraph { a -> b }", "</svg>"),
    ],
)
def test_programs(make_pool: Make, command: list[str], message: str, expected: str) -> None:
    if shutil.which(command[0]) is None:
        packages = {"Rscript": "r-base-core", "dot": "graphviz"}
        package = packages.get(command[0], command[0])
        pytest.skip(f"missing: apt-get install --no-install-recommends {package}")
    pool = make_pool(command, **ONESHOT)
    for _ in range(3):
        assert expected in pool.call(message)
