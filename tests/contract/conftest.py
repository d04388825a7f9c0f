"""The pools that the contract is checked against: one factory each.

Whoever adds a kind of pool adds a factory here, and nothing else.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from processpool import ProcessPool
from tests.process.conftest import _leave_nothing_behind, gate
from tests.process.support import TASKS_LINES, TASKS_SERVE, WORKERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["_leave_nothing_behind", "gate"]

KINDS: dict[str, dict[str, Any]] = {
    "lines": {"kind": "command", "command": TASKS_LINES, "protocol": "lines"},
    "lines in a pipeline": {
        "kind": "command",
        "command": TASKS_LINES,
        "protocol": {"kind": "lines", "pipeline": 4},
    },
    "serve": {"kind": "command", "command": TASKS_SERVE},
    "serve in a pipeline": {
        "kind": "command",
        "command": TASKS_SERVE,
        "protocol": {"kind": "framed", "pipeline": 4},
    },
    "handler": {"kind": "python", "handler": "tasks:handle", "path": [str(WORKERS)]},
}
"""Name → the worker's declaration. All of them do the tasks of `workers/tasks.py`."""


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., ProcessPool]]:
    """Makes open pools of one kind: `make(2)` has two workers; they are ended with the test."""
    worker = KINDS[request.param]
    with ExitStack() as stack:

        def make(size: int = 1, **sections: Any) -> ProcessPool:
            sizes = sections.pop("size", {"min": size, "max": size})
            pool = ProcessPool.from_dict({"worker": worker, "size": sizes, **sections})
            stack.callback(pool.kill)
            pool.open().wait_ready()
            return pool

        yield make
