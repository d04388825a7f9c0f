"""Storms until the time is over: `python -m tests.stress --minutes 5 --seed 1`.

Each storm is one seed and one kind of worker; a failure names both, so that it can be run again
with `--seed N --kind K --minutes 0`.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from itertools import count
from pathlib import Path
from time import monotonic

from tests.stress.storm import WORKERS, Storm


def main() -> None:
    """Run storms, one after another, a line for each."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0, help="how long (default: 3)")
    parser.add_argument("--seed", type=int, default=1, help="the first seed (default: 1)")
    parser.add_argument("--rounds", type=int, default=40, help="a client's actions (default: 40)")
    parser.add_argument("--kind", choices=WORKERS, action="append", help="only these workers")
    options = parser.parse_args()
    logging.getLogger("processpool").setLevel(logging.ERROR)  # each kill is worth a warning
    end = monotonic() + 60 * options.minutes
    for seed in count(options.seed):
        for kind in options.kind or WORKERS:
            _run(kind, seed, options.rounds)
        if monotonic() > end:
            return


def _run(kind: str, seed: int, rounds: int) -> None:
    began = monotonic()
    with tempfile.TemporaryDirectory() as folder:
        storm = Storm(kind, seed, rounds, Path(folder) / "ledger")
        try:
            storm.run()
        except BaseException:
            print(f"{kind}, seed {seed}: FAILED", flush=True)
            raise
    seconds = monotonic() - began
    print(
        f"{kind}, seed {seed}: {len(storm.items):,} items, {storm.kills} kills, "
        f"{sum(storm.done.values())} actions, {seconds:.1f} s: exact",
        flush=True,
    )


if __name__ == "__main__":
    main()
