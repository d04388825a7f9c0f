"""Pools for the tests, and the check that every test leaves the process as it found it."""

from __future__ import annotations

import gc
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from processpool import ProcessPool
from tests.process.support import PUPPET, Gate, eventually, open_fds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _leave_nothing_behind() -> Iterator[None]:
    """Descriptors, threads and children are back to where they were before the test."""
    gc.collect()
    fds, threads, children = open_fds(), set(threading.enumerate()), _children()
    yield
    gc.collect()
    eventually(lambda: not set(threading.enumerate()) - threads, "threads were left behind")
    eventually(lambda: not _children() - children, "processes were left behind")
    try:
        eventually(lambda: not set(open_fds()) - set(fds), within=5)
    except AssertionError:
        left = {fd: leads_to for fd, leads_to in open_fds().items() if fd not in fds}
        pytest.fail(f"descriptors were left behind: {left}")


def _children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.fixture
def make_pool() -> Iterator[Callable[..., ProcessPool]]:
    """Makes open pools, by default of one puppet; they are killed when the test has ended."""
    with ExitStack() as stack:

        def make(
            command: list[str] | str = PUPPET,
            *,
            opened: bool = True,
            size: int | dict[str, int] = 1,
            **sections: Any,
        ) -> ProcessPool:
            worker = {"kind": "command", "command": command} | sections.pop("worker", {})
            sizes = {"min": size, "max": size} if isinstance(size, int) else size
            pool = ProcessPool.from_dict({"worker": worker, "size": sizes, **sections})
            stack.callback(pool.kill)
            return pool.open() if opened else pool

        yield make


@pytest.fixture
def python_pool() -> Iterator[Callable[..., ProcessPool]]:
    """Makes open pools of Python workers; they are killed when the test has ended."""
    with ExitStack() as stack:

        def make(
            workers: int = 1,
            *,
            opened: bool = True,
            worker: dict[str, Any] | None = None,
            **sections: Any,
        ) -> ProcessPool:
            size = sections.pop("size", {"min": workers, "max": workers})
            declared = {"worker": {"kind": "python", **(worker or {})}, "size": size, **sections}
            pool = ProcessPool.from_dict(declared)
            stack.callback(pool.kill)
            return pool.open() if opened else pool

        yield make


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate at which a worker can be made to wait."""
    gate = Gate(tmp_path)
    yield gate
    gate.close()
