"""The errors of executors that derive from `BrokenProcessPool`.

They have a module of their own because the base class imports multiprocessing.
"""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool

from processpool.errors import OutOfMemory, PoolBroken, WorkerDied


class ExecutorBroken(PoolBroken, BrokenProcessPool):
    """The workers of an executor cannot be started, or its initializer failed."""


class ExecutorWorkerDied(WorkerDied, BrokenProcessPool):
    """A worker ended while it had the item; the executor remains usable."""


class ExecutorOutOfMemory(OutOfMemory, BrokenProcessPool):
    """The item of an executor needs more memory than there is; the executor remains usable."""
