"""Which workers have a row, in which order, and what can be done with many of them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.browser.conftest import SETUP
from tests.browser.test_widget import needs_subshells

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.lab import Notebook

THREE = SETUP.replace('"size": {"min": 2, "max": 2}', '"size": {"min": 3, "max": 3}')
BUSY = 'pool.querySelectorAll("tr[data-state=busy]").length === argument'
NUMBERS = '[...pool.querySelectorAll("tbody th")].map(row => row.textContent).join()'
"""The workers that have a row, in their order."""


def test_workers_are_filtered_sorted_and_searched(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook('pool.map(["60", "60.5"])', setup=THREE)
    notebook.await_widget(f'{NUMBERS} === "1,2,3"')
    notebook.run(1)
    notebook.await_widget(BUSY, 2)
    panel = notebook.widget.first
    panel.get_by_label("which workers").select_option("idle")
    notebook.await_widget(
        'pool.querySelectorAll("tbody tr").length === 1'
        ' && pool.querySelectorAll("tr[data-state=idle]").length === 1'
    )
    panel.get_by_label("which workers").select_option("all workers")
    panel.get_by_label("order").select_option("by worker")
    notebook.await_widget(f'{NUMBERS} === "1,2,3"')
    panel.get_by_label("order").select_option("by age")
    notebook.await_widget('pool.querySelector("tbody tr:last-child").dataset.state === "idle"')
    panel.get_by_role("searchbox").fill("60.5")
    notebook.await_widget(
        'pool.querySelectorAll("tbody tr").length === 1'
        ' && pool.querySelector(".pp-what").textContent.includes("60.5")'
    )
    panel.get_by_role("searchbox").fill("")
    notebook.await_widget('pool.querySelectorAll("tbody tr").length === 3')
    notebook.interrupt()
    assert notebook.finish(1) == "KeyboardInterrupt"


@needs_subshells
def test_all_that_are_late_are_restarted_by_two_clicks(
    open_notebook: Callable[..., Notebook],
) -> None:
    notebook = open_notebook('pool.map(["0.1"] * 30 + ["60"], on_error="skip")')
    button = notebook.widget.first.get_by_role("button", name="Restart all that are late")
    assert button.get_attribute("aria-disabled") == "true"
    notebook.run(1)
    notebook.await_widget('pool.querySelectorAll("tr[data-late]").length === 1')
    button.click()
    armed = notebook.widget.first.get_by_role("button", name="Lose 1 item?")
    armed.click()
    assert notebook.finish(1).startswith("['0.1'")
    notebook.await_widget('pool.querySelector(".pp-group-text").textContent.includes("WorkerDied")')


@needs_subshells
def test_restarting_all_loses_nothing(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook('pool.map(["0.3"] * 20)')
    notebook.run(1)
    notebook.await_widget(BUSY, 2)
    notebook.widget.first.get_by_role("button", name="Restart all", exact=True).click()
    assert notebook.finish(1).count("0.3") == 20
    notebook.await_widget(
        '[...pool.querySelectorAll("tbody th")].every(row => row.textContent > 2)'
    )


def test_resizing_below_the_fewest_says_so(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook()
    box = notebook.widget.get_by_label("max workers")
    box.fill("1")
    box.press("Enter")
    notebook.await_widget('pool.querySelector(".pp-status").textContent.includes("min was 2")')
