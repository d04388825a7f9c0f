"""The pytest plugin: a fixture that makes pools, and fails a test that leaves a process behind.

    def test_resizing(processpool):
        pool = processpool(max_workers=2)
        assert pool.map(abs, [-1]) == [1]

pytest loads this module in every run of an environment where this package is installed, so nothing
is imported here that it has not loaded already.
"""

from __future__ import annotations

import gc
import sys
from contextlib import suppress
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping

    import psutil

    from processpool import ProcessPool

GRACE = 2.0
"""Seconds in which what a test has started may still end."""
MOST_CHARACTERS = 120
"""How much of a command line is shown."""
_PAUSE = 0.02


class Pools:
    """Makes open pools, which are closed when the test ends."""

    def __init__(self) -> None:
        self._made: list[ProcessPool] = []

    def __call__(self, **keywords: Any) -> ProcessPool:
        """Open a pool without a file; the keywords are those of `ProcessPool`."""
        from processpool import ProcessPool

        return self._open(ProcessPool(**keywords))

    def from_yaml(
        self,
        path: str | os.PathLike[str],
        pool: str | None = None,
        *,
        overrides: Mapping[str, object] | None = None,
    ) -> ProcessPool:
        """Open a pool that a YAML file declares."""
        from processpool import ProcessPool

        return self._open(ProcessPool.from_yaml(path, pool, overrides=overrides))

    def from_dict(self, data: Mapping[str, object]) -> ProcessPool:
        """Open a pool that a dictionary with the keys of the file declares."""
        from processpool import ProcessPool

        return self._open(ProcessPool.from_dict(data))

    def _open(self, pool: ProcessPool) -> ProcessPool:
        self._made.append(pool)
        return pool.open()

    def kill(self) -> None:
        """End all workers of these pools at once."""
        for pool in self._made:
            pool.kill()


@pytest.fixture
def processpool() -> Iterator[Pools]:
    """Make pools with `processpool(max_workers=2)`, and leave no process behind.

    The pools are closed when the test ends. Whatever else the test, or the code that it calls, has
    started and not ended (a pool, a subprocess, a grandchild) makes it fail, and is killed.
    """
    before = _children()
    pools = Pools()
    yield pools
    pools.kill()
    left = _left(before)
    if left:
        names = "".join(f"  pool {name!r} was not closed\n" for name in _kill_pools(left))
        words = "\n".join(f"  {pid}: {command}" for pid, (command, _) in sorted(left.items()))
        _kill(process for _, process in left.values())
        message = f"processes were left behind, and are killed now:\n{names}{words}"
        pytest.fail(message, pytrace=False)


def _kill(processes: Iterable[psutil.Process]) -> None:
    import psutil

    for process in processes:
        with suppress(psutil.NoSuchProcess):  # it ended with its pool, or by itself
            process.kill()


def _kill_pools(left: Mapping[int, object]) -> list[str]:
    """End the open pools that these processes belong to, which would replace them; return names."""
    found = []
    pools = sys.modules.get("processpool.api.pool")
    for each in gc.get_objects() if pools else ():
        if pools and type(each) is pools.ProcessPool:
            workers = each.snapshot(resources=False).workers
            if any(worker.pid in left for worker in workers):
                found.append(each.name)
                each.kill()
    return found


def _left(before: Mapping[int, tuple[str, psutil.Process]]) -> dict[int, Any]:
    """The processes that were not there before and do not end by themselves."""
    deadline = monotonic() + GRACE
    while True:
        left = {
            pid: found
            for pid, found in _children().items()
            if pid not in before or before[pid][1] != found[1]
        }
        if not left or monotonic() > deadline:
            return left
        sleep(_PAUSE)


def _children() -> dict[int, tuple[str, psutil.Process]]:
    """The running processes below this one, with their command lines, by pid."""
    import psutil

    found = {}
    for process in psutil.Process().children(recursive=True):
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.pid not in _helpers():
                command = " ".join(" ".join(process.cmdline()).split())
                found[process.pid] = (command[:MOST_CHARACTERS], process)
        except psutil.NoSuchProcess:
            continue
    return found


def _helpers() -> set[object]:
    """The processes of `multiprocessing` that are there as long as this one."""
    tracker = sys.modules.get("multiprocessing.resource_tracker")
    forkserver = sys.modules.get("multiprocessing.forkserver")
    return {
        tracker and tracker._resource_tracker._pid,
        forkserver and forkserver._forkserver._forkserver_pid,
    }
