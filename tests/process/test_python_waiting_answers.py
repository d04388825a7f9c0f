"""Answers that were made before a slow item are not kept waiting for its end."""

from __future__ import annotations

import os
import signal
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

from processpool import WorkerDied
from tests.process.workers.functions import inc, note, wait_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from processpool import ProcessPool
    from tests.process.support import Gate

FAST = 300


def fast_but_one(n: int, slow: int, gate: str, ran: str) -> int:
    """Note that the item runs; the slow one waits at the gate, too."""
    note(ran, n)
    if n == slow:
        wait_at(gate)
    return inc(n)


def test_they_come_while_it_runs(
    python_pool: Callable[..., ProcessPool], gate: Gate, tmp_path: Path
) -> None:
    pool = python_pool(1)
    pool.map(inc, range(1000))
    work = (fast_but_one, range(2 * FAST), [FAST] * 2 * FAST, [str(gate.path)] * 2 * FAST)
    answers = pool.imap_unordered(*work, [str(tmp_path / "ran")] * 2 * FAST)

    before = list(islice(answers, FAST))
    gate.open()
    after = list(answers)

    assert before == [n + 1 for n in range(FAST)]
    assert after == [n + 1 for n in range(FAST, 2 * FAST)]


def test_each_comes_once_when_the_slow_one_dies(
    python_pool: Callable[..., ProcessPool], gate: Gate, tmp_path: Path
) -> None:
    pool = python_pool(1)
    pool.map(inc, range(1000))
    ran = tmp_path / "ran"
    work = (fast_but_one, range(2 * FAST), [FAST] * 2 * FAST, [str(gate.path)] * 2 * FAST)
    outcomes = pool.imap_unordered(*work, [str(ran)] * 2 * FAST, details=True, on_error="return")

    before = list(islice(outcomes, FAST))
    gate.await_arrival()
    os.kill(before[-1].pid, signal.SIGKILL)  # type: ignore[arg-type]
    after = list(outcomes)

    values = {outcome.index: outcome.value for outcome in before + after if outcome.ok}
    assert values == {n: n + 1 for n in range(2 * FAST) if n != FAST}
    (lost,) = (outcome for outcome in after if not outcome.ok)
    assert lost.index == FAST
    assert isinstance(lost.error, WorkerDied)
    assert set(Counter(ran.read_text().split()).values()) == {1}, "an item ran twice"
