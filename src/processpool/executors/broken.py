"""The errors of an executor; apart, since only who meets one shall import multiprocessing."""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool

from processpool.errors import PoolBroken, WorkerDied


class ExecutorBroken(PoolBroken, BrokenProcessPool):
    """The workers of an executor cannot be started, or its initializer fails."""


class ExecutorWorkerDied(WorkerDied, BrokenProcessPool):
    """A worker ended while it had the item; the executor goes on."""
