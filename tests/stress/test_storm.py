"""The storm, as long as a test may take; `make stress` lets it rage for minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.process.conftest import _leave_nothing_behind
from tests.stress.storm import WORKERS, Storm

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["_leave_nothing_behind"]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kind", WORKERS)
def test_every_item_ends_exactly_once_whatever_happens(
    kind: str, seed: int, tmp_path: Path
) -> None:
    storm = Storm(kind, seed, 12, tmp_path / "ledger")

    storm.run()

    assert len(storm.items) > 1000
