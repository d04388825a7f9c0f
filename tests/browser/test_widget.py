from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import SETUP

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.lab import Lab, Notebook

Opener = "Callable[..., Notebook]"
KERNEL = tuple(map(int, version("ipykernel").split(".")[:2]))
needs_subshells = pytest.mark.skipif(KERNEL < (7, 1), reason="this ipykernel has no subshells")

FIGURE = """name => {
    const figures = [...document.querySelectorAll(".pp-figure")];
    return figures.find(node => node.firstChild.textContent === name).children[1].textContent;
}"""
COUNT_HELLOS = """
from processpool.widget.display import Display
answer, hellos = Display._answer, []

def counting(self, message):
    if message["kind"] == "hello":
        hellos.append(message)
    answer(self, message)

Display._answer = counting
"""
STATES = ("idle", "starting", "busy")
FINISHED = ".pp-figure:nth-child(3) .pp-amount"
WATCH_LONG_TASKS = """() => {
    window.longTasks = [];
    window.calmSince = performance.now();
    new PerformanceObserver(list => {
        for (const {duration} of list.getEntries()) window.longTasks.push(duration);
        window.calmSince = performance.now();
    }).observe({type: "longtask"});
}"""
"""Tasks of more than 50 ms are noted; until there are none, JupyterLab is still coming up."""
DONE = f"""({FIGURE})("ok") === argument"""
ROW = """pool.querySelector(`tbody tr:nth-child(${argument})`)"""


def test_it_lives_while_a_cell_blocks(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook('pool.map(["0.5"] * 60, progress="sleeping")')
    notebook.run(1)
    notebook.await_widget('pool.querySelector(".pp-map-label")?.textContent === "sleeping"')
    notebook.await_widget('/^[1-9] of 60/.test(pool.querySelector(".pp-map-text").textContent)')
    notebook.await_widget('[...pool.querySelectorAll("tr[data-state=busy]")].length === 2')
    notebook.await_widget('pool.querySelector("tbody td:nth-child(5)").textContent.endsWith(" s")')
    assert notebook.page.locator(".tqdm, .jupyter-widgets progress").count() == 0
    notebook.interrupt()
    assert notebook.finish(1) == "KeyboardInterrupt"


def test_a_map_that_has_ended_stays_in_sight(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook('pool.map(["0.2"] * 6, progress="naps")')
    notebook.run_all(1)
    notebook.await_widget('/^6 of 6/.test(pool.querySelector(".pp-map-text").textContent)')
    assert notebook.text(".pp-map[data-ended] .pp-map-label") == "naps"
    assert notebook.text(".pp-map[data-ended] .pp-how") == "✓ done"
    assert notebook.widget.first.get_by_role("button", name="Stop").count() == 0


def test_after_an_interrupt_the_pool_works_on(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook('pool.map(["30"] * 4)', 'pool.map(["0.1", "0.2"])')
    notebook.run(1)
    notebook.await_widget('pool.querySelectorAll("tr[data-state=busy]").length === 2')
    notebook.interrupt()
    assert notebook.finish(1) == "KeyboardInterrupt"
    notebook.run(2)
    assert notebook.finish(2) == "['0.1', '0.2']"
    notebook.await_widget('pool.querySelectorAll("tr[data-state=idle]").length === 2')


@needs_subshells
def test_a_worker_is_replaced_by_two_clicks_while_a_cell_blocks(
    open_notebook: Callable[..., Notebook],
) -> None:
    notebook = open_notebook('pool.map(["60", "0.1"], on_error="return")')
    notebook.run(1)
    notebook.await_widget('pool.querySelectorAll("tr[data-state=busy]").length === 1')
    notebook.await_widget('pool.querySelectorAll("tr[data-state=idle]").length === 1')
    button = notebook.widget.locator("tr[data-state=busy] button")
    button.click()
    notebook.await_widget('pool.querySelector("[data-mode=armed]").textContent === "Lose item 0?"')
    button.click()
    assert "WorkerDied" in notebook.finish(1)
    notebook.await_widget('pool.querySelector(".pp-group-text").textContent.includes("WorkerDied")')
    assert notebook.widget.locator(".pp-error:visible").count() == 0, "somebody asked for it"


def test_a_double_click_confirms_nothing(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook('pool.map(["3"] * 2)')
    notebook.run(1)
    button = notebook.widget.locator("tr[data-state=busy] button").first
    button.dblclick()
    assert button.inner_text().startswith("Lose item")
    button.press("Escape")
    assert button.inner_text() == "Restart"
    assert notebook.finish(1) == "['3', '3']"


def test_the_focus_goes_on_to_the_next_row(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook()
    first = notebook.widget.locator("tbody tr").first
    number = first.locator("th").inner_text()
    first.locator("button").press("Enter")
    notebook.await_widget(
        """![...pool.querySelectorAll("tbody th")].some(row => row.innerText === argument)
            && document.activeElement.closest(".pp-pool tbody tr")""",
        number,
    )


@needs_subshells
def test_a_map_is_stopped_while_a_cell_blocks(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook('pool.map(["30"] * 4, progress="endless")')
    notebook.run(1)
    panel = notebook.widget.first
    panel.get_by_role("button", name="Stop").click()
    panel.get_by_role("button", name="Lose what runs?").click()
    assert notebook.finish(1) == "CancelledError"
    notebook.await_widget('pool.querySelector("[data-ended=early]").innerText.includes("of 4")')


@needs_subshells
def test_the_pool_is_resized_while_a_cell_blocks(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook('pool.map(["20"] * 6)')
    notebook.run(1)
    notebook.await_widget('pool.querySelectorAll("tr[data-state=busy]").length === 2')
    box = notebook.widget.get_by_label("max workers")
    box.fill("4")
    box.press("Enter")
    notebook.await_widget('pool.querySelectorAll("tr[data-state=busy]").length === 4')
    notebook.interrupt()
    assert notebook.finish(1) == "KeyboardInterrupt"


@needs_subshells
def test_the_keyboard_is_enough(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook("import time; time.sleep(60)", "pool.state")
    notebook.run(1)
    notebook.widget.get_by_role("button", name="Pause").press("Enter")
    notebook.await_widget('pool.querySelector(".pp-badge").textContent === "‖ paused"')
    notebook.await_widget('pool.querySelector(".pp-whispered").textContent.includes("paused")')
    notebook.widget.get_by_role("button", name="Resume").wait_for()
    notebook.interrupt()


@pytest.mark.skipif(KERNEL >= (7, 0), reason="this ipykernel has subshells")
def test_a_busy_kernel_is_said_to_be_busy(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook("import time; time.sleep(5)")
    notebook.run(1)
    notebook.widget.get_by_role("button", name="Pause").click()
    notebook.await_widget('pool.querySelector("[data-mode=busy]").textContent.includes("busy")')
    notebook.finish(1)
    notebook.await_widget('pool.querySelector(".pp-badge").textContent === "‖ paused"')


def test_what_workers_write_stays_text(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook('pool.map(["shout"] * 3)')
    notebook.run_all(1)
    notebook.await_widget('pool.querySelector(".pp-log").textContent.includes("<b>bold</b>")')
    assert notebook.widget.locator(".pp-log b, .pp-log script").count() == 0
    assert "hacked" not in notebook.page.title()


def test_a_crash_stays_in_sight(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook('pool.map(["die", "0.1"], on_error="skip")')
    notebook.run_all(1)
    notebook.await_widget('pool.querySelector(".pp-group").textContent.includes("status 3")')
    notebook.await_widget('pool.querySelector(".pp-log").textContent.includes("about to die")')


def test_closing_leaves_a_table_that_survives_saving_and_reopening(
    open_notebook: Callable[..., Notebook], lab: Lab
) -> None:
    notebook = open_notebook('answers = pool.map(["0.1"] * 4)\npool.close()')
    notebook.run_all(1)
    table = notebook.page.locator(".jp-RenderedHTML table")
    table.wait_for()
    assert notebook.widget.count() == 0
    notebook.save()
    notebook.page.reload()
    table.wait_for()
    assert notebook.page.get_by_text("closed · 4 ok · 0 failed").count() == 1
    assert table.locator("tbody tr").count() == 2


def test_after_a_reload_it_lives_on(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook('pool.map(["0.1"] * 5); None', 'pool.map(["0.1"] * 2); None')
    notebook.run_all(1)
    notebook.await_widget(DONE, "5")
    notebook.save()
    notebook.page.reload()
    notebook.await_widget(DONE, "5")
    notebook.run_all(2)
    notebook.await_widget(DONE, "7")


def test_a_second_view_shows_the_same(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook('pool.map(["0.1"] * 5); None', "pool")
    notebook.run_all(1, 2)
    notebook.page.wait_for_function('document.querySelectorAll(".pp-pool").length === 2')
    both = """[...document.querySelectorAll(".pp-pool")].every(pool =>
        pool.querySelectorAll("tbody tr").length === 2
        && pool.querySelectorAll(".pp-figure")[2].children[1].textContent === "5")"""
    notebook.page.wait_for_function(both)


def test_all_views_have_one_store(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook("pool", "pool", "len(hellos)", setup=COUNT_HELLOS + SETUP)
    notebook.run_all(1, 2)
    notebook.page.wait_for_function('document.querySelectorAll(".pp-pool tbody").length === 3')
    notebook.run(3)
    assert notebook.finish(3) == "1"


def test_without_a_kernel_it_says_that_it_is_old(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook()
    notebook.page.evaluate(
        "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    notebook.await_widget('pool.dataset.stale === "" && pool.innerText.includes("No news")')
    button = notebook.widget.get_by_role("button", name="Pause")
    button.click()
    assert button.inner_text() == "Pause"  # nobody is there who could be busy
    assert "No news" in notebook.text(".pp-status")


def test_rows_keep_focus_and_identity_while_they_change(
    open_notebook: Callable[..., Notebook],
) -> None:
    notebook = open_notebook('pool.map(["0.2"] * 8); None')
    row = notebook.widget.locator("tbody tr").first.element_handle()
    row.evaluate("row => row.querySelector('button').focus()")
    notebook.page.evaluate("""() => {
        const panel = window.jupyterapp.shell.currentWidget;
        panel.sessionContext.session.kernel.requestExecute({code: "pool.map(['0.2'] * 8)"});
    }""")
    notebook.await_widget(DONE, "8")
    kept = "row => row.isConnected && document.activeElement === row.querySelector('button')"
    assert row.evaluate(kept)


def test_five_hundred_workers_stay_smooth(open_notebook: Callable[..., Notebook]) -> None:
    setup = """
from processpool.widget import _publish
from processpool.widget.display import Display
from tests.widget.crowd import Crowd
crowd = Crowd(500)
display = Display(crowd, _publish)
display.show()
"""
    notebook = open_notebook("import time; time.sleep(10)", setup=setup)
    notebook.await_widget('pool.querySelectorAll("tbody tr").length === 40')
    notebook.page.evaluate(WATCH_LONG_TASKS)
    notebook.page.wait_for_function("performance.now() > window.calmSince + 2000")
    before = notebook.text(FINISHED)
    notebook.page.evaluate("window.longTasks.length = 0")
    notebook.run_all(1)
    assert notebook.text(FINISHED) != before
    assert [task for task in notebook.page.evaluate("window.longTasks") if task >= 200] == []


def test_the_timeline_says_whose_each_block_is(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook('pool.map(["1", "1", "die", "die"], on_error="skip"); pool.call("1")')
    notebook.run_all(1)
    notebook.await_widget(DONE, "3")
    told = notebook.page.evaluate("""() => {
        const canvas = document.querySelector(".pp-canvas");
        const box = canvas.getBoundingClientRect();
        const told = new Set();
        for (let x = 0.5; x < 240; x++) for (const y of [0.25, 0.75]) {
            const clientX = box.left + x / 240 * box.width;
            const clientY = box.top + y * box.height;
            canvas.dispatchEvent(new MouseEvent("mousemove", {clientX, clientY}));
            told.add(document.querySelector(".pp-pointed").textContent.split(",")[0]);
        }
        return [...told];
    }""")
    assert {"worker 1: busy", "worker 2: busy"} <= set(told)
    assert any(f"worker {number}: {state}" in told for number in (3, 4) for state in STATES)
    assert {"worker 3: item failed", "worker 4: item failed"}.isdisjoint(told)


def test_lanes_are_grouped_by_node(open_notebook: Callable[..., Notebook]) -> None:
    setup = """
from processpool.widget import _publish
from processpool.widget.display import Display
from tests.widget.crowd import Crowd
crowd = Crowd(6, nodes=["early", "late"])
display = Display(crowd, _publish)
display.show()
"""
    notebook = open_notebook(setup=setup)
    notebook.await_widget('pool.querySelectorAll(".pp-nodes span").length === 2')
    lanes, nodes = notebook.page.evaluate("""() => {
        const all = (kind) => [...document.querySelectorAll(kind)];
        return [
            all(".pp-lanes:not(.pp-nodes) span").map((label) => label.textContent),
            all(".pp-nodes span").map((label) => [label.textContent, label.clientHeight]),
        ];
    }""")
    assert lanes == ["1", "3", "5", "2", "4", "6"]
    assert [text for text, _ in nodes] == ["early", "⚠ late: not heard of"]
    assert nodes[0][1] == nodes[1][1] > 30
