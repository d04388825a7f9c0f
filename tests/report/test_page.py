"""The report as a page: what it says, that it is whole, harmless and small."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from processpool.core.run_record import KEPT, RunRecord
from processpool.report import Report, Told

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from processpool import ProcessPool

VOID = {"meta", "br", "link"}


class Strict(HTMLParser):
    """Fails where elements are not closed in the order in which they were opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "title"):
            self.text += data


def read(html: str) -> Strict:
    page = Strict()
    page.feed(html)
    assert not page.open
    return page


def price(row: dict[str, str]) -> float:
    return float(row["price"])


def report_of_a_failure(python_pool: Callable[..., ProcessPool], **sections: Any) -> Any:
    pool = python_pool(2, **sections)
    rows = [{"price": str(number)} for number in range(9)] + [{"price": "n/a <b>"}] * 3
    return pool.map(price, rows, on_error="return", details=True)


def test_it_says_what_went_wrong_and_what_to_do(python_pool: Callable[..., ProcessPool]) -> None:
    report = report_of_a_failure(python_pool).report()
    text = read(report.html).text
    assert "3 items of 12 failed, all with ValueError: could not convert string to float" in text
    assert "outcomes.retry()" in text
    assert re.search(r"Example: item (9|10|11): \{'price': 'n/a <b>'\}", text)
    assert 'return float(row["price"])' in text
    assert "9 ok" in text
    assert "3 failed" in text
    for figure in ("p50", "p90", "p99", "slot 0", "Memory of the workers"):
        assert figure in text


def test_it_is_one_file_without_script_and_network(
    python_pool: Callable[..., ProcessPool], tmp_path: Path
) -> None:
    outcomes = report_of_a_failure(python_pool)
    outcomes.report(tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    page = read(html)
    assert "script" not in page.seen
    assert not re.search(r"https?:|src=|@import|url\(", html)
    assert "<b>" not in page.text.replace("n/a <b>", "")
    assert len(html) < 50_000


def test_a_notebook_gets_a_part_of_a_page(python_pool: Callable[..., ProcessPool]) -> None:
    part = report_of_a_failure(python_pool).report()._repr_html_()
    assert part.startswith('<div class="pp-report">')
    assert "<body" not in part
    read(part)


def test_control_characters_and_markup_are_only_text() -> None:
    record = RunRecord(1, "</style><script>alert(1)</script>", 0.0)
    record.note(0, 1, 0, 1, 0.0, 1.0, failed=1)
    record.note_counts(1, 1, 0, 1)
    record.errors.add(0, "E: \x1b[2J<img src=x onerror=alert(1)>")
    record.why = "<script>x</script>"
    html = Report(Told(record)).html
    assert "\x1b" not in html
    page = read(html)
    assert not {"script", "img"} & set(page.seen)


def test_secrets_do_not_show(python_pool: Callable[..., ProcessPool]) -> None:
    worker = {"env": {"TOKEN": "s3cr3t-t0ken"}}
    pool = python_pool(1, worker=worker)
    outcomes = pool.map(price, [{"price": "s3cr3t-t0ken"}], on_error="return", details=True)
    assert "s3cr3t" not in outcomes.report().html
    assert "s3cr3t" not in pool.report().html


def test_what_ended_it_early_is_said(python_pool: Callable[..., ProcessPool]) -> None:
    with pytest.raises(ValueError, match="convert") as caught:
        python_pool(1).map(float, ["1", "x", *["2"] * 100_000])
    text = read(caught.value.outcomes.report().html).text  # type: ignore[attr-defined]
    assert "It ended early" in text
    assert "cancelled" in text


def test_what_was_run_again_counts(python_pool: Callable[..., ProcessPool], tmp_path: Path) -> None:
    there = tmp_path / "there"

    def check(number: int) -> int:
        if number % 2 and not there.exists():
            raise FileNotFoundError(f"{number}: not there")
        return number

    outcomes = python_pool(1).map(check, range(10), on_error="return", details=True)
    assert "5 items of 10 failed" in read(outcomes.report().html).text
    there.touch()
    again = outcomes.retry()
    assert "All 10 items have an answer" in read(again.report().html).text


def test_however_many_items_the_page_is_small() -> None:
    record = RunRecord(1, "f", 0.0, slots=64)
    for number in range(3 * KEPT):
        slot = number % 64
        since = number // 64 * 0.05
        record.note(slot, slot + 1, number, 1, since, since + 0.03 + number % 7 * 0.002)
        record.note_memory(slot, since, number * 1000 % (1 << 30))
    for number in range(300):
        record.errors.add(number, f"{'E' * (number % 99 + 1)}: " + "x" * 10_000)
    record.ended = 250.0
    html = Report(Told(record)).html
    assert len(html.encode()) < 300_000
    read(html)


def test_without_a_map_there_is_nothing_to_report(python_pool: Callable[..., ProcessPool]) -> None:
    with pytest.raises(ValueError, match="no map has run"):
        python_pool(1).report()
