"""What the machine itself can do: raw pipes between two processes, and a bare interpreter.

Nothing here uses a pool. Pipes are blocking, of default size, and driven by plain `os.read` and
`os.write`, the best that a plain Python program can do.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from statistics import median
from time import perf_counter, sleep
from typing import TYPE_CHECKING

import psutil

from benchmarks.placement import FREE, Placement, children
from benchmarks.work import touch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.harness import Figures

READ_SIZES = tuple(1 << bits for bits in range(16, 21))
"""64 KiB to 1 MiB: which is the best depends on the machine, so all are tried."""


def ping_pong(request: int, answer: int, exchanges: int, placement: str = FREE) -> Figures:
    """Send `request` bytes to another process and wait for `answer` bytes, again and again.

    Args:
        request: Bytes sent each time.
        answer: Bytes received each time.
        exchanges: How often; the same number is timed as a whole and one by one.
        placement: Which CPUs the two processes run on.

    Returns:
        `p50`, the median exchange in seconds, and `rate`, exchanges per second over all of them.
    """
    place = Placement(placement)
    data = b"x" * request
    with _forked(_answer_with, b"y" * answer) as (to_child, from_child):
        place.place_children(children())
        _exchange(to_child, from_child, data, exchanges // 10)
        start = perf_counter()
        _exchange(to_child, from_child, data, exchanges)
        rate = exchanges / (perf_counter() - start)
        times = _timed_exchanges(to_child, from_child, data, exchanges)
    return {"p50": median(times), "rate": rate}


def _exchange(to_child: int, from_child: int, data: bytes, times: int) -> None:
    read, write = os.read, os.write
    for _ in range(times):
        write(to_child, data)
        read(from_child, 65536)


def _timed_exchanges(to_child: int, from_child: int, data: bytes, times: int) -> list[float]:
    durations = []
    for _ in range(times):
        start = perf_counter()
        os.write(to_child, data)
        os.read(from_child, 65536)
        durations.append(perf_counter() - start)
    return durations


def _answer_with(answer: bytes, source: int, sink: int) -> None:
    read, write = os.read, os.write
    while read(source, 65536):
        write(sink, answer)


def pipe_one_way(size: int, repeats: int, placement: str = FREE) -> Figures:
    """Read `size` bytes that another process writes: `rate` in bytes a second, best read size."""
    place = Placement(placement)
    with _forked(_write_on_demand, b"z" * size) as (to_child, from_child):
        place.place_children(children())
        rates = {
            chunk: _read_rates(to_child, from_child, size, chunk, repeats) for chunk in READ_SIZES
        }
    return {"rate": max(median(rate) for rate in rates.values())}


def _read_rates(to_child: int, from_child: int, size: int, chunk: int, repeats: int) -> list[float]:
    rates = []
    for _ in range(repeats):
        start = perf_counter()
        os.write(to_child, b"!")
        missing = size
        while missing:
            missing -= len(os.read(from_child, chunk))
        rates.append(size / (perf_counter() - start))
    return rates


def _write_on_demand(data: bytes, source: int, sink: int) -> None:
    while os.read(source, 1):
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(sink, rest) :]


def memory_copy(size: int, repeats: int) -> Figures:
    """Copy `size` bytes to a buffer that was used before, and read a number in every page of it.

    Returns:
        `rate`, bytes a second.
    """
    import numpy as np

    source, sink = np.ones(size // 8), np.ones(size // 8)
    rates = []
    for _ in range(repeats):
        start = perf_counter()
        sink.data[:] = source.data
        touch(sink)
        rates.append(size / (perf_counter() - start))
    return {"rate": median(rates)}


def bare_start(repeats: int) -> Figures:
    """Start `python -c pass` and wait for its end: `seconds`, the median."""
    times = []
    for _ in range(repeats):
        start = perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        times.append(perf_counter() - start)
    return {"seconds": median(times)}


def bare_memory() -> Figures:
    """Memory that is an idle bare interpreter's own (USS), in bytes."""
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        _wait_until_reading(process.pid)
        uss = psutil.Process(process.pid).memory_full_info().uss
        process.kill()
    return {"uss": float(uss)}


def _wait_until_reading(pid: int) -> None:
    """Wait until the interpreter has started, which is when it waits in its pipe."""
    process = psutil.Process(pid)
    before = -1.0
    while (used := sum(process.cpu_times()[:2])) != before or process.status() != "sleeping":
        before = used
        sleep(0.05)


@contextmanager
def _forked(run: Callable[[bytes, int, int], None], data: bytes) -> Iterator[tuple[int, int]]:
    """Fork a child that runs `run(data, source, sink)`; yield our ends of the two pipes."""
    source, to_child = os.pipe()
    from_child, sink = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(to_child)
        os.close(from_child)
        run(data, source, sink)
        os._exit(0)
    os.close(source)
    os.close(sink)
    try:
        yield to_child, from_child
    finally:
        os.close(to_child)
        os.close(from_child)
        os.waitpid(pid, 0)
