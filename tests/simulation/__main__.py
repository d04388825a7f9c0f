"""Simulated histories of a pool: `python -m tests.simulation --seed 1 --count 1000 --jobs 2`.

A failure names its seed, which replays it: `--seed N --count 1 --log`.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import sys
import traceback
from time import perf_counter

from tests.simulation.boot import boot

PATIENCE = 60
"""Seconds of real time after which a history does not wait, but computes for ever."""


def give_up(*_: object) -> None:
    """The time of a history is over."""
    raise TimeoutError(f"it computes for more than {PATIENCE} s")


def run(options: argparse.Namespace, first: int) -> int:
    """Run every n-th history from the first on, for n jobs; returns how many failed.

    The objects that the product consists of are not to be traversed again and again.
    """
    from tests.simulation.history import History

    gc.freeze()
    signal.signal(signal.SIGALRM, give_up)
    failures = 0
    for seed in range(first, options.seed + options.count, options.jobs):
        signal.alarm(PATIENCE)
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
    return failures


def fork(options: argparse.Namespace, first: int) -> int:
    """Run them in a process of their own, which exits with 1 if any failed; returns its pid."""
    pid = os.fork()
    if not pid:
        failures = 1
        try:
            failures = run(options, first)
        finally:  # pools of failed histories are still open, and cannot be closed
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(min(failures, 1))
    return pid


def main() -> None:
    """Run histories, one after another in each of so many processes."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed (default: 1)")
    parser.add_argument("--count", type=int, default=1, help="how many histories (default: 1)")
    parser.add_argument("--jobs", type=int, default=1, help="how many at a time (default: 1)")
    parser.add_argument("--log", action="store_true", help="say what happens")
    parser.add_argument("--keep-going", action="store_true", help="after a failure, too")
    options = parser.parse_args()
    boot()
    logging.disable(logging.CRITICAL)
    began = perf_counter()
    pids = [fork(options, options.seed + number) for number in range(options.jobs)]
    failed = sum(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0 for pid in pids)
    seconds = perf_counter() - began
    what = "none failed" if not failed else "some failed"
    print(f"{options.count} histories in {seconds:.1f} s, {what}", flush=True)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
