"""Whoever shows a pool is told of its end, and takes the place of progress bars."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from processpool import ProcessPool
    from processpool.api.view import PoolView


class Onlooker:
    """A viewer that notes the pool's state around its end."""

    def __init__(self, pool: PoolView, *, live: bool = True) -> None:
        self.live = live
        self.states: list[str] = []
        self._pool = pool
        pool.attach(self)

    @contextmanager
    def closing(self) -> Iterator[None]:
        self.states.append(str(self._pool.state))
        yield
        self.states.append(str(self._pool.state))


@pytest.mark.parametrize("end", ["close", "kill"])
def test_every_viewer_is_told_before_and_after_the_end(
    make_pool: Callable[..., ProcessPool], end: str
) -> None:
    pool = make_pool()
    onlookers = [Onlooker(pool), Onlooker(pool)]
    pool.close() if end == "close" else pool.kill()
    assert [onlooker.states for onlooker in onlookers] == [["open", "closed"]] * 2


@pytest.mark.parametrize("live", [True, False])
def test_there_is_a_bar_unless_somebody_shows_the_maps(
    make_pool: Callable[..., ProcessPool],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    live: bool,
) -> None:
    monkeypatch.setattr(tqdm, "monitor_interval", 0)  # no thread of its own
    pool = make_pool()
    Onlooker(pool, live=live)
    assert pool.map(["answer(1)"] * 3, progress="counting") == ["1"] * 3
    assert ("counting" in capsys.readouterr().err) is not live
