"""What a map shows in its cell, and what is left of it however the notebook is saved."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.browser.conftest import SETUP
from tests.browser.test_widget import needs_subshells

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.lab import Lab, Notebook

QUIET = SETUP.rstrip().removesuffix("pool") + "None"
"""As `SETUP`, without the panel."""
RECORD = ".jp-RenderedHTML strong"
FUNCTIONS = """
import time
from processpool import ProcessPool

def work(number):
    time.sleep(0.1)
    print(f"at {number}")
    if number == 3:
        raise ValueError(f"cannot do {number}")

pool = ProcessPool.from_dict({"worker": {"kind": "python"}, "size": {"min": 2, "max": 2}}).open()
pool.wait_ready()
pool
"""


def outputs(lab: Lab, name: str, cell: int) -> list[dict[str, Any]]:
    """The outputs of a cell in the notebook's file, by MIME type."""
    saved = json.loads((lab.folder / f"{name}.ipynb").read_text())
    return [output.get("data", {}) for output in saved["cells"][cell]["outputs"]]


@needs_subshells
def test_a_map_is_shown_and_stopped_in_its_cell(
    open_notebook: Callable[..., Notebook],
) -> None:
    notebook = open_notebook('pool.map(["30"] * 4, progress="naps")', setup=QUIET, panel=False)
    notebook.run(1)
    strip = notebook.page.locator(".pp-strip")
    strip.get_by_role("button", name="Stop").click()
    strip.get_by_role("button", name="Lose what runs?").click()
    assert notebook.finish(1).endswith("CancelledError")
    record = notebook.page.locator(RECORD).first
    record.wait_for()
    assert "■ naps · 0 of 4 ok · 0 failed · 4 cancelled" in record.inner_text()
    assert strip.count() == 0


def test_what_is_saved_while_it_runs_can_be_read(
    open_notebook: Callable[..., Notebook], lab: Lab
) -> None:
    notebook = open_notebook('pool.map(["0.5"] * 60, progress="naps"); None')
    notebook.run(1)
    notebook.page.locator(".pp-strip").wait_for()
    notebook.save()
    name = "test_what_is_saved_while_it_runs_can_be_read"
    panel, strip = outputs(lab, name, 0)[0], outputs(lab, name, 1)[0]
    assert set(panel) == set(strip) == {"text/html", "text/plain"}
    assert "2 workers" in "".join(panel["text/html"])
    assert "of 60 ok" in "".join(strip["text/html"])
    assert "running, as of" in "".join(strip["text/plain"])
    notebook.interrupt()
    notebook.finish(1)


def test_after_a_reload_the_record_and_the_panel_are_there(
    open_notebook: Callable[..., Notebook], lab: Lab
) -> None:
    notebook = open_notebook('pool.map(["0.2"] * 6, progress="naps"); None', "pool.close()")
    notebook.run_all(1)
    notebook.save()
    notebook.page.reload()
    notebook.await_widget('pool.querySelector(".pp-badge").textContent === "● open"')
    notebook.run_all(2)
    notebook.save()
    name = "test_after_a_reload_the_record_and_the_panel_are_there"
    assert "✓ naps · 6 of 6 ok" in "".join(outputs(lab, name, 1)[0]["text/html"])
    assert "2 workers" in "".join(outputs(lab, name, 0)[0]["text/html"])
    notebook.page.reload()
    notebook.page.get_by_text("✓ naps · 6 of 6 ok").wait_for()
    assert notebook.page.get_by_text("model not found").count() == 0


def test_a_failure_opens_to_its_item(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook("pool.map(work, range(6), on_error='skip'); None", setup=FUNCTIONS)
    notebook.run_all(1)
    notebook.widget.locator(".pp-group > summary").click()
    notebook.widget.locator(".pp-item > summary").click()
    notebook.await_widget(
        """["at 3", "ValueError: cannot do 3", "attempt 1", "raise ValueError"].every(text =>
            pool.querySelector(".pp-known").textContent.includes(text))"""
    )
    notebook.widget.get_by_role("button", name="Retry these").click()
    notebook.await_widget('pool.querySelector(".pp-count").textContent.startsWith("2")')
    notebook.await_widget('pool.querySelector(".pp-log").textContent.includes("at 3")')


def test_nothing_below_the_panel_moves(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook("pool.map(work, range(6), on_error='skip'); None", setup=FUNCTIONS)
    height = "document.querySelector('.pp-pool').getBoundingClientRect().height"
    notebook.await_widget('pool.querySelectorAll("tbody tr").length === 2')
    before = notebook.page.evaluate(height)
    notebook.run_all(1)
    notebook.await_widget('pool.querySelector(".pp-group")')
    notebook.widget.locator(".pp-group > summary").click()
    notebook.await_widget('pool.querySelector(".pp-item")')
    assert notebook.page.evaluate(height) == before
