"""The error of a dead worker quotes what its own item wrote, from its beginning to its end."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from processpool import ProcessPool, RequestTimeout, WorkerDied
from processpool.widget.view import Figures, render

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = {"min": 1, "max": 1}
SCRIPT = """
import sys
for line in sys.stdin:
    if line == "die\\n":
        sys.exit(3)
    if line == "cry\\n":
        print(*["TypeError: at the head", *range(100), "the end"], sep="\\n", file=sys.stderr)
        sys.exit(3)
    print("of an earlier item", file=sys.stderr, flush=True)
    print("answer", flush=True)
"""
PROGRAM = {"kind": "command", "command": ["python", "-c", SCRIPT], "protocol": "lines"}


def complain_and_return() -> None:
    print("of an earlier item", file=sys.stderr)


@pytest.mark.parametrize("way", ["call", "submit"])
def test_nothing_of_earlier_items_of_a_function(way: str) -> None:
    with ProcessPool.from_dict({"worker": {"kind": "python"}, "size": SIZE}) as pool:
        pool.call(complain_and_return)
        with pytest.raises(WorkerDied) as died:
            pool.call(os._exit, 3) if way == "call" else pool.submit(os._exit, 3).result()
    assert "earlier" not in str(died.value)
    assert "wrote nothing to stderr" in str(died.value)


@pytest.mark.parametrize("way", ["call", "submit"])
def test_nothing_of_earlier_items_of_a_program(way: str) -> None:
    with ProcessPool.from_dict({"worker": PROGRAM, "size": SIZE}) as pool:
        assert pool.call("hello") == "answer"
        with pytest.raises(WorkerDied) as died:
            pool.call("die") if way == "call" else pool.submit("die").result()
    assert "earlier" not in str(died.value)


def test_the_head_and_the_end_of_what_is_long() -> None:
    pool = ProcessPool.from_dict({"worker": PROGRAM, "size": SIZE})
    with pool, pytest.raises(WorkerDied) as died:
        pool.call("cry")
    assert "TypeError: at the head" in str(died.value)
    assert "the end" in str(died.value)
    assert "lines …]" in str(died.value)


def test_the_time_that_was_given_is_told() -> None:
    pool = ProcessPool.from_dict({"worker": {"kind": "python"}, "size": SIZE})
    with pool, pytest.raises(RequestTimeout, match=r"within 0\.25 s"):
        pool.map(_sleep, [60], timeout=0.25)


def test_a_call_tells_the_time_that_was_given_too() -> None:
    declared = {"worker": {"kind": "python"}, "size": SIZE, "timeouts": {"request": 0.25}}
    pool = ProcessPool.from_dict(declared)
    with pool, pytest.raises(RequestTimeout, match=r"within 0\.25 s"):
        pool.call(_sleep, 60)


@pytest.mark.parametrize("way", ["call", "submit"])
@pytest.mark.parametrize("end", [lambda: os._exit(3), lambda: 1 / 0])
def test_the_display_of_an_error_shows_nothing_of_earlier_items(
    way: str, end: Callable[[], object]
) -> None:
    with ProcessPool.from_dict({"worker": {"kind": "python"}, "size": SIZE}) as pool:
        pool.call(complain_and_return)
        with pytest.raises((WorkerDied, ZeroDivisionError)):
            pool.call(end) if way == "call" else pool.submit(end).result()
        _is_shown_without_earlier(pool)


@pytest.mark.parametrize("way", ["call", "submit"])
def test_the_display_of_a_programs_end_shows_nothing_of_earlier_items(way: str) -> None:
    with ProcessPool.from_dict({"worker": PROGRAM, "size": SIZE}) as pool:
        assert pool.call("hello") == "answer"
        with pytest.raises(WorkerDied):
            pool.call("die") if way == "call" else pool.submit("die").result()
        _is_shown_without_earlier(pool)


def test_the_display_of_a_lost_item_shows_what_it_wrote() -> None:
    with ProcessPool.from_dict({"worker": {"kind": "python"}, "size": SIZE}) as pool:
        pool.call(complain_and_return)
        with pytest.raises(KeyError):
            pool.call(_complain_and_raise)
        assert _shown(pool)["log"] == ["of this item"]


def _complain_and_raise() -> None:
    print("of this item", file=sys.stderr)
    raise KeyError("gone")


def _is_shown_without_earlier(pool: ProcessPool) -> None:
    assert "earlier" not in str(_shown(pool))


def _shown(pool: ProcessPool) -> dict[str, Any]:
    """The error panel of the widget."""
    error: dict[str, Any] = render(pool.snapshot(), Figures())["error"]
    return error


def _sleep(seconds: float) -> None:
    import time

    time.sleep(seconds)
