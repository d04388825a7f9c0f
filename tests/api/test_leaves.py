from __future__ import annotations

import pytest

import processpool
from processpool.api.leaves import leaf


def test_the_front_door_makes_all_leaves_known() -> None:
    processpool.ProcessPool  # noqa: B018 - it is fetched when it is first used
    assert callable(leaf("display").show)
    assert callable(leaf("trace").Trace)
    assert leaf("executor").PoolExecutor is processpool.PoolExecutor


def test_one_that_nobody_has_registered_says_what_to_do() -> None:
    with pytest.raises(LookupError, match="no picture is registered: take ProcessPool from"):
        leaf("picture")
