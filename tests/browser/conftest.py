from __future__ import annotations

from contextlib import ExitStack
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.lab import CHROMIUM_FLAGS, Lab, Notebook, chromium, opened, running_lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

SETUP = r'''
from processpool import ProcessPool

script = """
while read line; do
    case $line in
        die) echo "about to die" >&2; exit 3;;
        shout) echo "<b>bold</b><script>document.title='hacked'</script>" >&2; echo ok;;
        *) sleep $line; echo $line;;
    esac
done
"""
pool = ProcessPool.from_dict({
    "name": "shown",
    "worker": {"kind": "command", "command": ["sh", "-c", script], "protocol": "lines"},
    "size": {"min": 2, "max": 2},
}).open()
pool.wait_ready()
pool
'''
"""The first cell of every notebook: a pool whose messages are seconds to sleep."""


def missing() -> str | None:
    """Why the browser tests cannot run, with the line that installs what they need."""
    if chromium() is None:
        return "there is no Chromium: apt-get install -y chromium"
    for module in ("playwright", "jupyterlab", "anywidget"):
        if find_spec(module) is None:
            return f"{module} is not installed: pip install -e '.[test]'"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give browsers time, and skip the tests where there is none."""
    reason = missing()
    for item in items:
        if item.path.parent.name == "browser":
            item.add_marker(pytest.mark.timeout(240))
            if reason is not None:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A running JupyterLab."""
    with running_lab(tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A running Chromium without windows."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        yield chrome
        chrome.close()


@pytest.fixture
def open_notebook(
    lab: Lab, browser: Browser, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Notebook]]:
    """Opens a notebook whose cells are `SETUP`, already run, and those given."""
    name = request.node.name.split("[")[0]
    with ExitStack() as stack:

        def open_it(*cells: str, setup: str = SETUP, panel: bool = True, **view: Any) -> Notebook:
            lab.write(name, [setup, *cells])
            notebook = stack.enter_context(opened(browser, lab, name, **view))
            notebook.run_all(0)
            if panel:
                notebook.widget.first.wait_for()
            return notebook

        yield open_it
