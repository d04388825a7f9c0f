"""A JupyterLab, Notebook or Voila of its own and a browser to look at it with.

The server gets empty folders for its configuration, its settings and its notebooks, a free port and
a random token; it is ended with its whole process group. Whoever waits waits for a condition in
the page, never for time to pass.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page

PATIENCE = 60_000
"""Milliseconds until something that is awaited counts as missing; machines may be slow."""
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
KERNEL_IS_READY = """() => {
    const session = window.jupyterapp?.shell.currentWidget?.sessionContext;
    return session?.isReady && session.session?.kernel?.connectionStatus === "connected"
        && session.session.kernel.status === "idle";
}"""
RUN_CELL = """index => {
    const panel = window.jupyterapp.shell.currentWidget;
    panel.content.activeCellIndex = index;
    window.jupyterapp.commands.execute("notebook:run-cell");
}"""
CELL = "window.jupyterapp.shell.currentWidget.content.widgets[index]"
HAS_RUN = f"""index => {{
    const {{model}} = {CELL};
    return model.executionState === "idle" && model.executionCount !== null;
}}"""
HAS_STARTED = f"""index => {{
    const {{model}} = {CELL};
    return model.executionState === "running" || model.executionCount !== null;
}}"""
OUTPUT_TEXT = f"""index => {CELL}.model.outputs.toJSON()
    .filter(output => output.output_type !== "display_data")
    .map(output => output.text ?? output.data?.["text/plain"] ?? output.ename ?? "")
    .flat().join("")"""


def chromium() -> str | None:
    """The system's Chromium, or Chrome."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


@dataclass(frozen=True)
class App:
    """A program that shows notebooks: its module, where it shows one, and how it is started."""

    module: str
    path: str
    options: tuple[str, ...]


_SERVER = (
    "--no-browser",
    "--ip=127.0.0.1",
    "--IdentityProvider.token={token}",
    "--expose-app-in-browser",
    "--ServerApp.root_dir={root}",
)
LAB = App("jupyterlab", "lab/tree/{name}?reset", _SERVER)
NOTEBOOK = App("notebook", "notebooks/{name}", _SERVER)
VOILA = App(
    "voila",
    "voila/render/{name}",
    ("--no-browser", "--Voila.ip=127.0.0.1", "--Voila.token={token}", "{root}"),
)


class Lab:
    """A running JupyterLab, or another app."""

    def __init__(self, app: App, folder: Path, port: int, token: str) -> None:
        self.app = app
        self.folder = folder
        self._port = port
        self._token = token

    def url(self, name: str) -> str:
        """Where a notebook is shown."""
        return self._address(self.app.path.format(name=f"{name}.ipynb"))

    def _address(self, path: str) -> str:
        sign = "&" if "?" in path else "?"
        return f"http://127.0.0.1:{self._port}/{path}{sign}token={self._token}"

    def write(self, name: str, cells: list[str]) -> Path:
        """Make a notebook of code cells."""
        blank: dict[str, Any] = {
            "cell_type": "code",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        notebook = {
            "cells": [{**blank, "id": f"cell-{i}", "source": c} for i, c in enumerate(cells)],
            "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        path = self.folder / f"{name}.ipynb"
        path.write_text(json.dumps(notebook))
        return path

    def is_up(self) -> bool:
        """True once it answers."""
        try:
            with urllib.request.urlopen(self._address(""), timeout=5):
                return True
        except urllib.error.HTTPError:
            return True
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False


@contextmanager
def running_lab(folder: Path, app: App = LAB, *options: str) -> Iterator[Lab]:
    """Start JupyterLab, or another app, in a folder of its own, and end it afterwards."""
    port, token = _free_port(), secrets.token_hex(16)
    root = folder / "notebooks"
    root.mkdir()
    with open(folder / "server.log", "wb") as log:
        server = subprocess.Popen(
            [*_command(app, port, token, root), *options],
            env=_environment(folder),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        lab = Lab(app, root, port, token)
        _await_server(lab, server, folder / "server.log")
        yield lab
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _command(app: App, port: int, token: str, root: Path) -> list[str]:
    options = [option.format(token=token, root=root) for option in app.options]
    command = [sys.executable, "-m", app.module, f"--port={port}", *options]
    return [*command, "--allow-root"] if os.geteuid() == 0 and app is not VOILA else command


def _environment(folder: Path) -> dict[str, str]:
    env = dict(os.environ)
    for name in ("JUPYTER_CONFIG", "JUPYTER_RUNTIME", "JUPYTER_DATA"):
        env[f"{name}_DIR"] = str(folder / name.lower())
    for name in ("JUPYTERLAB_SETTINGS", "JUPYTERLAB_WORKSPACES"):
        env[f"{name}_DIR"] = str(folder / name.lower())
    env["PYTHONPATH"] = str(Path(__file__).parents[2])  # for tests.widget.crowd
    settings = folder / "jupyterlab_settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(json.dumps({"fetchNews": "false"}))
    return env


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _await_server(lab: Lab, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE / 1000
    while not lab.is_up():
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{lab.app.module} does not run: {log.read_text()[-2000:]}")
        time.sleep(0.1)


class Notebook:
    """A notebook, open in a page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.widget: Locator = page.locator(".pp-pool")
        """Every live widget in the page."""

    def run(self, index: int) -> None:
        """Start a cell, and do not wait for its end."""
        self.page.evaluate(RUN_CELL, index)
        self.page.wait_for_function(HAS_STARTED, arg=index)

    def finish(self, index: int) -> str:
        """Wait until a cell has run; returns what it printed, or the name of what it raised."""
        self.page.wait_for_function(HAS_RUN, arg=index)
        return str(self.page.evaluate(OUTPUT_TEXT, index))

    def run_all(self, *indices: int) -> None:
        """Run cells one after the other, each to its end."""
        for index in indices:
            self.run(index)
            self.finish(index)

    def command(self, name: str, arguments: dict[str, Any] | None = None) -> None:
        """Run a command of JupyterLab, to its end."""
        self.page.evaluate(
            "([name, arguments]) => window.jupyterapp.commands.execute(name, arguments)",
            [name, arguments or {}],
        )

    def interrupt(self) -> None:
        """The ■ button."""
        self.command("notebook:interrupt-kernel")

    def save(self) -> None:
        """Save the notebook."""
        self.command("docmanager:save")

    def await_widget(self, condition: str, argument: object = None) -> None:
        """Wait until a JavaScript condition on the first widget, `pool`, holds."""
        self.page.wait_for_function(
            f"""argument => {{
                const pool = document.querySelector(".pp-pool");
                try {{
                    return pool && ({condition});
                }} catch (error) {{
                    return false;  // something is not there yet
                }}
            }}""",
            arg=argument,
        )

    def text(self, selector: str) -> str:
        """The text of the first element of the first widget that a selector finds."""
        return self.widget.first.locator(selector).first.inner_text()


@contextmanager
def opened(browser: Browser, lab: Lab, name: str, **view: Any) -> Iterator[Notebook]:
    """Open a notebook in a page of its own, and wait until its kernel is ready."""
    context = browser.new_context(viewport={"width": 1200, "height": 1400}, **view)
    context.set_default_timeout(PATIENCE)
    try:
        page = context.new_page()
        page.goto(lab.url(name))
        if lab.app is not VOILA:  # which runs the cells before it shows anything
            page.wait_for_function(KERNEL_IS_READY)
        yield Notebook(page)
    finally:
        context.close()
