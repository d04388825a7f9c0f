"""Waiting for a change: what comes right before the sleep is not lost."""

from __future__ import annotations

from time import monotonic

from processpool.system.monitor import Bell


def test_a_nudge_right_before_the_sleep_ends_it() -> None:
    bell = Bell()
    bell.prepare()
    bell.nudge()
    began = monotonic()
    bell.sleep(60)
    assert monotonic() - began < 30
    assert not bell.rung
