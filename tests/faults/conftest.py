"""Pools of each kind of worker that is told in Python what to do, or how to fail."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from processpool import ProcessPool
from tests.process.conftest import _leave_nothing_behind, gate, make_pool, python_pool, way
from tests.process.support import PUPPET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["_leave_nothing_behind", "gate", "make_pool", "python_pool", "way"]

OBEDIENT = Path(__file__).parent / "workers" / "obedient.py"
KINDS: dict[str, dict[str, Any]] = {
    "foreign": {"kind": "command", "command": PUPPET},
    "serve": {"kind": "command", "command": ["python", str(OBEDIENT)]},
    "python": {"kind": "python", "handler": "obedient:handle", "path": [str(OBEDIENT.parent)]},
}
"""Name → the worker's declaration. All of them run the code that their messages are."""


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of worker that a test is about: each in turn, if it does not choose."""
    return str(request.param)


@pytest.fixture
def make(kind: str) -> Iterator[Callable[..., ProcessPool]]:
    """Makes open pools of one kind: `make(2)` has two workers, which are ready."""
    with ExitStack() as stack:

        def make(size: int = 1, **sections: Any) -> ProcessPool:
            worker = KINDS[kind] | sections.pop("worker", {})
            sizes = sections.pop("size", {"min": size, "max": size})
            pool = ProcessPool.from_dict({"worker": worker, "size": sizes, **sections})
            stack.callback(pool.kill)
            pool.open().wait_ready()
            return pool

        yield make
