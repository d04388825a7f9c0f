"""All benchmark programs in one run: `python -m benchmarks`, with the options of each."""

from benchmarks import command_pools, python_pools, supervision, widget
from benchmarks.program import run

if __name__ == "__main__":
    run(
        "Every benchmark of processpool.",
        command_pools.cases,
        python_pools.cases,
        supervision.cases,
        widget.cases,
    )
