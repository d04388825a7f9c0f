"""`Outcomes`: what a map is known to have done, when it has ended and when it is ended early."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import threading
import time
import traceback
import tracemalloc
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

import pytest
from tqdm import tqdm

from processpool import Outcome, Outcomes, PoolClosed, WorkerDied
from tests.process.support import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from processpool import ProcessPool


def invert(number: int) -> float:
    if number == 13:
        os._exit(3)
    return 1 / number


def parse(row: dict[str, str]) -> float:
    return float(row["price"])


def price(text: str, factor: int) -> float:
    return float(text) * factor


@pytest.fixture(autouse=True)
def _no_monitor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let progress bars leave no thread behind."""
    monkeypatch.setattr(tqdm, "monitor_interval", 0)


class TestAsASequence:
    def test_like_a_list(self, python_pool: Callable[..., ProcessPool]) -> None:
        outcomes = python_pool(2).map(invert, [1, 2, 4], details=True)
        assert isinstance(outcomes, Outcomes)
        assert outcomes == list(outcomes)
        assert list(outcomes) == outcomes
        assert outcomes != list(outcomes)[:2]
        assert len(outcomes) == 3
        assert outcomes[-1].value == 0.25
        assert [record.index for record in outcomes[1:]] == [1, 2]
        assert outcomes[1:] == list(outcomes)[1:]
        assert outcomes[0] in outcomes

    def test_what_a_record_knows(self, python_pool: Callable[..., ProcessPool]) -> None:
        before = time.time()
        pool = python_pool(1)
        record = pool.map(price, ["2.5"], [4], details=True)[0]
        assert (record.value, record.args, record.name) == (10.0, ("2.5", 4), "price")
        assert record.ok
        assert not record.cancelled
        assert record.started is not None
        assert before <= record.started <= time.time()
        assert record.seconds >= 0
        assert record.pid == pool.snapshot().workers[0].pid
        assert pool.map(price, ["2.5"], [4], details=True, progress="mine")[0].name == "mine"

    def test_what_has_failed(self, python_pool: Callable[..., ProcessPool]) -> None:
        rows = [{"price": text} for text in ("1", "n/a", "2", "n/b 7", "n/b 8")]
        outcomes = python_pool(1).map(parse, rows, details=True, on_error="return")
        assert outcomes.values() == [1.0, 2.0]
        assert [record.index for record in outcomes.ok] == [0, 2]
        assert [record.args for record in outcomes.failed] == [(rows[1],), (rows[3],), (rows[4],)]
        assert not outcomes.cancelled
        frequent, rare = outcomes.errors()
        assert frequent.error == "ValueError: could not convert string to float: 'n/b N'"
        assert (frequent.count, frequent.index, frequent.example) == (2, 3, outcomes[3])
        assert (rare.count, rare.index) == (1, 1)
        assert repr(outcomes) == "<Outcomes of parse: 5 items, 2 ok, 3 failed>"

    def test_what_is_skipped(self, python_pool: Callable[..., ProcessPool]) -> None:
        rows = [{"price": text} for text in ("1", "n/a", "2")]
        outcomes = python_pool(1).map(parse, rows, details=True, on_error="skip")
        assert [record.index for record in outcomes] == [0, 2]

    def test_in_a_notebook(self, python_pool: Callable[..., ProcessPool]) -> None:
        outcomes = python_pool(1).map(
            parse, [{"price": "<b>"}], details=True, on_error="return", progress=False
        )
        shown = outcomes._repr_html_()
        assert "1 items, 0 ok, 1 failed" in shown
        assert "&lt;b&gt;" in shown

    def test_as_a_table(self, python_pool: Callable[..., ProcessPool]) -> None:
        pytest.importorskip("pandas")
        table = (
            python_pool(1)
            .map(parse, [{"price": "1"}, {}], details=True, on_error="return")
            .to_pandas()
        )
        assert list(table.ok) == [True, False]
        assert list(table.index) == [0, 1]
        assert isinstance(table.error[1], KeyError)

    def test_of_a_million_items_there_is_little(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool(2)
        pool.map(abs, [1] * 1000, details=True)
        items = [1] * 100_000
        tracemalloc.start()
        outcomes = pool.map(abs, items, details=True)
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert len(outcomes) == 100_000
        assert size / len(items) < 150

    def test_programs(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(["cat"], worker={"protocol": "lines"})
        outcomes = pool.map(["a", "b"], details=True)
        assert [(record.args, record.stdout) for record in outcomes] == [
            (("a",), "a"),
            (("b",), "b"),
        ]
        assert outcomes[0].name == "cat"


class TestRetry:
    def test_what_has_failed_is_run_again(
        self, python_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        def read(name: str, count: int) -> str:
            return (tmp_path / name).read_text() * count

        pool = python_pool(2)
        (tmp_path / "a").write_text("1")
        before = pool.map(read, "abc", [1, 2, 3], details=True, on_error="return")
        (tmp_path / "a").write_text("new")
        (tmp_path / "b").write_text("2")
        after = before.retry()
        assert [record.index for record in after] == [0, 1, 2]
        assert after.values() == ["1", "22"]
        assert [record.index for record in after.failed] == [2]
        assert len(before.failed) == 2
        assert after.retry(on=["ok"]).values() == ["new", "22"]
        with pytest.raises(ValueError, match="on may have"):
            after.retry(on=["bad"])  # type: ignore[list-item]
        pool.close()
        with pytest.raises(PoolClosed):
            after.retry()


class TestEndedEarly:
    def test_by_an_error(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(1)
        with pytest.raises(ZeroDivisionError) as caught:
            pool.map(invert, [1, 2, 0])
        outcomes = caught.value.outcomes  # type: ignore[attr-defined]
        assert isinstance(outcomes, Outcomes)
        assert outcomes.values() == [1.0, 0.5]
        assert [record.args for record in outcomes.failed] == [(0,)]
        with pytest.raises(WorkerDied) as died:
            pool.map(invert, [1, 13], details=True)
        outcomes = died.value.outcomes  # type: ignore[attr-defined]
        assert (outcomes.values(), outcomes[1].args) == ([1.0], (13,))

    def test_what_was_not_even_read_counts_as_cancelled(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        with pytest.raises(ZeroDivisionError) as caught:
            python_pool(2).map(invert, [1, 0, *range(20, 2_000_000)], details=True)
        outcomes = caught.value.outcomes  # type: ignore[attr-defined]
        assert len(outcomes) == 1_999_982
        parts = outcomes.ok, outcomes.failed, outcomes.cancelled
        assert sum(map(len, parts)) == len(outcomes)
        assert outcomes[-1].cancelled
        assert outcomes[-1].args == (1_999_999,)
        assert outcomes[-1].attempts == 0

    def test_of_an_endless_input_only_what_was_read(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        with pytest.raises(ZeroDivisionError) as caught:
            python_pool(2).map(invert, (n % 50 for n in itertools.count(20)))
        outcomes = caught.value.outcomes  # type: ignore[attr-defined]
        parts = outcomes.ok, outcomes.failed, outcomes.cancelled
        assert sum(map(len, parts)) == len(outcomes) < 1_000_000

    def test_by_ctrl_c(self, python_pool: Callable[..., ProcessPool], tmp_path: Path) -> None:
        def work(item: int) -> int:
            if item == 3 and not (tmp_path / "there").exists():
                (tmp_path / "there").touch()
                time.sleep(60)
            return item

        pool = python_pool(1)

        def interrupt() -> None:
            eventually((tmp_path / "there").exists)
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt) as caught:
            pool.map(work, range(6), details=True)
        thread.join()
        outcomes = caught.value.outcomes  # type: ignore[attr-defined]
        assert outcomes.values() == [0, 1, 2]
        assert [record.index for record in outcomes.cancelled] == [3, 4, 5]
        assert outcomes[4].args == (4,)
        assert outcomes[4].cancelled
        assert outcomes.retry(on=["cancelled"])[5].value == 5

    def test_by_a_stop(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(1)

        def stop() -> None:
            eventually(lambda: [run.done for run in pool.snapshot().maps] == [1])
            pool.stop_map(pool.snapshot().maps[0].id)

        thread = threading.Thread(target=stop)
        thread.start()
        with pytest.raises(CancelledError) as caught:
            pool.map(time.sleep, [0, 60, 0])
        thread.join()
        outcomes = caught.value.outcomes  # type: ignore[attr-defined]
        assert not outcomes.failed
        assert len(outcomes.ok) + len(outcomes.cancelled) == len(outcomes)
        assert outcomes.cancelled

    def test_lazily(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(1)
        had: list[float] = []
        with pytest.raises(ZeroDivisionError) as caught:
            had.extend(pool.imap(invert, [1, 2, 0], buffersize=10))
        outcomes = caught.value.outcomes  # type: ignore[attr-defined]
        assert had + outcomes.values() == [1.0, 0.5]
        assert [record.index for record in outcomes.failed] == [2]

    def test_under_asyncio(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(1)

        async def run() -> list[Any]:
            return [value async for value in pool.aimap(invert, [1, 0])]

        with pytest.raises(ZeroDivisionError) as caught:
            asyncio.run(run())
        outcomes = caught.value.outcomes  # type: ignore[attr-defined]
        assert [record.index for record in outcomes.failed] == [1]


class TestNotes:
    def note(self, error: BaseException | None) -> str:
        assert error is not None
        return "\n".join(error.__notes__)

    def test_an_error_says_which_item_it_is_of(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool(1)
        rows = [{"price": "1"}, {"price": "n/a"}]
        with pytest.raises(ValueError, match="n/a") as caught:
            pool.map(parse, rows)
        assert self.note(caught.value) == "item 1 of map 'parse': {'price': 'n/a'}"
        with pytest.raises(ValueError, match="n/a") as caught:
            list(pool.imap(parse, rows, progress="prices"))
        assert self.note(caught.value) == "item 1 of map 'prices': {'price': 'n/a'}"

    def test_it_is_short_and_harmless(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(1, worker={"env": {"TOKEN": "hunter2"}})
        rows = [{"price": "\x1b[2J\n" + "x" * 1000}, {"price": "for hunter2"}]
        long, secret = pool.map(parse, rows, on_error="return")
        assert len(self.note(long)) <= 200  # type: ignore[arg-type]
        assert "\x1b" not in self.note(long)  # type: ignore[arg-type]
        assert "\n" not in self.note(long)  # type: ignore[arg-type]
        assert self.note(secret) == "item 1 of map 'parse': {'price': 'for ***'}"  # type: ignore[arg-type]

    def test_of_a_single_call(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(1)
        error = pool.submit(price, "n/a", 3).exception()
        assert self.note(error) == "call of 'price': 'n/a', 3"
        died = pool.submit(invert, 13).exception()
        assert self.note(died) == "call of 'invert': 13"

    def test_of_a_call(
        self, python_pool: Callable[..., ProcessPool], make_pool: Callable[..., ProcessPool]
    ) -> None:
        with pytest.raises(ValueError, match="n/a") as caught:
            python_pool(1).call(price, "n/a", 3)
        assert self.note(caught.value) == "call of 'price': 'n/a', 3"
        assert caught.value.record.args == ("n/a", 3)  # type: ignore[attr-defined]
        pool = make_pool(["sh", "-c", "read line; exit 3"], worker={"protocol": "lines"})
        with pytest.raises(WorkerDied) as died:
            pool.call("a")
        assert self.note(died.value) == "call of 'sh': 'a'"

    def test_the_pools_own_frames_are_left_out(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool(1)
        for ask in (
            lambda: pool.map(parse, [{}]),
            lambda: list(pool.imap(parse, [{}])),
            lambda: pool.call(parse, {}),
            lambda: pool.submit(parse, {}).result(),
        ):
            with pytest.raises(KeyError) as caught:
                ask()
            files = [frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)]
            assert files[:2] == [__file__, __file__]
            assert len(files) <= 3

    def test_of_programs(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(["cat"], worker={"protocol": "lines", "codec": "json"})
        [error] = pool.map([object], on_error="return")
        assert self.note(error).startswith("item 0 of map 'cat': <class 'object'>")

    def test_what_cannot_be_shown(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(1)
        [error] = pool.map(parse, [Unshowable()], on_error="return")
        assert "Unshowable" in self.note(error)  # type: ignore[arg-type]


class Unshowable(dict[str, str]):
    def __repr__(self) -> str:
        raise RuntimeError


def test_a_record_is_made_when_looked_at(python_pool: Callable[..., ProcessPool]) -> None:
    outcomes = python_pool(1).map(str, range(3), details=True)
    assert outcomes[1] == outcomes[1]
    assert all(isinstance(record, Outcome) for record in outcomes)
