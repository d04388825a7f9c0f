"""Takes the pictures of the widget that the README shows: `python -m tests.browser.screenshot`.

A notebook is run in a real JupyterLab for three quarters of a minute; the pictures go into
`notebooks/images`, light and dark.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.browser.conftest import missing
from tests.browser.lab import CHROMIUM_FLAGS, Notebook, chromium, opened, running_lab

FOLDER = Path(__file__).parents[2] / "notebooks" / "images"
SETUP = """
import random, sys, time
import processpool
from processpool import ProcessPool

def simulate(seconds):
    if seconds < 0:
        print("mesh has no volume", file=sys.stderr)
        raise ValueError(f"cannot simulate case {seconds}")
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        processpool.progress(passed, seconds, "relaxing")
        time.sleep(0.05)
    print(f"converged after {int(seconds * 40)} steps", file=sys.stderr)

pool = ProcessPool.from_dict({
    "name": "simulations",
    "worker": {"kind": "python"},
    "size": {"min": 6, "max": 8},
}).open()
pool.wait_ready()
pool
"""
WORK = """
random.seed(5)
cases = [random.choice([0.4, 0.8, 1.5, 2.5, 4]) for _ in range(260)]
cases[90] = -1
cases[175] = 25
pool.map(simulate, [0.4] * 24, progress="warm up")
pool.map(simulate, cases, progress="simulate", on_error="skip")
"""
ENOUGH = """/^2[0-9][0-9] of/.test(pool.querySelector(".pp-map-text")?.textContent)
    && pool.querySelectorAll("tr[data-late]").length === 1"""


def main() -> None:
    """Take both pictures."""
    from playwright.sync_api import sync_playwright

    reason = missing()
    if reason is not None:
        sys.exit(reason)
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_lab(Path(folder)) as lab,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        lab.write("pool", [SETUP, WORK])
        with opened(browser, lab, "pool", device_scale_factor=1.5) as notebook:
            notebook.run_all(0)
            notebook.run(1)
            notebook.await_widget(ENOUGH)
            for theme in ("light", "dark"):
                take(notebook, theme)
        browser.close()


def take(notebook: Notebook, theme: str) -> None:
    """Take the picture in one theme."""
    notebook.command("apputils:change-theme", {"theme": f"JupyterLab {theme.title()}"})
    notebook.page.wait_for_function(
        "light => document.body.dataset.jpThemeLight === light", arg=str(theme == "light").lower()
    )
    path = FOLDER / f"widget-{theme}.png"
    notebook.widget.first.screenshot(path=path)
    print(f"{path}: {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
