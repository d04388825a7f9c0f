"""Programs that do everything wrong: a clear error for that item, and the pool is well afterwards.

A hostile program is a foreign one that does what its messages say (`puppet.py`), so that each of
its misdeeds is one line here. The same of Python functions → `test_python_hostilities`.
"""

from __future__ import annotations

import os
import re
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from processpool import (
    CodecError,
    PoolBroken,
    ProcessPool,
    ProtocolError,
    RequestTimeout,
    UnexpectedEOF,
    WorkerDied,
    WorkerStartFailed,
)
from processpool.tracing import Trace
from tests.process.support import PUPPET, ask, await_exit, eventually, is_gone, pids

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIMIT = 0.3
"""Seconds that an item may take, where nothing else ends it."""


class Misdeed(NamedTuple):
    """What a worker does instead of answering; and the error, and what it says."""

    code: str
    error: type[Exception]
    says: str


DAEMONISE = """
if not os.fork():
    os.setsid()
    if not os.fork():
        note(os.getpid())
        signal.pause()
    os._exit(0)
os.wait()
while not noted(): time.sleep(0.001)
"""
"""A grandchild in a session of its own, which has all the worker's pipes."""

MISDEEDS = {
    "exits at once": Misdeed("os._exit(0)", WorkerDied, "exited with status 0 before it answered"),
    "exits with an error": Misdeed("sys.exit('no licence')", WorkerDied, "| no licence"),
    "is killed": Misdeed("die()", WorkerDied, r"SIGKILL before it answered \(out of memory\?\)"),
    "answers nothing": Misdeed("pass", RequestTimeout, "did not answer within 0.3"),
    "answers half": Misdeed("raw(b'10;half')", RequestTimeout, "after 4 of 10 bytes"),
    "answers half and exits": Misdeed(
        "raw(b'10;half'); os._exit(1)", UnexpectedEOF, "after 4 of 10 bytes.* status 1"
    ),
    "answers half of a length": Misdeed("raw(b'12')", RequestTimeout, "a length: b'12'"),
    "answers with a header of zeros": Misdeed("raw(b'0' * 99)", ProtocolError, "19 digits"),
    "closes stdout and lives on": Misdeed(
        "os.close(1); signal.pause()", UnexpectedEOF, "closed its standard output without an answer"
    ),
    "closes all and lives on": Misdeed(
        "os.closerange(0, 3); signal.pause()", UnexpectedEOF, "closed its standard output"
    ),
    "closes stdin and lives on": Misdeed(
        "os.close(0); signal.pause()", RequestTimeout, "did not answer"
    ),
    "stops itself": Misdeed("os.kill(os.getpid(), signal.SIGSTOP)", RequestTimeout, "not answer"),
    "stops its group": Misdeed("os.killpg(0, signal.SIGSTOP)", RequestTimeout, "did not answer"),
    "ends its group": Misdeed("os.killpg(0, signal.SIGTERM)", WorkerDied, "killed by SIGTERM"),
    "ignores all signals": Misdeed(
        "[signal.signal(n, signal.SIG_IGN) for n in (1, 2, 3, 13, 15)]; time.sleep(600)",
        RequestTimeout,
        "did not answer",
    ),
    "spins": Misdeed("while True: pass", RequestTimeout, "did not answer"),
    "leaves a grandchild that holds the pipes": Misdeed(
        "os.spawnlp(os.P_NOWAIT, 'sleep', 'sleep', '1000'); os._exit(2)",
        WorkerDied,
        "exited with status 2",
    ),
    "leaves a grandchild that floods the pipes": Misdeed(
        "import subprocess; subprocess.Popen(['yes'], stdout=2); os._exit(2)",
        WorkerDied,
        "exited with status 2",
    ),
    "daemonises": Misdeed(DAEMONISE + "os._exit(0)", WorkerDied, "exited with status 0"),
    "leaves its session": Misdeed(
        "os.fork() and os._exit(0); os.setsid(); note(os.getpid()); signal.pause()",
        WorkerDied,
        "exited with status 0",
    ),
    "fills the disk": Misdeed(
        "open('/dev/full', 'wb', 0).write(b'x')", WorkerDied, "No space left on device"
    ),
    "fills its quota of files": Misdeed(
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); "
        "signal.signal(signal.SIGXFSZ, signal.SIG_DFL); open(path, 'wb', 0).write(bytes(9999)); "
        "open(path, 'ab', 0).write(bytes(9999))",
        WorkerDied,
        "killed by SIGXFSZ",
    ),
    "answers a length of 20 digits": Misdeed(
        "raw(b'1' * 20 + b';x')", ProtocolError, "more than 19 digits: b'1111"
    ),
    "answers a length of 19 digits": Misdeed(
        "raw(b'9' * 19 + b';x')", ProtocolError, r"longer than max_message \(10000000\)"
    ),
    "answers a negative length": Misdeed("raw(b'-1;x')", ProtocolError, "got: b'-1;x'"),
    "prints instead of answering": Misdeed(
        "print('Loading...', flush=True)", ProtocolError, r"got: b'Loading...\\n'"
    ),
    "sends NULs": Misdeed("raw(bytes(100))", ProtocolError, r"got: b'\\x00\\x00"),
    "sends invalid UTF-8": Misdeed(
        r"answer(b'ok\xff')", CodecError, r"invalid UTF-8 at byte 2 \(0xff"
    ),
    "sends half a character": Misdeed(
        r"answer(b'\xf0\x9f')", CodecError, "at byte 0 .*unexpected end of data"
    ),
    "floods stdout with garbage": Misdeed(
        "while True: raw(b'x' * 65536)", ProtocolError, "must begin with its length"
    ),
    "floods stderr": Misdeed(
        "while True: err(b'x' * 65536)", RequestTimeout, "did not answer within"
    ),
    "trickles": Misdeed(
        "raw(b'99;')\nwhile True: raw(b'x'); time.sleep(0.05)", RequestTimeout, "of 99 bytes"
    ),
    "trickles a length": Misdeed(
        "while True: raw(b'0'); time.sleep(0.2)", RequestTimeout, "a length: b'0"
    ),
    "trickles stderr": Misdeed("while True: err('x'); time.sleep(0.05)", RequestTimeout, "answer"),
}
GIVES_UP_NOTHING = ("sends invalid UTF-8", "sends half a character")
"""The worker is as good as before."""


class Notes:
    """Where a worker writes down which process lives on, for the test to end it."""

    def __init__(self, path: Path) -> None:
        self.code = (
            f"path = {str(path)!r}\n"
            "def note(pid): open(path + '.new', 'w').write(str(pid)); "
            "os.rename(path + '.new', path)\n"
            "def noted(): return os.path.exists(path)\n"
        )
        self._path = path

    def end(self) -> None:
        if self._path.exists() and self._path.read_bytes().isdigit():
            pid = int(self._path.read_text())
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            await_exit(pid)


@pytest.mark.parametrize("name", MISDEEDS)
def test_a_misdeed_costs_one_item(
    make_pool: Callable[..., ProcessPool], tmp_path: Path, name: str
) -> None:
    code, error, says = MISDEEDS[name]
    notes = Notes(tmp_path / "pid")
    limit = LIMIT if error is RequestTimeout else 20
    pool = make_pool(
        timeouts={"request": limit, "exit": 1.0},
        worker={"protocol": {"kind": "framed", "max_message": 10_000_000}},
    )
    (pid,) = pids(pool)
    assert pool.call("answer('before')") == "before"
    try:
        with pytest.raises(error, match=f"(?s){says}") as caught:
            pool.call(notes.code + code)
        assert type(caught.value) is error
        record: Any = caught.value.record  # type: ignore[attr-defined]
        assert (record.error, record.pid) == (caught.value, pid)
        assert pool.call("answer('next')") == "next"
        assert pool.map(["answer(1)", "answer(2)"]) == ["1", "2"]
        assert (pids(pool) == [pid]) is (name in GIVES_UP_NOTHING)
        if name not in GIVES_UP_NOTHING:
            await_exit(pid)
        pool.close()
    finally:
        notes.end()


def test_all_misdeeds_at_once_in_one_map(
    make_pool: Callable[..., ProcessPool], tmp_path: Path
) -> None:
    notes = [Notes(tmp_path / f"pid{number}") for number in range(len(MISDEEDS))]
    pool = make_pool(
        size=6,
        timeouts={"request": 0.9, "exit": 1.0},
        worker={"protocol": {"kind": "framed", "max_message": 10_000_000}},
    )
    messages: list[str] = []
    for number, misdeed in enumerate(MISDEEDS.values()):
        messages += [f"answer({number})", notes[number].code + misdeed.code]
    try:
        answers = pool.map(messages, on_error="return")
        assert answers[::2] == [str(number) for number in range(len(MISDEEDS))]
        for answer, misdeed in zip(answers[1::2], MISDEEDS.values(), strict=True):
            assert type(answer) is misdeed.error
            assert re.search(misdeed.says.replace("0.3", "0.9"), str(answer), re.DOTALL)
        assert pool.wait_ready(30)
    finally:
        for each in notes:
            each.end()


WITH_ITS_ANSWER = {
    "answers twice": "raw(b'3;one3;two')",
    "answers too much": "raw(b'3;oneone')",
}
BEHIND_ITS_ANSWER = {
    "answers twice in two writes": "answer('one'); answer('two')",
    "prints": "answer('one'); print('Done.', flush=True)",
    "floods stdout": "answer('one')\nwhile True: raw(b'x' * 65536)",
}
"""Whether it comes with the answer or after it is a matter of luck."""


@pytest.mark.parametrize("way", ["call", "map"])
@pytest.mark.parametrize("name", WITH_ITS_ANSWER | BEHIND_ITS_ANSWER)
def test_more_than_an_answer(make_pool: Callable[..., ProcessPool], name: str, way: str) -> None:
    pool = make_pool(timeouts={"request": 10})
    try:
        got = ask(pool, way, (WITH_ITS_ANSWER | BEHIND_ITS_ANSWER)[name])
    except ProtocolError as error:
        got = str(error)
    if got != "one" or name in WITH_ITS_ANSWER:
        assert "answered b'one', and with that came b'" in got
    assert [ask(pool, way, f"answer({n})") for n in range(5)] == [str(n) for n in range(5)]


AFTER_ITS_ANSWER = {
    "floods stderr": "answer('one')\nfor _ in range(200): err(b'x' * 65536)",
    "exits": "answer('one'); os._exit(1)",
    "is killed": "answer('one'); die()",
    "stops itself": "answer('one'); os.kill(os.getpid(), signal.SIGSTOP)",
    "never reads again": "answer('one'); time.sleep(600)",
    "closes stdin and lives on": "answer('one'); os.close(0); signal.pause()",
    "closes stdout and lives on": "answer('one'); os.close(1); signal.pause()",
    "leaves a grandchild": "answer('one'); os.spawnlp(os.P_NOWAIT, 'sleep', 'sleep', '1000')",
}
COST_THE_NEXT = {
    "stops itself": RequestTimeout,
    "never reads again": RequestTimeout,
    "closes stdout and lives on": UnexpectedEOF,
}
"""What cannot be known before the next item was sent: that item has this error, if it is a bad one.
"""


@pytest.mark.parametrize("way", ["call", "map"])
@pytest.mark.parametrize("name", AFTER_ITS_ANSWER)
def test_a_misdeed_after_an_answer(
    make_pool: Callable[..., ProcessPool], name: str, way: str
) -> None:
    pool = make_pool(timeouts={"request": 1.0 if name in COST_THE_NEXT else 10.0})
    assert ask(pool, way, AFTER_ITS_ANSWER[name]) == "one"
    if name in COST_THE_NEXT:
        with suppress(COST_THE_NEXT[name]):
            assert ask(pool, way, "answer('next')") == "next"
    assert [ask(pool, way, f"answer({n})") for n in range(5)] == [str(n) for n in range(5)]


@pytest.mark.parametrize("way", ["call", "map", "submit"])
def test_one_that_closes_its_stdin_costs_nothing_even_without_a_timeout(
    make_pool: Callable[..., ProcessPool], way: str
) -> None:
    pool = make_pool()
    (pid,) = pids(pool)
    assert ask(pool, way, "answer('one'); os.close(0); signal.pause()") == "one"
    eventually(lambda: _has_no_stdin(pid))
    assert ask(pool, way, "answer('next')") == "next"
    await_exit(pid)


def test_one_that_closes_its_stdin_cannot_be_leased_in_vain(
    make_pool: Callable[..., ProcessPool],
) -> None:
    pool = make_pool()
    with pool.lease() as lease:
        lease.send("answer('one'); os.close(0); signal.pause()")
        assert lease.read_stdout() == "one"
        eventually(lambda: _has_no_stdin(lease.pid))
        lease.send("answer('two')")
        with pytest.raises(UnexpectedEOF, match="ended without an answer"):
            lease.read_stdout()
    assert pool.call("answer('next')") == "next"


def test_one_that_answers_what_it_had_read_before_it_closed_its_stdin(
    make_pool: Callable[..., ProcessPool],
) -> None:
    pool = make_pool(worker={"protocol": {"kind": "framed", "pipeline": 2}})
    slow = "os.close(0); time.sleep(1.2); answer('late'); signal.pause()"
    first = pool.submit(slow)
    (pid,) = pids(pool)
    eventually(lambda: _has_no_stdin(pid))
    second = pool.submit("answer('elsewhere')")
    assert first.result(30) == "late"
    assert second.result(30) == "elsewhere"


LEAVES_IT_UNREAD = """
import os, select, signal, sys
from pathlib import Path

part, mark = int(sys.argv[1]), Path(sys.argv[2])
if mark.exists():  # this is its successor
    for line in sys.stdin:
        print("answered", line, end="", flush=True)
else:
    select.select([0], [], [])
    mark.touch()
    os.read(0, part) if part else None
    os.close(0)
    signal.pause()
"""
"""A program that reads so many bytes of its first request, closes its stdin, and lives on."""


@pytest.mark.parametrize("way", ["call", "submit", "map"])
def test_a_request_that_it_leaves_unread_goes_to_another(
    make_pool: Callable[..., ProcessPool], tmp_path: Path, way: str
) -> None:
    command = ["python", "-c", LEAVES_IT_UNREAD, "0", str(tmp_path / "mark")]
    pool = make_pool(command, worker={"protocol": "lines"})
    (pid,) = pids(pool)
    assert ask(pool, way, "hello") == "answered hello"
    await_exit(pid)


@pytest.mark.parametrize("way", ["call", "submit", "map"])
def test_a_request_of_which_it_reads_a_part_fails(
    make_pool: Callable[..., ProcessPool], tmp_path: Path, way: str
) -> None:
    command = ["python", "-c", LEAVES_IT_UNREAD, "2", str(tmp_path / "mark")]
    pool = make_pool(command, worker={"protocol": "lines"})
    with pytest.raises(WorkerDied, match=r"was ended \(closed stdin within a request\)"):
        ask(pool, way, "hello")
    assert ask(pool, way, "again") == "answered again"


def test_a_leased_one_that_reads_a_part_of_a_request(
    make_pool: Callable[..., ProcessPool], tmp_path: Path
) -> None:
    command = ["python", "-c", LEAVES_IT_UNREAD, "2", str(tmp_path / "mark")]
    pool = make_pool(command, worker={"protocol": "lines"})
    with pool.lease() as lease:
        lease.send("hello")
        with pytest.raises(UnexpectedEOF, match="closed stdin within a request"):
            lease.read_stdout()
    assert pool.call("again") == "answered again"


def test_an_idle_one_that_closes_its_stdin_is_replaced(
    make_pool: Callable[..., ProcessPool],
) -> None:
    pool = make_pool()
    (pid,) = pids(pool)
    assert pool.submit("answer('one'); os.close(0); signal.pause()").result(30) == "one"
    await_exit(pid)
    assert pool.call("answer('next')") == "next"


def _has_no_stdin(pid: int) -> bool:
    """True if a process has closed its descriptor 0, or is gone."""
    return not os.path.lexists(f"/proc/{pid}/fd/0")


AT_ITS_START = {
    "exits at once": ("sys.exit(3)", "exited with status 3 before it was ready"),
    "is killed at once": ("die(signal.SIGSEGV)", "was killed by SIGSEGV before it was ready"),
    "stops itself": ("os.kill(os.getpid(), signal.SIGSTOP)", r"was not ready within 0\.7 s"),
    "prints before it was asked": ("print('Hello', flush=True)", "before it was asked anything"),
    "answers before it was asked": ("os.write(1, b'5;hello')", "before it was asked anything"),
    "floods stdout": ("while True: os.write(1, b'x' * 65536)", "standard output|not ready"),
    "closes stdin": ("os.close(0)", "exited with status 1 before it was ready"),
    "daemonises": ("os.fork() and os._exit(0); os.setsid(); time.sleep(3)", "with status 0 before"),
    "writes invalid UTF-8 and exits": (r"os.write(2, b'\xff\0'); os._exit(1)", "\ufffd"),
}


@pytest.mark.parametrize("name", AT_ITS_START)
def test_a_misdeed_at_the_start_is_told_and_mended(
    make_pool: Callable[..., ProcessPool], tmp_path: Path, name: str
) -> None:
    code, says = AT_ITS_START[name]
    hostile = tmp_path / "hostile"
    start = f"if os.path.exists({str(hostile)!r}):\n    " + code.replace("\n", "\n    ")
    start = start.replace("die(", "(lambda n: os.kill(os.getpid(), n))(")
    options: dict[str, Any] = {
        "timeouts": {"start": 0.7, "exit": 0.5, "request": 20},
        "restart": {"max_failures": 1, "within": 60, "backoff": [0, 0]},
    }
    hostile.touch()
    with pytest.raises(WorkerStartFailed, match=f"(?s){says}"):
        make_pool([*PUPPET, "framed", start], **options)
    hostile.unlink()
    pool = make_pool([*PUPPET, "framed", start], **options)
    hostile.touch()
    with pytest.raises(WorkerDied):
        pool.call("die()")
    with pytest.raises(PoolBroken, match=f"(?s){says}"):
        pool.call("answer()")
    hostile.unlink()
    pool.reset()
    assert pool.call("answer('well')") == "well"


@pytest.mark.parametrize("way", ["call", "map"])
@pytest.mark.parametrize(
    ("code", "error", "says"),
    [
        ("time.sleep(600)", RequestTimeout, "did not answer"),
        (
            "os.close(1); time.sleep(600)",
            UnexpectedEOF,
            "closed its standard output without an answer",
        ),
    ],
)
def test_one_that_only_seems_to_await_a_request(
    make_pool: Callable[..., ProcessPool],
    tmp_path: Path,
    way: str,
    code: str,
    error: type[Exception],
    says: str,
) -> None:
    hostile = tmp_path / "hostile"
    hostile.touch()
    pool = make_pool(
        [*PUPPET, "framed", f"if os.path.exists({str(hostile)!r}): {code}"],
        timeouts={"request": LIMIT if error is RequestTimeout else 20},
        restart={"max_failures": 1, "within": 60, "backoff": [0, 0]},
    )
    with pytest.raises(error, match=says):
        ask(pool, way, "answer('never')")
    hostile.unlink()
    with suppress(error):  # the next worker may have been started before
        ask(pool, way, "answer('perhaps')")
    assert ask(pool, way, "answer('well')") == "well"


def test_one_that_closes_its_input_before_it_reads(make_pool: Callable[..., ProcessPool]) -> None:
    with pytest.raises(WorkerStartFailed, match="closed its standard input before it had"):
        make_pool(
            [*PUPPET, "framed", "os.close(0); time.sleep(600)"],
            restart={"max_failures": 1, "within": 60, "backoff": [0, 0]},
        )


def test_a_full_disk_ends_a_trace_and_nothing_else(
    make_pool: Callable[..., ProcessPool], caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool()
    with pool.tracing("/dev/full") as trace:
        assert pool.map([f"answer({n})" for n in range(2000)]) == [str(n) for n in range(2000)]
    assert pool.call("answer('next')") == "next"
    assert caplog.text.count("the trace /dev/full is not written any further") == 1
    assert isinstance(trace, Trace)
    assert sum(span.count for span in trace.spans) == 2000


def test_whatever_a_grandchild_does_ends_with_the_pool(
    make_pool: Callable[..., ProcessPool],
) -> None:
    pool = make_pool(size=2)
    pool.wait_ready()
    start = "answer(os.spawnlp(os.P_NOWAIT, 'sh', 'sh', '-c', 'trap \"\" TERM HUP INT; sleep 999'))"
    children = [int(pool.call(start)) for _ in range(4)]
    pool.close()
    for child in children:
        await_exit(child)
        assert is_gone(child)
