"""Objects of `multiprocessing` that can only be inherited: queues, locks, values and pipes.

They are pickled as `multiprocessing` does it for a process that it is spawning. Pipes and memory
become descriptors, which every worker inherits with the same numbers.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from processpool.errors import WorkerStartFailed
from processpool.wire.python.pickling import WHOLE, pack_whole, pack_with

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.wire.python.by_value import Pickler


class Inherited:
    """The descriptors that the workers of a pool inherit."""

    def __init__(self, owner: object = None) -> None:
        """`owner` is the object that they belong to; it is kept alive, so that they stay open."""
        self._owner = owner
        self._files: dict[int, os.stat_result] = {}

    def add(self, descriptor: int) -> None:
        """Add a descriptor."""
        self._files[descriptor] = os.fstat(descriptor)

    def descriptors(self) -> tuple[int, ...]:
        """Return the descriptors.

        Raises:
            WorkerStartFailed: one was closed.
        """
        for descriptor, file in self._files.items():
            if not _leads_to(descriptor, file):
                raise WorkerStartFailed(
                    "what the initializer was given of multiprocessing was closed, so no more "
                    "workers can be started; close it after the pool"
                )
        return tuple(self._files)


def pack_setup(setup: Callable[[], object]) -> tuple[bytes, Inherited]:
    """Return the pickle of a setup, and the descriptors that it refers to.

    Raises:
        RuntimeError: it refers to an object that only a forked process could inherit.
        Exception: it cannot be pickled.
    """
    inherited = Inherited(setup)
    if "multiprocessing.context" not in sys.modules:
        return pack_whole(setup), inherited
    from multiprocessing import context

    context.set_spawning_popen(_Heir(inherited))  # type: ignore[arg-type]
    try:
        return pack_with(_make_pickler(), setup, WHOLE)[0], inherited
    except RuntimeError as error:
        if "fork context" not in str(error):
            raise
        raise RuntimeError(
            "the initializer was given a lock, a queue or the like that was made for forked "
            "processes, and workers are not forked: make it from "
            "multiprocessing.get_context('spawn'), or from a multiprocessing.Manager()"
        ) from error
    finally:
        context.set_spawning_popen(None)


class _Heir:
    """A stand-in for the process that `multiprocessing` thinks it is spawning."""

    def __init__(self, inherited: Inherited) -> None:
        from multiprocessing.popen_spawn_posix import Popen

        self.DupFd = Popen.DupFd
        self._inherited = inherited

    def duplicate_for_child(self, descriptor: int) -> int:
        """Record a descriptor; return its number in the child, which is the same."""
        self._inherited.add(descriptor)
        return descriptor


def _make_pickler() -> type[Pickler]:
    """Return a pickler class with the reductions of `multiprocessing` for its own classes."""
    from multiprocessing.reduction import ForkingPickler

    from processpool.wire.python.by_value import Pickler

    own: dict[type, Any] = {
        kind: reduce
        for kind, reduce in ForkingPickler._extra_reducers.items()  # type: ignore[attr-defined]
        if kind.__module__ not in ("builtins", "functools")  # picklable by default today
    }

    class SpawningPickler(Pickler):
        dispatch_table = Pickler.dispatch_table.new_child(own)

    return SpawningPickler


def _leads_to(descriptor: int, file: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file)
    except OSError:
        return False
