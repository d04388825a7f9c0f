"""The widget where it is not JupyterLab that shows it."""

from __future__ import annotations

from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import SETUP
from tests.browser.lab import NOTEBOOK, VOILA, App, Notebook, opened, running_lab
from tests.browser.test_widget import needs_subshells

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

WORK = """
import threading
threading.Thread(target=pool.map, args=(["0.5"] * 200,), daemon=True).start()
"""
"""Work that goes on when all cells have run."""


def needs(app: App) -> pytest.MarkDecorator:
    """Skips a test where the app is not installed."""
    missing = find_spec(app.module) is None
    return pytest.mark.skipif(missing, reason=f"there is no {app.module}: pip install {app.module}")


@contextmanager
def shown(browser: Browser, folder: Path, app: App, *cells: str) -> Iterator[Notebook]:
    """A notebook with the pool, open in an app of its own."""
    with running_lab(folder, app) as lab:
        lab.write("shown", [SETUP, *cells])
        with opened(browser, lab, "shown") as notebook:
            yield notebook


@needs(NOTEBOOK)
@needs_subshells
def test_in_notebook_7_it_lives_and_obeys_while_a_cell_blocks(
    browser: Browser, tmp_path: Path
) -> None:
    cells = ('pool.map(["0.5"] * 60, progress="naps")', "pool.close()")
    with shown(browser, tmp_path, NOTEBOOK, *cells) as notebook:
        notebook.run_all(0)
        notebook.run(1)
        notebook.await_widget('/^[1-9] of 60/.test(pool.querySelector(".pp-map-text").textContent)')
        notebook.widget.first.get_by_role("button", name="Stop").click()
        notebook.widget.first.get_by_role("button", name="Lose what runs?").click()
        assert notebook.finish(1) == "CancelledError"
        notebook.run_all(2)
        notebook.page.locator(".jp-RenderedHTML table").first.wait_for()
        assert notebook.widget.count() == 0


@needs(VOILA)
def test_in_voila_it_lives_and_obeys(browser: Browser, tmp_path: Path) -> None:
    with shown(browser, tmp_path, VOILA, WORK) as page:
        page.await_widget('/^[1-9]/.test(pool.querySelector(".pp-map-text").textContent)')
        page.widget.first.get_by_role("button", name="Pause").click()
        page.await_widget('pool.querySelector(".pp-badge").textContent === "‖ paused"')
        page.await_widget('pool.querySelectorAll("tr[data-state=idle]").length === 2')
        page.widget.first.get_by_role("button", name="Resume").click()
        page.await_widget('pool.querySelectorAll("tr[data-state=busy]").length === 2')
