"""Declared framings against `lines`: what it costs an item to have its end declared.

Every contestant maps short messages over programs that write back what they read (`cat`), so that
what differs is the framing alone, and the bytes that it adds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.harness import OURS, Case, Figures, Probe, Row, at_least, at_most
from benchmarks.meters import Load
from benchmarks.pools import command_pool
from benchmarks.units import ITEMS_PER_SECOND, MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST = 1.5
"""A declared framing costs at most so many times what `lines` costs."""
LINES = "lines"
PROTOCOLS: dict[str, Any] = {
    LINES: "lines",
    "two-lines": {"request": "{message}\n.\n", "refuse": "\n", "answer": {"lines": 2}},
    "until": {"request": "{message};\n", "answer": {"until": ";\n"}},
    "until-mark": {"request": "{message}\n{mark}\n", "answer": {"until": "{mark}\n"}},
    "until-line": {"request": "{message}\n.\n", "answer": {"until_line": r"^\.$"}},
    "u32be": {"request": "{u32be}{message}", "answer": {"length": "u32be"}},
    "u32le": {"request": "{u32le}{message}", "answer": {"length": "u32le"}},
}
"""Name → `worker.protocol`. In each, an echo of the request is one answer."""
WORKERS = 2
SECONDS = 0.6
"""How long a contestant works in a round."""


def cases(scale: float) -> Sequence[Case]:
    """A case for each declared framing; `scale` shortens them."""
    seconds = max(SECONDS * scale, 0.2)
    return [_case(name, seconds) for name in PROTOCOLS if name != LINES]


def _case(name: str, seconds: float) -> Case:
    probes = {
        label: Probe("benchmarks.framings:measure", {"name": declared, "seconds": seconds})
        for label, declared in ((OURS, name), (LINES, LINES))
    }
    rows = (
        Row("rate", ITEMS_PER_SECOND, (LINES,), at_least(1 / MOST), "map"),
        Row("cpu", MICROSECONDS, (LINES,), at_most(MOST), "parent's CPU time"),
    )
    return Case(f"framing-{name}", f"a declared framing, {name}", probes, rows)


def measure(name: str, seconds: float) -> Figures:
    """Map messages over two workers: answers a second, and our CPU time for each."""
    worker = {"kind": "command", "command": ["cat"], "protocol": PROTOCOLS[name]}
    with command_pool("framings", worker, WORKERS) as pool:
        pool.wait_ready()
        load = Load(
            prepare=lambda count: [f"{number:016}" for number in range(count)],
            run=pool.map,
            count=lambda batch, answers: _checked(answers, batch, name),
        )
        return load.figures(seconds)


def _checked(answers: list[str], messages: list[str], name: str) -> int:
    """A figure for wrong answers would be worth nothing."""
    rest = "\n." if name == "two-lines" else ""
    expected = [message + rest for message in messages]
    if [answer.removesuffix("\n") for answer in answers] != expected:
        raise ValueError("the pool gave wrong answers")
    return len(answers)
