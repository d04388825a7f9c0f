from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from processpool import ProcessPool
from processpool.tracing import Trace
from tests.tracing.checker import read

if TYPE_CHECKING:
    from collections.abc import Iterator

KILLED = """
import os, signal, sys, threading
from processpool import ProcessPool

with ProcessPool.from_dict({"worker": {"kind": "python"}, "size": {"max": 2}}) as pool:
    trace = pool.trace(sys.argv[1])
    threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGKILL)).start()
    while True:
        pool.map(abs, range(20_000))
"""


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
    return read(path.read_text())


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
    svg = figure.svg
    assert svg.startswith("<svg")
    assert "item 1 failed" in svg
    assert "<script>" in figure._repr_html_()
    figure.save(tmp_path / "run.svg")
    assert (tmp_path / "run.svg").read_text() == svg


def test_without_a_trace_there_is_no_figure(pool: ProcessPool) -> None:
    with pytest.raises(ValueError, match=r"pool\.trace"):
        pool.plot_timeline()


def fail(text: str) -> None:
    raise ValueError(text)


def test_a_file_in_which_everything_happens_breaks_no_rule(tmp_path: Path) -> None:
    declared = {
        "name": 'größe \\ "x"',
        "worker": {"kind": "python"},
        "size": {"min": 1, "max": 4},
        "retry": {"attempts": 2, "on": ["crash", "error"]},
    }
    with ProcessPool.from_dict(declared) as pool, pool.tracing(tmp_path / "run.json"):
        pool.map(abs, range(3000))
        pool.map(fail, ["ä\n\x1b\ud800"] * 3, on_error="skip")
        pool.map(sys.exit, [3, 4], on_error="skip")
        futures = [pool.submit(abs, number) for number in range(50)]
        pool.call(abs, 1)
        pool.pause()
        pool.resume()
        pool.resize(min=2, max=3)
        assert [future.result() for future in futures] == list(range(50))
        with pytest.raises(ZeroDivisionError):
            pool.map(divmod, [1, 2], [1, 0])
    events = load(tmp_path / "run.json")
    assert {"X", "i", "C", "M"} == {event["ph"] for event in events}
    assert {"paused", "resumed", "resized"} <= {event["name"] for event in events}


def test_a_file_of_a_process_that_was_killed_only_lacks_its_bracket(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    ended = subprocess.run([sys.executable, "-c", KILLED, str(path)], timeout=60, check=False)
    assert ended.returncode == -9
    events = read(path.read_text(), cut_off=True)
    assert items_in(events) > 1000


def test_a_full_disk_ends_the_file_and_nothing_else(
    pool: ProcessPool, caplog: pytest.LogCaptureFixture
) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full here")
    with Trace(pool, full) as trace:
        assert pool.map(["a", "b"]) == ["a", "b"]
    assert len(trace.spans) >= 1
    assert caplog.text.count("is not written any further") == 1
