"""The error of a broken executor; apart, since only who meets it shall import multiprocessing."""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool

from processpool.errors import PoolBroken


class ExecutorBroken(PoolBroken, BrokenProcessPool):
    """The workers of an executor cannot be started, or its initializer fails."""
