from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from processpool import ProcessPool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def pool() -> Iterator[ProcessPool]:
    script = 'while read line; do case $line in die) exit 3;; esac; echo "$line"; done'
    declared = ProcessPool.from_dict(
        {
            "name": "traced",
            "worker": {"kind": "command", "command": ["sh", "-c", script], "protocol": "lines"},
            "size": {"min": 2, "max": 2},
        }
    )
    with declared as opened:
        opened.wait_ready()
        yield opened


def load(path: Path) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = json.loads(path.read_text())
    return events


def items_in(events: list[dict[str, Any]]) -> int:
    return sum(event["args"]["items"] for event in events if event.get("cat") == "item")


def test_every_item_is_in_the_file(pool: ProcessPool, tmp_path: Path) -> None:
    with pool.tracing(tmp_path / "run.json") as trace:
        pool.map([str(number) for number in range(500)])
        pool.call("one more")
    events = load(tmp_path / "run.json")
    assert items_in(events) == 501
    assert {event["tid"] for event in events if event.get("cat") == "item"} <= {1, 2}
    assert trace.dropped == 0


def test_a_death_is_in_the_file(pool: ProcessPool, tmp_path: Path) -> None:
    pool.trace(tmp_path / "run.json")
    pool.map(["a", "die", "b"], on_error="skip")
    pool.close()
    names = [event["name"] for event in load(tmp_path / "run.json")]
    assert "item 1 failed" in names
    assert "exited with 3" in names


def test_it_ends_with_the_pool(pool: ProcessPool, tmp_path: Path) -> None:
    pool.trace(tmp_path / "run.json")
    pool.map(["a"])
    pool.close()
    events = load(tmp_path / "run.json")
    assert items_in(events) == 1
    assert events[-1]["name"] == "closed"


def test_what_happens_after_the_end_is_not_recorded(pool: ProcessPool, tmp_path: Path) -> None:
    trace = pool.trace(tmp_path / "run.json")
    pool.map(["a"])
    trace.stop()
    trace.stop()
    pool.map(["b"])
    assert items_in(load(tmp_path / "run.json")) == 1
    assert "ended" in repr(trace)


def test_a_file_that_cannot_be_written_is_refused_at_once(
    pool: ProcessPool, tmp_path: Path
) -> None:
    with pytest.raises(OSError, match="nowhere"):
        pool.trace(tmp_path / "nowhere" / "run.json")


def test_a_figure_shows_who_did_what(pool: ProcessPool, tmp_path: Path) -> None:
    pool.trace()
    pool.map(["a", "die", "b"], on_error="skip")
    pool.close()
    figure = pool.plot_timeline()
    svg = figure._repr_svg_()
    assert svg.startswith("<svg")
    assert "item 1 failed" in svg
    figure.save(tmp_path / "run.svg")
    assert (tmp_path / "run.svg").read_text() == svg


def test_without_a_trace_there_is_no_figure(pool: ProcessPool) -> None:
    with pytest.raises(ValueError, match=r"pool\.trace"):
        pool.plot_timeline()
