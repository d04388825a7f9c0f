"""The pools that the contract is checked against: one factory for each implementation.

Whoever adds a kind of pool adds a factory here, and nothing else. `make` gives pools of every kind;
`make_real` only those whose workers are processes, which can be held up and killed.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from processpool import ProcessPool
from processpool.config import pool_from_dict
from processpool.testing import fake_pool
from tests.cluster.support import started_cluster
from tests.process.conftest import _leave_nothing_behind, gate
from tests.process.support import TASKS_LINES, TASKS_SERVE, WORKERS
from tests.process.workers import tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["_leave_nothing_behind", "gate"]

Declaration = dict[str, Any]
_OLD = "nodes tell how they are four times a second, so what is shown may be that old"
DIFFERS_ON_A_CLUSTER = {
    "test_a_snapshot": _OLD,
    "test_a_death_while_idle_costs_nothing": _OLD,
    "test_all_are_replaced": _OLD,
    "test_workers_that_come_later_do_it_first": "nodes replace their workers a moment later",
}
"""What is not promised there, by the test that checks it elsewhere, and why."""


def _handle(message: str) -> str:
    """Do the tasks in this process, but for those that end it."""
    word, _, rest = message.partition(" ")
    if word == "die":
        sys.exit(-9)
    if word == "exit":
        sys.exit(int(rest or 0))
    return tasks.handle(message)


def real(worker: Declaration, sections: Declaration) -> ProcessPool:
    """A pool of processes."""
    return ProcessPool.from_dict({"worker": worker, **sections})


def fake(worker: Declaration, sections: Declaration) -> ProcessPool:
    """A pool that works in this process."""
    return fake_pool(_handle, pool_from_dict({"worker": worker, **sections}))


def inline(sections: Declaration) -> ProcessPool:
    """A pool of functions that runs them in this process."""
    worker = {"kind": "python", "handler": f"{__name__}:_handle"}
    return ProcessPool.from_dict({"worker": worker, "inline": True, **sections})


def on_a_cluster(worker: Declaration, sections: Declaration) -> ProcessPool:
    """A pool of processes on a cluster's only node."""
    return ProcessPool.from_dict({"worker": worker, **sections, **_place(sections)})


def _place(sections: Declaration) -> Declaration:
    size = sections["size"]["max"]
    return {"backend": {"kind": "dask", "scheduler": CLUSTER[0], "workers_per_node": size}}


CLUSTER: list[str] = []
"""The address of a cluster of one node, while the tests run."""


@pytest.fixture(scope="session")
def _one_node() -> Iterator[None]:
    with started_cluster(1) as address:
        CLUSTER.append(address)
        with ProcessPool.from_dict({"worker": LINES, **_place({"size": {"max": 1}})}):
            pass  # what Dask starts once in a process, and keeps, is there now
        yield
        CLUSTER.clear()


HANDLER = {"kind": "python", "handler": "tasks:handle", "path": [str(WORKERS)]}
SERVE = {"kind": "command", "command": TASKS_SERVE}
LINES = {"kind": "command", "command": TASKS_LINES, "protocol": "lines"}
REAL: dict[str, Callable[[Declaration], ProcessPool]] = {
    "lines": partial(real, LINES),
    "lines in a pipeline": partial(real, {**LINES, "protocol": {"kind": "lines", "pipeline": 4}}),
    "serve": partial(real, SERVE),
    "serve in a pipeline": partial(real, {**SERVE, "protocol": {"kind": "framed", "pipeline": 4}}),
    "handler": partial(real, HANDLER),
    "serve on a cluster": partial(on_a_cluster, SERVE),
    "handler on a cluster": partial(on_a_cluster, HANDLER),
}
"""Name → what makes such a pool. All of them do the tasks of `workers/tasks.py`."""
ALL: dict[str, Callable[[Declaration], ProcessPool]] = {
    **REAL,
    "fake of a program": partial(fake, SERVE),
    "fake of a handler": partial(fake, HANDLER),
    "inline": inline,
}


def _maker(build: Callable[[Declaration], ProcessPool]) -> Iterator[Callable[..., ProcessPool]]:
    """Makes open pools: `make(2)` has two workers; they are ended with the test."""
    with ExitStack() as stack:

        def make(size: int = 1, **sections: Any) -> ProcessPool:
            sizes = sections.pop("size", {"min": size, "max": size})
            pool = build({"size": sizes, **sections})
            stack.callback(pool.kill)
            pool.open().wait_ready()
            return pool

        yield make


def _marked(names: dict[str, Any]) -> list[Any]:
    """All names; programs on a cluster differ from handlers there by little, and take as long."""
    slow = {"serve on a cluster"}
    return [pytest.param(name, marks=[pytest.mark.slow] * (name in slow)) for name in names]


@pytest.fixture(params=_marked(ALL))
def make(request: pytest.FixtureRequest, _one_node: None) -> Iterator[Callable[..., ProcessPool]]:
    """Makes open pools of one implementation."""
    _skip_what_differs(request)
    yield from _maker(ALL[request.param])


@pytest.fixture(params=_marked(REAL))
def make_real(
    request: pytest.FixtureRequest, _one_node: None
) -> Iterator[Callable[..., ProcessPool]]:
    """Makes open pools of one implementation, whose workers are processes."""
    _skip_what_differs(request)
    yield from _maker(REAL[request.param])


def _skip_what_differs(request: pytest.FixtureRequest) -> None:
    reason = DIFFERS_ON_A_CLUSTER.get(request.function.__name__)
    if reason is not None and "on a cluster" in request.param:
        pytest.skip(reason)
