"""`serve` in real processes, driven by hand over raw pipes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from processpool.wire.framing.declaration import FRAMED
from processpool.wire.framing.declared import make_framing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXIT = b"0;\n"
MIB = 1 << 20


@dataclass(frozen=True)
class Ended:
    """What a worker left behind."""

    answers: list[str]
    stderr: str
    status: int


class Worker:
    """One process under `serve`; its stdout through a framing."""

    def __init__(self, script: str, **environment: str) -> None:
        source = f"import os, subprocess, sys\nfrom processpool import serve\n{script}\n"
        # Unbuffered, what is printed before serve() would be on the pool's pipe already.
        inherited = {name: v for name, v in os.environ.items() if name != "PYTHONUNBUFFERED"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", source],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**inherited, **environment},
        )
        self._framing = make_framing(FRAMED)
        self._ready: list[bytes] = []

    def send(self, *messages: bytes, then_exit: bool = False) -> None:
        """Write requests, all of them at once."""
        requests = b"".join(b"%b%b" % (b"1;%d\n" % len(m), m) for m in messages)
        self.send_raw(requests + (EXIT if then_exit else b""))

    def send_raw(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def answer(self) -> bytes:
        """Wait for one answer."""
        assert self.process.stdout is not None
        while not self._ready:
            data = os.read(self.process.stdout.fileno(), MIB)
            self._ready += self._framing.feed(data)
            assert self._framing.error is None
            assert data, "stdout ended"
        return self._ready.pop(0)

    def end(self, data: bytes = b"") -> Ended:
        """Send the last bytes, close stdin, and collect everything."""
        stdout, stderr = self.process.communicate(data)
        answers = self._ready + self._framing.feed(stdout)
        assert self._framing.error is None
        assert self._framing.is_clean
        return Ended([a.decode() for a in answers], stderr.decode(), self.process.returncode)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def start() -> Iterator[Callable[..., Worker]]:
    """Return what starts a worker of this script; it is gone after the test."""
    with ExitStack() as stack:

        def start_worker(script: str, **environment: str) -> Worker:
            worker = Worker(script, **environment)
            stack.callback(worker.close)
            return worker

        yield start_worker


Start = Any
"""The fixture's type; a Callable[..., Worker]."""

ECHO = "serve(lambda message: message)"


# What is an answer


@pytest.mark.parametrize("message", ["", "hello", "Grüße\n½", "1;5\nhello0;\n"])
def test_echo(start: Start, message: str) -> None:
    worker = start(ECHO)
    worker.send(message.encode(), then_exit=True)
    assert worker.end() == Ended([message], "", 0)


def test_many_requests_in_one_write_are_answered_in_order(start: Start) -> None:
    worker = start(ECHO)
    messages = [str(number) * (number % 7) for number in range(5000)]
    sender = threading.Thread(target=worker.send, args=[m.encode() for m in messages])
    sender.start()
    assert [worker.answer().decode() for _ in messages] == messages
    sender.join()


def test_a_request_may_arrive_byte_by_byte(start: Start) -> None:
    worker = start(ECHO)
    for byte in b"1;5\nhello1;0\n":
        worker.send_raw(bytes([byte]))
    assert (worker.answer(), worker.answer()) == (b"hello", b"")


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("None", ""),
        ("'text ½'", "text ½"),
        ("b'bytes'", "bytes"),
        ("bytearray(b'array')", "array"),
        ("memoryview(b'view')", "view"),
        ("{'a': ['½', None, 1.5]}", '{"a":["½",null,1.5]}'),
        ("0", "0"),
        ("True", "true"),
        ("print('printed') or 'returned'", "printed\nreturned"),
        ("print('x', end='')", "x"),
        ("sys.stdout.buffer.write(b'raw') and None", "raw"),
        ("sys.__stdout__.write('original') and None", "original"),
    ],
)
def test_what_is_printed_and_then_what_is_returned(
    start: Start, expression: str, answer: str
) -> None:
    worker = start(f"serve(lambda message: {expression})")
    worker.send(b"", b"", then_exit=True)
    assert worker.end() == Ended([answer, answer], "", 0)


def test_prints_of_c_code_and_child_processes_are_the_answer_too(start: Start) -> None:
    worker = start(
        """
import ctypes
def handle(message):
    print("python")
    os.write(1, b"descriptor\\n")
    os.system("echo shell")
    subprocess.run([sys.executable, "-c", "print('child')"])
    subprocess.run("echo reopened >>/dev/stdout", shell=True)
    ctypes.CDLL(None).printf(b"C %s", b"code")
serve(handle)
"""
    )
    worker.send(b"", b"", then_exit=True)
    expected = "python\ndescriptor\nshell\nchild\nreopened\nC code"
    assert worker.end() == Ended([expected, expected], "", 0)


def test_a_large_print_is_one_answer(start: Start) -> None:
    worker = start("serve(lambda message: print('x' * 5_000_000, end=''))")
    worker.send(b"")
    assert worker.answer() == b"x" * 5_000_000


def test_the_handler_cannot_reach_the_protocol(start: Start) -> None:
    worker = start(
        """
def handle(message):
    assert sys.stdin.read() == ""
    subprocess.run("cat; ls /proc/self/fd | sort -n | tail -1", shell=True)
serve(handle)
"""
    )
    worker.send(b"", b"next")
    for _ in range(2):
        assert int(worker.answer()) < 100


def test_a_fork_answers_nothing_and_holds_nothing_open(start: Start) -> None:
    worker = start(
        """
def handle(message):
    if os.fork() == 0:
        return "child"
    os.wait()
    return "parent"
serve(handle)
"""
    )
    worker.send(b"")
    assert worker.answer() == b"parent"
    assert worker.end(EXIT).answers == []


# stderr


def test_stderr_is_in_its_pipe_before_the_answer(start: Start) -> None:
    worker = start(
        """
def handle(message):
    print("python", end=";", file=sys.stderr)
    os.system("echo child >&2")
serve(handle)
"""
    )
    worker.send(b"")
    assert worker.answer() == b""
    os.set_blocking(worker.process.stderr.fileno(), False)
    assert sorted(os.read(worker.process.stderr.fileno(), 1000).split()) == [b"child", b"python;"]


def test_what_is_printed_outside_of_a_request_goes_to_stderr(start: Start) -> None:
    worker = start(
        """
class Handler:
    def handle_request(self, message):
        return message
    def handle_exit(self):
        print("at exit")
print("at start")
serve(Handler())
print("afterwards")
"""
    )
    worker.send(b"hi", then_exit=True)
    assert worker.end() == Ended(["hi"], "at start\nat exit\nafterwards\n", 0)


def test_what_is_printed_between_requests_goes_to_stderr(start: Start) -> None:
    worker = start(
        """
import signal
def late(signum, frame):
    os.write(1, b"late")
    os.write(2, b"x")
signal.signal(signal.SIGUSR1, late)
serve(lambda message: message)
"""
    )
    worker.send(b"1")
    assert worker.answer() == b"1"
    worker.process.send_signal(signal.SIGUSR1)
    assert os.read(worker.process.stderr.fileno(), 1) == b"x"  # it is printed now
    worker.send(b"2", then_exit=True)
    assert worker.end() == Ended(["2"], "late", 0)


# How it ends


def test_end_of_stdin_is_an_exit_message(start: Start) -> None:
    worker = start(
        """
class Handler:
    def handle_request(self, message): return message
    def handle_exit(self): print("bye", file=sys.stderr)
serve(Handler())
"""
    )
    assert worker.end() == Ended([], "bye\n", 0)


def test_an_exception_ends_the_worker_without_an_answer(start: Start) -> None:
    worker = start(
        """
def handle(message):
    print("before")
    return 1 / int(message)
serve(handle)
"""
    )
    worker.send(b"1", b"0", b"1")
    ended = worker.end()
    assert (ended.answers, ended.status) == (["before\n1.0"], 1)
    before, _, traceback = ended.stderr.partition("Traceback")
    assert before == "before\n"
    assert traceback.endswith("ZeroDivisionError: division by zero\n")
    assert "in handle" in traceback
    assert "serve.py" not in traceback


@pytest.mark.parametrize(
    ("handler", "problem"),
    [
        ("lambda message: object()", "TypeError: Object of type object is not JSON serializable"),
        ("lambda message: float('nan')", "ValueError: Out of range float values"),
        ("lambda message: '\\ud800'", "UnicodeEncodeError"),
        ("lambda message: exec('raise KeyboardInterrupt')", "KeyboardInterrupt"),
    ],
)
def test_what_else_is_an_exception(start: Start, handler: str, problem: str) -> None:
    worker = start(f"serve({handler})")
    worker.send(b"x")
    ended = worker.end()
    assert (ended.answers, ended.status) == ([], 1)
    assert problem in ended.stderr


@pytest.mark.parametrize(
    ("code", "stderr", "status"),
    [("", "", 0), ("0", "", 0), ("7", "", 7), ("'no licence'", "no licence\n", 1)],
)
def test_exit_inside_a_request_is_an_answer(
    start: Start, code: str, stderr: str, status: int
) -> None:
    worker = start(
        f"""
class Handler:
    def handle_request(self, message):
        print("done", message)
        sys.exit({code})
    def handle_exit(self):
        print("not called")
serve(Handler())
"""
    )
    worker.send(b"a", b"b")
    assert worker.end() == Ended(["done a\n"], stderr, status)


def test_a_crash_does_not_lose_earlier_answers(start: Start) -> None:
    worker = start("serve(lambda message: os.abort() if message == 'die' else message)")
    worker.send(b"1", b"2", b"die", b"3")
    ended = worker.end()
    assert (ended.answers, ended.status) == (["1", "2"], -6)
    assert "Fatal Python error: Aborted" in ended.stderr


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"hello\n", r"a request must begin with 1;<bytes>\n, got b'hello\n'"),
        (b"1;-1\nx", r"a request must begin with 1;<bytes>\n, got b'1;-1\n'"),
        (b"1;1_0\n", r"a request must begin with 1;<bytes>\n, got b'1;1_0\n'"),
        (b"1;\n", r"a request must begin with 1;<bytes>\n, got b'1;\n'"),
        (b"2;1\nx", r"a request must begin with 1;<bytes>\n, got b'2;1\n'"),
        (
            b"1;" + b"9" * 30,
            r"a request must begin with 1;<bytes>\n, got b'1;99999999999999999999'",
        ),
        (
            b"1;9999999999999999999\n",
            "a request of 9999999999999999999 bytes does not fit in memory",
        ),
        (b"1;5\nhel", "stdin ended after 3 of 5 bytes of a request"),
    ],
)
def test_a_broken_request_ends_the_worker(start: Start, data: bytes, problem: str) -> None:
    worker = start(ECHO)
    assert worker.end(b"1;2\nok" + data) == Ended(["ok"], f"processpool worker: {problem}\n", 1)


def test_nobody_reads_the_answers(start: Start) -> None:
    worker = start(ECHO)
    worker.process.stdout.close()
    worker.send(b"x")
    assert worker.process.wait() == 0
    assert worker.process.stderr.read() == b""


# What the pool says by the environment


@pytest.mark.parametrize(
    ("codec", "message", "seen"),
    [
        ("text", "½", "'½'"),
        ("bytes", "½", r"b'\xc2\xbd'"),
        ("json", '{"a": ["½"]}', "{'a': ['½']}"),
    ],
)
@pytest.mark.parametrize("by_keyword", [True, False])
def test_codecs(start: Start, codec: str, message: str, seen: str, by_keyword: bool) -> None:
    if by_keyword:
        worker = start(f"serve(repr, codec={codec!r})", PROCESSPOOL_CODEC="unknown")
    else:
        worker = start("serve(repr)", PROCESSPOOL_CODEC=codec)
    worker.send(message.encode(), then_exit=True)
    assert worker.end() == Ended([seen], "", 0)


def test_a_message_that_is_no_text_ends_the_worker(start: Start) -> None:
    worker = start(ECHO)
    worker.send(b"\xff")
    ended = worker.end()
    assert (ended.answers, ended.status) == ([], 1)
    assert "invalid start byte" in ended.stderr


def test_readiness_is_told_once_and_not_handed_on(start: Start) -> None:
    read, write = os.pipe()
    worker = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os\nfrom processpool import serve\n"
            "serve(lambda _: str('PROCESSPOOL_READY_FD' in os.environ))",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=[write],
        env={**os.environ, "PROCESSPOOL_READY_FD": str(write)},
    )
    os.close(write)
    with open(read, "rb") as ready:
        assert ready.read(1) == b"\n"
        stdout, _ = worker.communicate(b"1;0\n")
        assert stdout == b"5;False"
        assert ready.read() == b""


@pytest.mark.parametrize("descriptor", ["", "x", "77"])
def test_readiness_that_nobody_waits_for(start: Start, descriptor: str) -> None:
    worker = start(ECHO, PROCESSPOOL_READY_FD=descriptor)
    worker.send(b"x")
    assert worker.end() == Ended(["x"], "", 0)


@pytest.mark.parametrize(
    ("handler", "problem"),
    [
        ("5", "takes a function of the message, or an object with handle_request(message), got 5"),
        ("type('H', (), {'handle_request': print})", "takes an object, got the class: write H()"),
    ],
)
def test_the_wrong_handler_is_refused(start: Start, handler: str, problem: str) -> None:
    ended = start(f"serve({handler})").end()
    assert ended.stderr.endswith(f"TypeError: serve() {problem}\n")


def test_a_worker_imports_little(start: Start) -> None:
    worker = start("serve(lambda message: list(sys.modules))")
    worker.send(b"")
    loaded = set(json.loads(worker.answer()))
    assert loaded.isdisjoint(
        {"pydantic", "yaml", "inspect", "traceback", "ctypes", "processpool.errors"}
    )


@pytest.mark.parametrize("size", [MIB, 20 * MIB])
@pytest.mark.parametrize("codec", ["text", "bytes"])
def test_large_messages(start: Start, size: int, codec: str) -> None:
    worker = start(f"serve(lambda message: message, codec={codec!r})")
    message = b"0123456789abcdef" * (size // 16)
    for _ in range(2):
        worker.send(message)
        assert worker.answer() == message
    assert worker.end(EXIT).status == 0


@pytest.mark.parametrize(
    "harm", ["sys.stdout.close()", "sys.stderr.close()", "sys.stdout = None", "os.close(1)"]
)
def test_a_handler_that_closes_its_streams_still_answers(start: Start, harm: str) -> None:
    worker = start(
        f"""
def handle(message):
    if message == "harm":
        {harm}
    return message
serve(handle)
"""
    )
    worker.send(b"harm", b"next")
    assert (worker.answer(), worker.answer()) == (b"harm", b"next")
