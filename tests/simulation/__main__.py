"""Simulated histories of a pool: `python -m tests.simulation --seed 1 --count 1000`.

A failure names its seed, which replays it: `--seed N --count 1 --log`.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from time import perf_counter

from tests.simulation.boot import boot


def main() -> None:
    """Run histories, one after another."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed (default: 1)")
    parser.add_argument("--count", type=int, default=1, help="how many histories (default: 1)")
    parser.add_argument("--log", action="store_true", help="say what happens")
    parser.add_argument("--keep-going", action="store_true", help="after a failure, too")
    options = parser.parse_args()
    boot()
    import logging

    from tests.simulation.history import History

    logging.disable(logging.CRITICAL)
    began = perf_counter()
    failures = 0
    for seed in range(options.seed, options.seed + options.count):
        history = History(seed)
        history.log = [] if options.log else None
        try:
            history.run()
        except BaseException as error:
            failures += 1
            print(f"seed {seed}: {type(error).__name__}: {error}", flush=True)
            if not options.keep_going:
                traceback.print_exc()
                break
    seconds = perf_counter() - began
    print(f"{options.count} histories in {seconds:.1f} s, {failures} failed", flush=True)
    sys.stdout.flush()
    os._exit(1 if failures else 0)  # pools of failed histories are still open, and cannot be closed


if __name__ == "__main__":
    main()
