"""The bare loop: a map over programs with the same system calls as ours, and nothing else.

One epoll, one `os.read` and one `os.write` for each answer: no framing, no futures, no supervision,
no standard error. What it takes is what the machine and the programs take by themselves.
"""

from __future__ import annotations

import os
import select
import subprocess
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.meters import Load, median_for, rate_of_threads
from benchmarks.programs import Program, program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.harness import Figures

    Pipes = tuple[int, int]

READ = 65536


def bare_map(name: str, workers: int, pipeline: int, seconds: float) -> Figures:
    """Keep `pipeline` messages in every worker: answers a second, and our CPU time for each."""
    chosen = program(name)
    with started(chosen, workers) as pipes:
        loop = _Loop(chosen, pipes, pipeline)
        warm_up = max(10 * workers * pipeline, 1_000)
        return Load(lambda count: count, loop.run, lambda _, done: done, warm_up).figures(seconds)


class _Loop:
    """The messages that are under way in the workers, from one run to the next."""

    def __init__(self, chosen: Program, pipes: list[Pipes], pipeline: int) -> None:
        self.request, self.size = chosen.request, chosen.answer_size
        self.sinks = {source: sink for sink, source in pipes}
        self.epoll = select.epoll()
        for sink, source in pipes:
            self.epoll.register(source, select.EPOLLIN)
            os.write(sink, self.request * pipeline)

    def run(self, count: int) -> int:
        """Pass on at least `count` messages, and return how many it were."""
        poll, read, write = self.epoll.poll, os.read, os.write
        sinks, request, size = self.sinks, self.request, self.size
        done = 0
        while done < count:
            for source, _ in poll():
                received = len(read(source, READ))
                answers = received // size
                if not answers or answers * size != received:
                    raise ValueError("the program answered in pieces")
                done += answers
                write(sinks[source], request * answers)
        return done


def ping_pong(name: str, seconds: float) -> Figures:
    """One message at a time through one worker, blocking: the median time."""
    chosen = program(name)
    with started(chosen, 1) as ((sink, source),):

        def exchange() -> None:
            os.write(sink, chosen.request)
            os.read(source, READ)

        return {"p50": median_for(exchange, seconds)}


def ping_pong_threads(name: str, threads: int, seconds: float) -> Figures:
    """As many threads as workers, each with one of its own: messages a second, all together."""
    chosen = program(name)
    with started(chosen, threads) as pipes:

        def exchange(number: int) -> int:
            sink, source = pipes[number]
            os.write(sink, chosen.request)
            os.read(source, READ)
            return 1

        return {"rate": rate_of_threads(exchange, threads, seconds)}


def start_and_end(name: str, count: int) -> Figures:
    """Start many workers with plain Popen, and end them all by the end of their input."""
    chosen = program(name)
    begin = perf_counter()
    processes = [_start(chosen) for _ in range(count)]
    ready = perf_counter()
    _end(processes)
    return {"start": ready - begin, "close": perf_counter() - ready}


@contextmanager
def started(chosen: Program, count: int) -> Iterator[list[Pipes]]:
    """Start workers that have each answered once; end them by the end of their input."""
    processes = [_start(chosen) for _ in range(count)]
    try:
        pipes = [_pipes(process) for process in processes]
        for sink, _ in pipes:
            os.write(sink, chosen.request)
        for _, source in pipes:
            if len(os.read(source, READ)) != chosen.answer_size:
                raise ValueError("the program gave a wrong answer")
        yield pipes
    finally:
        _end(processes)


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    for process in processes:
        with process:
            process.wait()


def _start(chosen: Program) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        chosen.command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
    )


def _pipes(process: subprocess.Popen[bytes]) -> Pipes:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin.fileno(), process.stdout.fileno()
