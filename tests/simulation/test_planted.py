"""The simulation finds each fault that is planted in a copy of the product."""

from __future__ import annotations

import pytest

from tests.simulation.planted import COUNT, PLANTED, UNSEEN, find


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", [name for name in PLANTED if name not in UNSEEN])
def test_it_is_found(name: str) -> None:
    assert find(name, COUNT, jobs=2).startswith("seed ")
