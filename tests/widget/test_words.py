from __future__ import annotations

import pytest

from processpool.core.states import PoolState, WorkerState
from processpool.widget import words


def test_every_state_has_a_glyph_of_its_own() -> None:
    assert set(words.WORKER_GLYPHS) == set(WorkerState)
    assert set(words.POOL_GLYPHS) == set(PoolState)
    assert len(set(words.WORKER_GLYPHS.values())) == len(WorkerState)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.7, "0:59"),
        (60, "1:00"),
        (3725, "1:02:05"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert words.format_duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(512, "512 B"), (1536, "1.5 KiB"), (10 << 20, "10 MiB"), ((10 << 20) - 9, "10 MiB")],
)
def test_sizes(number: int, text: str) -> None:
    assert words.format_size(number) == text
