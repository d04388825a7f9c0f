"""`retry`: an item that failed is tried again, and keeps the record of every attempt."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import CancelledError
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from processpool import RequestTimeout, WorkerDied
from processpool.core.events import ItemFailed
from tests.process.support import slowness

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool import ProcessPool

FAST = {"backoff": ["10ms", "20ms"]}


def attempt(path: str, good: int, how: str) -> int:
    """Fail in some way until it is tried for the time `good`; the file counts."""
    with open(path, "a", encoding="ascii") as file:
        file.write("x")
    number = Path(path).stat().st_size
    if number < good:
        print(f"attempt {number}")
        fail(how)
    return number


def fail(how: str) -> None:
    match how:
        case "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        case "timeout":
            time.sleep(60)
        case _:
            raise ValueError(how)


def maybe_poison(n: int) -> int:
    if n == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return n


@pytest.mark.parametrize("how", ["crash", "timeout", "error"])
def test_it_works_in_the_end(
    how: str, python_pool: Callable[..., ProcessPool], tmp_path: Path
) -> None:
    pool = python_pool(
        1, retry={"attempts": 3, "on": [how]}, restart=FAST, timeouts={"request": slowness()}
    )

    future = pool.submit(attempt, str(tmp_path / "count"), 3, how)

    assert future.result(30) == 3
    record = future.record
    assert record is not None
    assert record.attempts == 3
    assert [earlier.attempts for earlier in record.history] == [1, 2]
    assert [earlier.stdout for earlier in record.history] == ["attempt 1\n", "attempt 2\n"]
    kind = {"crash": WorkerDied, "timeout": RequestTimeout, "error": ValueError}[how]
    assert all(type(earlier.error) is kind for earlier in record.history)


def test_the_records_of_a_map_have_the_earlier_attempts(
    python_pool: Callable[..., ProcessPool], tmp_path: Path
) -> None:
    pool = python_pool(1, retry={"attempts": 2, "on": ["error"]})
    paths = [str(tmp_path / name) for name in "ab"]
    for record in pool.map(attempt, paths, [2, 2], ["error", "error"], details=True):
        assert (record.value, record.attempts) == (2, 2)
        assert [type(earlier.error) for earlier in record.history] == [ValueError]


@pytest.mark.parametrize("how", ["crash", "timeout", "error"])
def test_what_is_not_asked_for_is_not_tried_again(
    how: str, python_pool: Callable[..., ProcessPool], tmp_path: Path
) -> None:
    others: list[Any] = [reason for reason in ("crash", "timeout", "error") if reason != how]
    pool = python_pool(
        1, retry={"attempts": 3, "on": others}, restart=FAST, timeouts={"request": slowness()}
    )
    path = tmp_path / "count"

    with pytest.raises((WorkerDied, RequestTimeout, ValueError)) as caught:
        pool.call(attempt, str(path), 3, how)

    assert path.stat().st_size == 1
    record = caught.value.record  # type: ignore[attr-defined]
    assert (record.attempts, record.history) == (1, ())


def test_poison_fails_with_every_record_and_the_map_goes_on(
    python_pool: Callable[..., ProcessPool],
) -> None:
    pool = python_pool(2, retry={"attempts": 3, "on": ["crash"]}, restart=FAST)

    outcomes = pool.map(maybe_poison, range(50), on_error="return", details=True)

    assert [outcome.value for outcome in outcomes if outcome.ok] == [n for n in range(50) if n != 7]
    poison = outcomes[7]
    assert isinstance(poison.error, WorkerDied)
    assert poison.attempts == 3
    assert len(poison.history) == 2
    killed = {earlier.pid for earlier in (*poison.history, poison)}
    assert len(killed) == 3, "each attempt has killed a worker of its own"
    assert poison.error.record == poison


def test_a_command_is_tried_again_too(
    make_pool: Callable[..., ProcessPool], tmp_path: Path
) -> None:
    pool = make_pool(retry={"attempts": 2}, restart=FAST)
    flag = str(tmp_path / "flag")

    code = f"os.path.exists({flag!r}) or (open({flag!r}, 'w'), die()); answer('again')"

    assert pool.call(code) == "again"


def test_a_cancelled_item_is_not_tried_again(
    python_pool: Callable[..., ProcessPool], tmp_path: Path
) -> None:
    pool = python_pool(
        1, retry={"attempts": 9, "on": ["crash"]}, restart={"backoff": ["30s", "30s"]}
    )
    died = Event()
    pool.events(lambda event: died.set() if isinstance(event, ItemFailed) else None)
    path = tmp_path / "count"
    future = pool.submit(attempt, str(path), 9, "crash")
    assert died.wait(30)

    assert future.kill()

    with pytest.raises(CancelledError):
        future.result(10)
    assert pool.drain(10)
    assert path.stat().st_size == 1
