"""One round of each measurement of the short way: what an item costs on its way there and back.

Each function runs in a probe's process and returns its figures. What it runs against is in
`benchmarks.floor`, `benchmarks.peers` and `benchmarks.yardsticks`.
"""

from __future__ import annotations

from concurrent.futures import as_completed
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.meters import PIECES, Load, median_for, rate_of_threads
from benchmarks.peers import open_peer
from benchmarks.programs import program
from benchmarks.work import inc, join, scale

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.harness import Figures

BATCH = 1_000
"""Messages in each map of a thread."""


def measure_map(name: str, workers: int, pipeline: int, seconds: float) -> Figures:
    """Map messages over programs: answers a second, and our CPU time for each."""
    chosen = program(name)
    with chosen.pool(workers, pipeline) as pool:
        pool.wait_ready()
        load = Load(
            prepare=lambda count: [chosen.message(number) for number in range(count)],
            run=pool.map,
            count=lambda batch, answers: _checked(answers, [chosen.text(each) for each in batch]),
            warm_up=max(10 * workers * pipeline, 1_000),
        )
        return load.figures(seconds)


def _checked(answers: list[str], expected: list[str]) -> int:
    """A figure for wrong answers would be worth nothing."""
    if answers != expected:
        raise ValueError("the pool gave wrong answers")
    return len(answers)


def measure_call(name: str, seconds: float) -> Figures:
    """One message at a time through one worker: the median of `call` and `submit().result()`."""
    chosen = program(name)
    message = chosen.message(1)
    with chosen.pool(1) as pool:
        return _call_and_submit(
            lambda: pool.call(message), lambda: pool.submit(message).result(), seconds
        )


def measure_start(name: str) -> Figures:
    """Open a pool of one worker and call once: `seconds` to the answer."""
    chosen = program(name)
    pool = chosen.pool(1)
    start = perf_counter()
    with pool:
        pool.call(chosen.message(1))
        return {"seconds": perf_counter() - start}


def measure_function_call(seconds: float) -> Figures:
    """The same with a Python function."""
    with open_peer("processpool") as peer:
        pool = peer.pool
        pool.wait_ready()
        return _call_and_submit(
            lambda: pool.call(inc, 1), lambda: pool.submit(inc, 1).result(), seconds
        )


def _call_and_submit(call: Callable[[], Any], submit: Callable[[], Any], seconds: float) -> Figures:
    """In turns, since a ratio is taken between the two."""
    turns = [
        (median_for(call, seconds / PIECES), median_for(submit, seconds / PIECES))
        for _ in range(PIECES)
    ]
    return {
        "call": median(called for called, _ in turns),
        "submit": median(submitted for _, submitted in turns),
    }


def measure_peer_submit(peer: str, seconds: float) -> Figures:
    """`submit().result()` of another pool, one at a time: the median time."""
    with open_peer(peer) as pool:
        return {"submit": median_for(lambda: pool.call(inc, 1), seconds)}


def measure_as_completed(name: str, workers: int, messages: int) -> Figures:
    """Submit messages and read their futures as they complete: seconds for each message."""
    chosen = program(name)
    batch = [chosen.message(number) for number in range(messages)]
    with chosen.pool(workers) as pool:
        pool.wait_ready()
        pool.map(batch[: messages // 10])
        start = perf_counter()
        answers = [future.result() for future in as_completed(map(pool.submit, batch))]
        took = perf_counter() - start
    _checked(sorted(answers), [chosen.text(message) for message in batch])
    return {"seconds": took / messages}


def measure_lease(name: str, seconds: float) -> Figures:
    """Send to a leased worker and read its answer: the median time."""
    chosen = program(name)
    message = chosen.message(1)
    with chosen.pool(1) as pool, pool.lease() as lease:

        def exchange() -> None:
            lease.send(message)
            lease.read_stdout()

        return {"p50": median_for(exchange, seconds)}


def measure_threads(name: str, way: str, threads: int, seconds: float) -> Figures:
    """As many threads as workers use one pool at once: messages a second, all together."""
    chosen = program(name)
    message = chosen.message(1)
    batch = [message] * BATCH
    with chosen.pool(threads) as pool:
        pool.wait_ready()
        ways: dict[str, Callable[[int], int]] = {
            "call": lambda _: len([pool.call(message)]),
            "submit": lambda _: len([pool.submit(message).result()]),
            "map": lambda _: len(pool.map(batch)),
        }
        return {"rate": rate_of_threads(ways[way], threads, seconds)}


def measure_many(name: str, workers: int) -> Figures:
    """Open a pool of many workers and wait until all are ready; close it."""
    pool = program(name).pool(workers)
    begin = perf_counter()
    with pool:
        pool.wait_ready()
        ready = perf_counter()
        running = pool.num_running + pool.num_unassigned
    closed = perf_counter()
    if running != workers:
        raise ValueError(f"{running} workers instead of {workers}")
    return {"start": ready - begin, "close": closed - ready}


def measure_large(name: str, size: int, seconds: float) -> Figures:
    """Echo a large message, one at a time: the median time."""
    chosen = program(name)
    text = b"x" * size
    message = chosen.prefix.encode() + text
    with chosen.pool(1, codec="bytes") as pool:
        if pool.call(message) != text:
            raise ValueError("the pool gave a wrong answer")
        return {"p50": median_for(lambda: pool.call(message), seconds)}


MAPPED: dict[str, tuple[Callable[[Any], Any], Callable[[int], Any]]] = {
    "ints": (inc, lambda number: number),
    "floats": (scale, float),
    "strings": (join, str),
}
"""Kind of value → the function that is mapped, and what makes an item of a number."""


def measure_values(peer: str, kind: str, items: int) -> Figures:
    """Map a trivial function over a list of small values: items a second, the best of some."""
    function, item = MAPPED[kind]
    batch = [item(number) for number in range(items)]
    expected = [function(value) for value in batch]
    times = []
    with open_peer(peer) as pool:
        pool.wait_ready()
        pool.map(function, batch[: items // 10])
        for _ in range(PIECES):
            start = perf_counter()
            answers = pool.map(function, batch)
            times.append(perf_counter() - start)
            _checked(answers, expected)
    return {"rate": items / min(times)}
