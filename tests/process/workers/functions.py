"""Functions that the tests have Python workers call: importable, and cheap to import."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: int
    y: int

    def moved(self, dx: int) -> Point:
        return Point(self.x + dx, self.y)


class Scaler:
    """A callable with a state."""

    def __init__(self, factor: int) -> None:
        self.factor = factor

    def __call__(self, x: int) -> int:
        return self.factor * x

    def scale(self, x: int) -> int:
        return self.factor * x


def inc(x: int) -> int:
    return x + 1


def add(x: int, y: int = 0, *, z: int = 0) -> int:
    return x + y + z


def same(x: Any) -> Any:
    return x


def kind_of(x: Any) -> str:
    return f"{type(x).__module__}.{type(x).__qualname__}"


def pid(_: Any = None) -> int:
    return os.getpid()


def fail(text: str) -> None:
    raise ValueError(text)


def wait_at(path: str) -> str:
    """Wait at a gate; see `Gate` in the tests' support."""
    with open(path, "rb") as fifo:
        fifo.read()
    return "passed"


def note(path: str, text: Any) -> Any:
    """Leave a line in a file, at once."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{text}\n".encode())
    os.close(fd)
    return text


def end(how: str) -> None:
    """End this process in one of many ways."""
    if how == "exit":
        os._exit(7)
    elif how == "clean exit":
        os._exit(0)
    elif how == "abort":
        os.abort()
    elif how == "segfault":
        import ctypes

        ctypes.string_at(0)
    else:
        os.kill(os.getpid(), signal.Signals[how])


def print_all(n: int) -> int:
    """Print in every way there is."""
    print("python", n)
    print("error", n, file=sys.stderr)
    os.write(1, b"descriptor %d\n" % n)
    subprocess.run([sys.executable, "-SIc", f"print('child {n}')"], check=True)
    return n


def printf(n: int) -> int:
    """Print by C code, without a newline: C keeps it in its buffer."""
    import ctypes

    ctypes.CDLL(None).printf(b"c %d", n)
    return n


def write_fd(n: int) -> int:
    os.write(1, b"%d" % n)
    return n


def leave_thread(path: str) -> None:
    """Leave a daemon thread behind that prints when the gate is opened, and then waits for ever."""

    def run() -> None:
        wait_at(path)
        print("from behind")
        note(path + ".done", "printed")
        threading.Event().wait()

    threading.Thread(target=run, daemon=True).start()


def hold_gil(seconds: float) -> None:
    """Be in C code that holds the GIL and does not return for some time."""
    end_at = time.monotonic() + seconds
    while time.monotonic() < end_at:
        sum(range(10**10))


class Unpicklable:
    def __reduce__(self) -> Any:
        raise RuntimeError("I stay here")


class ExitsWhenPickled:
    def __reduce__(self) -> Any:
        sys.exit("no pickling")


class RaisesWhenUnpickled:
    def __reduce__(self) -> Any:
        return fail, ("not here",)


class ExitsWhenUnpickled:
    def __reduce__(self) -> Any:
        return sys.exit, (5,)


class EndsWhenUnpickled:
    def __reduce__(self) -> Any:
        return os._exit, (5,)


class EndsWhenPickled:
    def __reduce__(self) -> Any:
        os._exit(6)


def make(name: str) -> Any:
    """An instance of a class of this module."""
    return globals()[name]()


_journals: dict[str, int] = {}


def count_in(path: str, n: int) -> int:
    """Note a number in a file, in one write, and answer with its square."""
    fd = _journals.get(path)
    if fd is None:
        fd = _journals[path] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, b"%d\n" % n)
    return n * n


def count_slowly(path: str, n: int) -> int:
    """The same, taking a while now and then."""
    result = count_in(path, n)
    if n % 50 == 0:
        time.sleep(0.005)
    return result


def count_and_end(path: str, n: int, every: int, how: str) -> int:
    """The same, but the process ends at some of the numbers."""
    result = count_in(path, n)
    if n % every == every - 1:
        end(how)
    return result


def use_pool(n: int) -> list[int]:
    """Use a pool of one's own."""
    from processpool import ProcessPool

    with ProcessPool.from_dict({"worker": {"kind": "python"}, "size": {"max": 1}}) as pool:
        return [*pool.map(inc, range(n)), pool.call(pid)]
