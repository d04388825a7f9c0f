"""Running a case: every contestant once a round, turn by turn, each in a process of its own.

Three rules hold here:

- A measurement runs in a fresh process (`benchmarks.probe`) and returns named figures, so that no
  contestant finds another's threads, memory or forks in its way.
- Rounds are taken in turns and start one contestant further each time, so that a machine that grows
  slower or faster does it to all of them alike.
- A ratio is taken between figures of the same round; its median over the rounds is the result.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.checkouts import ROOT, at_commit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from benchmarks.units import Unit

OURS = "processpool"
PROBE_SECONDS = 600.0
"""A probe that takes longer than this has hung: it is killed, with what it started."""

Figures = dict[str, float]


@dataclass(frozen=True)
class Probe:
    """What one contestant runs in one round: `module:function` and its keyword arguments."""

    function: str
    options: Mapping[str, Any] = field(default_factory=dict)
    commit: str = ""
    """Measure the package as it was then, instead of as it is."""


@dataclass(frozen=True)
class Target:
    """A bound that a ratio must keep, or a figure where a row has nobody to be compared with."""

    sign: str
    bound: float

    def met(self, value: float) -> bool:
        """Say whether `value` is on the right side of the bound."""
        return value >= self.bound if self.sign == "≥" else value <= self.bound


def at_least(bound: float) -> Target:
    """The value must not be smaller."""
    return Target("≥", bound)


def at_most(bound: float) -> Target:
    """The value must not be larger."""
    return Target("≤", bound)


@dataclass(frozen=True)
class Row:
    """One line of a case's table: our figure against the best of `against`.

    With nobody in `against`, the target is a limit on the figure itself.
    """

    figure: str
    unit: Unit
    against: tuple[str, ...] = ()
    target: Target | None = None
    title: str = ""
    ours: str = OURS
    against_figure: str = ""
    """The yardstick's figure, where it has another name than ours."""
    against_title: str = ""
    """What the table calls the yardstick, where its label does not say it."""


@dataclass(frozen=True)
class Case:
    """A piece of work, who does it, and which of their figures are compared."""

    name: str
    title: str
    probes: Mapping[str, Probe]
    rows: tuple[Row, ...]

    def label(self, row: Row) -> str:
        """What the table calls one of the rows."""
        return f"{self.name}: {row.title or row.ours}"

    def has_row(self, title: str) -> bool:
        """Say whether the title of one of the rows begins like this."""
        return any(row.title.startswith(title) for row in self.rows)


@dataclass
class Measured:
    """What the rounds of one case gave: figures by contestant, and why a contestant has none."""

    rounds: dict[str, list[Figures]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


def measure(case: Case, rounds: int) -> Measured:
    """Run every contestant of `case` once in each of `rounds` rounds; who fails drops out."""
    measured = Measured({label: [] for label in case.probes})
    labels = list(case.probes)
    for number in range(rounds):
        for label in _rotated(labels, number):
            if label in measured.failures:
                continue
            answer = run_probe(case.probes[label])
            if isinstance(answer, str):
                measured.failures[label] = answer
                measured.rounds[label].clear()
            else:
                measured.rounds[label].append(answer)
    return measured


def _rotated(labels: list[str], by: int) -> Iterator[str]:
    for offset in range(len(labels)):
        yield labels[(offset + by) % len(labels)]


def run_probe(probe: Probe, sources: Path | None = None) -> Figures | str:
    """Run one measurement in a fresh process: its figures, or one line on why there are none.

    Args:
        probe: what to run.
        sources: import `processpool` from this folder, instead of the one that is installed.
    """
    try:
        sources = at_commit(probe.commit) if probe.commit else sources
    except LookupError as error:
        return str(error)
    environment = dict(os.environ, PYTHONPATH=_python_path(sources))
    command = [sys.executable, "-m", "benchmarks.probe", probe.function]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [*command, json.dumps(dict(probe.options))],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(PROBE_SECONDS)
        except subprocess.TimeoutExpired:
            return f"no answer in {PROBE_SECONDS:.0f} s"
        finally:
            _end_session(process)
        output.seek(0)
        return _read_answer(output.read(), process.returncode)


def _python_path(sources: Path | None) -> str:
    """The repository in front of what is there: workers of every pool find `benchmarks.work`."""
    folders = [str(sources or ""), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return os.pathsep.join(filter(None, folders))


def _end_session(process: subprocess.Popen[bytes]) -> None:
    """Kill whatever a probe left running in its own session, and reap the probe."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _read_answer(output: bytes, status: int) -> Figures | str:
    """Read the probe's last line, behind whatever the pools printed."""
    lines = output.decode("utf-8", "replace").splitlines()
    for line in reversed(lines):
        if line.startswith("PROBE "):
            answer: dict[str, Any] = json.loads(line.removeprefix("PROBE "))
            return str(answer["failed"]) if "failed" in answer else answer["figures"]
    return f"the measuring process ended with status {status} and no figures"
