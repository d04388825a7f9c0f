"""How a pool went: sparklines, advice, the log at its end, and the timeline of what has ended."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.lab import Notebook

ONE_ITEM = re.compile(r"work: item (\d+) · .*\n(.*)")
FUNCTIONS = """
import time
from processpool import ProcessPool

def work(number):
    time.sleep(0.05)
    print(f"at {number}")
    if number == 7:
        raise ValueError("seven is out")
    return number

def slowly(count):
    for number in range(count):
        time.sleep(0.1)
        yield number

pool = ProcessPool.from_dict({"worker": {"kind": "python"}, "size": {"min": 2, "max": 2}}).open()
pool.wait_ready()
pool
"""


def test_what_holds_a_map_up_is_said_while_it_runs(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook("pool.map(work, slowly(130), on_error='skip'); None", setup=FUNCTIONS)
    notebook.run(1)
    notebook.await_widget(
        'pool.querySelector(".pp-advice").textContent'
        '.includes(": reading the input is the bottleneck")'
    )
    notebook.await_widget(
        """[...pool.querySelectorAll(".pp-spark")].every(spark =>
            spark.getAttribute("aria-label").includes("in the last minute")
            && spark.firstChild.style.clipPath.split(",").length > 5)"""
    )
    notebook.finish(1)
    record = notebook.page.get_by_text("→ workers idle")
    record.wait_for()


def test_the_log_stays_at_its_end_when_the_output_is_rendered_anew(
    open_notebook: Callable[..., Notebook],
) -> None:
    setup = FUNCTIONS.replace(
        "from processpool import",
        "import processpool.widget.display as display\n"
        "display.SAVED_EVERY = 1\nfrom processpool import",
    )
    notebook = open_notebook("pool.map(work, range(300), on_error='skip'); None", setup=setup)
    notebook.page.evaluate(
        """() => {
            window.renders = 0;
            const output = document.querySelector(".pp-pool").closest(".jp-OutputArea");
            new MutationObserver(() => window.renders++)
                .observe(output, {childList: true, subtree: true});
        }"""
    )
    notebook.run_all(1)
    assert notebook.page.evaluate("window.renders") > 0
    notebook.await_widget(
        """(box => box.textContent.includes("at 299") && box.scrollHeight > box.clientHeight
            && box.scrollTop + box.clientHeight >= box.scrollHeight - 8
        )(pool.querySelector(".pp-log .pp-lines"))"""
    )


def test_the_timeline_names_items_and_can_be_looked_at_closely(
    open_notebook: Callable[..., Notebook],
) -> None:
    cells = (
        "pool.map(work, range(40), on_error='skip', progress=False); None",
        "pool.plot_timeline()",
    )
    notebook = open_notebook(*cells, setup=FUNCTIONS)
    notebook.run_all(1, 2)
    canvas = notebook.page.get_by_role("img", name="timeline of pool")
    canvas.wait_for()
    box = canvas.bounding_box()
    assert box is not None
    told = set[str]()
    for step in range(0, int(box["width"]), 3):
        for part in (0.2, 0.5):
            notebook.page.mouse.move(box["x"] + step, box["y"] + box["height"] * part)
            told.add(notebook.page.locator(".pp-tip").inner_text())
    named = {found[1]: found[2] for text in told if (found := ONE_ITEM.fullmatch(text))}
    assert len(named) >= 20, "of 40 of 50 ms, nearly all are drawn by themselves"
    assert all(argument.split(" ")[0] == index for index, argument in named.items())
    (bad,) = [text for text in told if text.startswith("work: item 7 · ")]
    assert "failed" in bad
    assert "seven is out" in bad
    whole = float(canvas.get_attribute("data-to") or 0)
    notebook.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 10)
    notebook.page.mouse.down()
    notebook.page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 10)
    notebook.page.mouse.up()
    near = [float(canvas.get_attribute(f"data-{end}") or 0) for end in ("from", "to")]
    assert 0 < near[0] < near[1] < whole
    assert near[1] - near[0] < whole / 2
    canvas.press("0")
    assert float(canvas.get_attribute("data-to") or 0) == whole
    notebook.page.get_by_label("colours").select_option("by map")
    assert notebook.page.locator(".jp-OutputArea img").count() == 0
