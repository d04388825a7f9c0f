"""Command pools against raw pipes: latency, throughput, large messages, many workers, memory."""

from __future__ import annotations

import os
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

from benchmarks.harness import OURS, Case, Figures, Probe, Row, at_least, at_most
from benchmarks.meters import memory_growth, p50
from benchmarks.placement import FREE, ONE_CPU, TWO_CPUS, Placement, children
from benchmarks.pools import command_pool, echo_worker
from benchmarks.units import (
    COUNT,
    GIGABYTES_PER_SECOND,
    ITEMS_PER_SECOND,
    MEGABYTES,
    MICROSECONDS,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

MESSAGE = "0123456789abcdef"
REQUEST_BYTES = len(f"1;{len(MESSAGE)}\n{MESSAGE}")
ANSWER_BYTES = len(f"{len(MESSAGE)};{MESSAGE}")
"""The yardstick carries exactly what the framed protocol carries for `MESSAGE`."""

LARGE = 64 * 1024 * 1024
PING_PONG = "raw pipe ping-pong"
SUBMIT = "submit().result()"
PLACEMENTS = (FREE, ONE_CPU, TWO_CPUS)
ONE_WAY = "raw pipe, one way"
SETTLE_SECONDS = 2.0
"""How long after its end a pool's processes may take to vanish."""


def cases(scale: float) -> Sequence[Case]:
    """All cases; `scale` shortens them."""
    return [
        _call(round(20_000 * scale)),
        _map(round(100_000 * scale), round(50_000 * scale)),
        _large(max(round(10 * scale), 2)),
        _many(500, round(20_000 * scale)),
        _memory(round(1_000_000 * scale)),
    ]


def _ping_pong(exchanges: int, placement: str = FREE) -> Probe:
    sizes = {"request": REQUEST_BYTES, "answer": ANSWER_BYTES}
    options = {**sizes, "exchanges": exchanges, "placement": placement}
    return Probe("benchmarks.yardsticks:ping_pong", options)


def _ours(function: str, **options: Any) -> Probe:
    return Probe(f"benchmarks.command_pools:{function}", options)


def _on(label: str, placement: str) -> str:
    return label if placement == FREE else f"{label}, {placement}"


def _call(calls: int) -> Case:
    probes: dict[str, Probe] = {}
    rows = []
    for placement in PLACEMENTS:
        ours, raw = _on(OURS, placement), _on(PING_PONG, placement)
        probes[ours] = _ours("measure_call", calls=calls, placement=placement)
        probes[raw] = _ping_pong(calls, placement)
        rows += [
            Row("p50", MICROSECONDS, (raw,), None, _on("call", placement), ours),
            Row("submit_p50", MICROSECONDS, (raw,), None, _on(SUBMIT, placement), ours, "p50"),
        ]
    return Case(
        "command-call", "one 16-byte message and its answer, echo under serve", probes, tuple(rows)
    )


def _map(messages: int, exchanges: int) -> Case:
    yardsticks = {_on(PING_PONG, placement): placement for placement in PLACEMENTS}
    probes = {
        OURS: _ours("measure_map", messages=messages),
        **{label: _ping_pong(exchanges, where) for label, where in yardsticks.items()},
    }
    rows = tuple(
        Row("rate", ITEMS_PER_SECOND, (label,), at_least(3), "map") for label in yardsticks
    )
    title = f"{messages:,} messages of 16 bytes, 2 workers, pipeline 64"
    return Case("command-map", title, probes, rows)


def _large(repeats: int) -> Case:
    probes: dict[str, Probe] = {}
    rows = []
    for placement in PLACEMENTS:
        ours, raw = _on(OURS, placement), _on(ONE_WAY, placement)
        options = {"size": LARGE, "repeats": repeats, "placement": placement}
        probes[ours] = _ours("measure_large", **options)
        probes[raw] = Probe("benchmarks.yardsticks:pipe_one_way", options)
        title = _on("there and back", placement)
        rows.append(Row("rate", GIGABYTES_PER_SECOND, (raw,), at_least(0.35), title, ours))
    title = "a 64 MiB message echoed, its bytes counted once"
    return Case("command-large", title, probes, tuple(rows))


def _many(workers: int, lines: int) -> Case:
    probes = {OURS: _ours("measure_many", workers=workers, lines=lines)}
    rows = (
        Row("left", COUNT, (), at_most(0), "processes left behind"),
        Row("open_files", COUNT, (), at_most(0), "descriptors left open"),
    )
    return Case("command-many", f"{workers} workers running cat, {lines:,} lines", probes, rows)


def _memory(messages: int) -> Case:
    probes = {OURS: _ours("measure_memory", messages=messages)}
    rows = (Row("growth", MEGABYTES, (), at_most(30e6), "added to the parent"),)
    return Case("command-memory", f"imap over {messages:,} messages, lazily", probes, rows)


def measure_call(calls: int, placement: str = FREE) -> Figures:
    """Time `call` and `submit().result()` of one message, one at a time."""
    place = Placement(placement)
    with command_pool("echo", echo_worker(), 1) as pool:
        place.place_children(children())
        figures = {
            "p50": p50(lambda: pool.call(MESSAGE), calls),
            "submit_p50": p50(lambda: pool.submit(MESSAGE).result(), calls // 4),
        }
        _check(pool.call(MESSAGE), MESSAGE)
    return figures


def measure_map(messages: int) -> Figures:
    """Time one `map` over a list of messages."""
    batch = [f"{number:016}" for number in range(messages)]
    with command_pool("echo", echo_worker(pipeline=64), 2) as pool:
        pool.wait_ready()
        pool.map(batch[: messages // 10])
        start = perf_counter()
        answers = pool.map(batch)
        seconds = perf_counter() - start
    _check(answers == batch, True)
    return {"rate": messages / seconds}


def measure_large(size: int, repeats: int, placement: str = FREE) -> Figures:
    """Time the echo of a large message of bytes, the median of some."""
    message = os.urandom(1024) * (size // 1024)
    worker = echo_worker(codec="bytes", max_message="1GiB")
    place = Placement(placement)
    with command_pool("echo", worker, 1) as pool:
        place.place_children(children())
        seconds = p50(lambda: pool.call(message), repeats)
        _check(pool.call(message) == message, True)
    return {"rate": size / seconds}


def measure_many(workers: int, lines: int) -> Figures:
    """Start many workers, pass lines through them, close: count what is left."""
    import psutil

    batch = [str(number) for number in range(lines)]
    files = _open_files()
    worker = {"kind": "command", "command": ["cat"], "protocol": "lines"}
    with command_pool("cats", worker, workers) as pool:
        pool.wait_ready()
        answers = pool.map(batch)
        started_processes = psutil.Process().children(recursive=True)
    _check(answers == batch, True)
    _check(len(started_processes) >= workers, True)
    return {
        "left": float(_left(started_processes)),
        "open_files": float(max(_open_files() - files, 0)),
    }


def _left(processes: Sequence[Any]) -> int:
    """How many of the processes still exist a little after the pool was closed."""
    end = perf_counter() + SETTLE_SECONDS
    while any(process.is_running() for process in processes) and perf_counter() < end:
        sleep(0.05)
    return len([process for process in processes if process.is_running()])


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def measure_memory(messages: int) -> Figures:
    """Watch the parent's memory while it reads the answers to a generator of messages."""
    with command_pool("echo", echo_worker(pipeline=64), 2) as pool:
        pool.wait_ready()
        pool.map([MESSAGE] * 10_000)
        lazy = (f"{number:016}" for number in range(messages))
        return {"growth": memory_growth(lambda: pool.imap(lazy), messages)}


def _check(answer: object, expected: object) -> None:
    """A figure for wrong answers would be worth nothing."""
    if answer != expected:
        raise ValueError("the pool gave a wrong answer")
