"""One round of each measurement of the short way: what an item costs on its way there and back.

Each function runs in a probe's process and returns its figures. What it runs against is in
`benchmarks.floor`, `benchmarks.peers` and `benchmarks.yardsticks`.
"""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.meters import Load, median_for
from benchmarks.peers import open_peer
from benchmarks.programs import program
from benchmarks.work import inc, join, scale

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.harness import Figures

REPEATS = 3


def measure_map(name: str, workers: int, pipeline: int, seconds: float) -> Figures:
    """Map messages over programs: answers a second, and our CPU time for each."""
    chosen = program(name)
    with chosen.pool(workers, pipeline) as pool:
        pool.wait_ready()

        def run(count: int) -> int:
            batch = [chosen.message(number) for number in range(count)]
            answers = pool.map(batch)
            return _checked(answers, [message.removeprefix(chosen.prefix) for message in batch])

        return Load(run, max(10 * workers * pipeline, 1_000)).figures(seconds)


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
        (median_for(call, seconds / REPEATS), median_for(submit, seconds / REPEATS))
        for _ in range(REPEATS)
    ]
    return {
        "call": median(called for called, _ in turns),
        "submit": median(submitted for _, submitted in turns),
    }


def measure_peer_submit(peer: str, seconds: float) -> Figures:
    """`submit().result()` of another pool, one at a time: the median time."""
    with open_peer(peer) as pool:
        return {"submit": median_for(lambda: pool.call(inc, 1), seconds)}


MAPPED: dict[str, tuple[Callable[[Any], Any], Callable[[int], Any]]] = {
    "ints": (inc, lambda number: number),
    "floats": (scale, float),
    "strings": (join, str),
}
"""Kind of value → the function that is mapped, and what makes an item of a number."""


def measure_values(peer: str, kind: str, items: int) -> Figures:
    """Map a trivial function over a list of small values: items a second, the median of some."""
    function, item = MAPPED[kind]
    batch = [item(number) for number in range(items)]
    expected = [function(value) for value in batch]
    times = []
    with open_peer(peer) as pool:
        pool.wait_ready()
        pool.map(function, batch[: items // 10])
        for _ in range(REPEATS):
            start = perf_counter()
            answers = pool.map(function, batch)
            times.append(perf_counter() - start)
            _checked(answers, expected)
    return {"rate": items / median(times)}
