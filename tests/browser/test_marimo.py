"""The widget in marimo: live, of a pool, and of a pool that belongs to an executor; its records."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from tests.browser.lab import PATIENCE, _free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

pytest.importorskip("marimo", reason="pip install -e '.[test]'")

APP = """
import marimo

app = marimo.App()


@app.cell
def _():
    import time
    from processpool import ProcessPool, ProcessPoolExecutor

    SHOWN
    return pool, shown, time


@app.cell
def _(shown):
    shown
    return


@app.cell
def _(pool, time):
    def work(number):
        time.sleep(0.1)
        print("at", number)
        return number * number

    answers = sum(pool.map(work, range(40)))
    return (answers,)


@app.cell
def _(answers):
    answers
    return


if __name__ == "__main__":
    app.run()
"""
POOL = "shown = pool = ProcessPool(max_workers=2, name='in marimo').open()"
EXECUTOR = "shown = pool = ProcessPoolExecutor(max_workers=2)"
TOTAL = str(sum(number * number for number in range(40)))


def write(folder: Path, shown: str) -> Path:
    path = folder / "app.py"
    path.write_text(APP.replace("SHOWN", shown))
    return path


@contextmanager
def served(app: Path) -> Iterator[str]:
    """The app, served without a browser of its own; yields its address."""
    port = _free_port()
    command = [sys.executable, "-m", "marimo", "-q", "run", str(app), "--headless", "--no-token"]
    env = {**os.environ, "HOME": str(app.parent), "XDG_CONFIG_HOME": str(app.parent)}
    with open(app.parent / "log", "wb") as log:
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            stdout=log, stderr=log, env=env, start_new_session=True,
        )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}/"
        deadline = time.monotonic() + PATIENCE / 1000
        while not is_up(address):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((app.parent / "log").read_text()[-2000:])
            time.sleep(0.1)
        yield address
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def is_up(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


@pytest.mark.parametrize("shown", [POOL, EXECUTOR], ids=["pool", "executor"])
def test_it_lives_and_runs_the_functions_of_cells(
    browser: Browser, tmp_path: Path, shown: str
) -> None:
    with served(write(tmp_path, shown)) as address:
        page = browser.new_page(viewport={"width": 1200, "height": 1000})
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        figures = page.locator(".pp-pool .pp-figure[data-name=ok] .pp-amount")
        figures.get_by_text("40", exact=True).wait_for()
        page.get_by_text(TOTAL).first.wait_for()
        if shown == POOL:  # as in other notebooks, maps of executors are in the panel alone
            page.get_by_text("✓ work · 40 of 40 ok").wait_for()
        assert "at 39" in page.locator(".pp-log").inner_text()
        page.get_by_role("button", name="Pause").click()
        page.locator(".pp-badge").get_by_text("paused").wait_for()
        page.close()


def test_without_a_server_its_functions_run_too(tmp_path: Path) -> None:
    app = write(tmp_path, POOL + "; print(shown._display_().text)")
    done = subprocess.run([sys.executable, str(app)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "in marimo" in done.stdout
