"""Pools for the tests, and the check that every test leaves the process as it found it."""

from __future__ import annotations

import gc
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from processpool import ProcessPool
from tests.process.support import PUPPET, WAYS, Gate, eventually, open_fds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def _leave_nothing_behind() -> Iterator[None]:
    """Descriptors, threads and children are back to where they were before the test."""
    before = _possessions()
    yield
    if _possessions() - before:
        gc.collect()  # it costs too much to be done after every test
    try:
        eventually(lambda: not _possessions() - before)
    except AssertionError:
        pytest.fail(f"left behind: {sorted(_possessions() - before)}")


def _possessions() -> set[str]:
    """Whatever a pool may forget to give back, in words."""
    found = {f"descriptor {fd}" for fd in open_fds()}
    found |= {f"thread {thread.name} {thread.ident}" for thread in threading.enumerate()}
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            found |= {f"child {pid}" for pid in (task / "children").read_text().split()}
    return found


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


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """Each way in which one request can be made, for `ask`."""
    return str(request.param)
