from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from processpool import ProcessPool

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pool() -> Iterator[ProcessPool]:
    """A pool of two real workers, one of which may be told to die."""
    script = 'while read line; do case $line in die) exit 3;; esac; echo "$line"; done'
    declared = ProcessPool.from_dict(
        {
            "name": "shown",
            "worker": {"kind": "command", "command": ["sh", "-c", script], "protocol": "lines"},
            "size": {"min": 2, "max": 2},
        }
    )
    with declared as opened:
        opened.wait_ready()
        yield opened
