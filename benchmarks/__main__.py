"""The benchmarks: `python -m benchmarks --help` says which there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import (
    cluster,
    command_pools,
    framings,
    joblib_backends,
    long_runs,
    memory_budget,
    oneshot,
    python_pools,
    short_functions,
    short_programs,
    starts,
    supervision,
    telemetry,
    widget,
)
from benchmarks.program import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.harness import Case


def short_way(scale: float) -> Sequence[Case]:
    """What one item costs between the caller and a worker."""
    return [*short_programs.cases(scale), *short_functions.cases(scale)]


if __name__ == "__main__":
    run(
        {
            "short-way": short_way,
            "commands": command_pools.cases,
            "framings": framings.cases,
            "oneshot": oneshot.cases,
            "functions": python_pools.cases,
            "joblib": joblib_backends.cases,
            "supervision": supervision.cases,
            "runs": long_runs.cases,
            "memory": memory_budget.cases,
            "cluster": cluster.cases,
            "telemetry": telemetry.cases,
            "start": starts.cases,
            "widget": widget.cases,
        }
    )
