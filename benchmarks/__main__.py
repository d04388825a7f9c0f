"""The benchmarks: `python -m benchmarks --help` says which there are."""

from benchmarks import command_pools, python_pools, short_way, supervision, widget
from benchmarks.program import run

if __name__ == "__main__":
    run(
        {
            "short-way": short_way.cases,
            "commands": command_pools.cases,
            "functions": python_pools.cases,
            "supervision": supervision.cases,
            "widget": widget.cases,
        }
    )
