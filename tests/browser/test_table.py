"""Which workers have a row, in which order, and what can be done with many of them at once."""

from __future__ import annotations

from itertools import pairwise
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


def test_resizing_says_what_becomes_of_the_fewest(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook()
    box = notebook.widget.get_by_label("max workers")
    for size, said in (
        ("1", "min and max are 1 now; min was 2"),
        ("3", "max is 3 now, min is still 1"),
        ("0", "a pool has at least one worker"),
    ):
        box.fill(size)
        box.press("Enter")
        notebook.await_widget(
            'pool.querySelector(".pp-status").textContent.includes(argument)', said
        )
    box.blur()
    assert box.input_value() == "3"


@needs_subshells
def test_the_question_is_about_what_would_be_lost_by_now(
    open_notebook: Callable[..., Notebook],
) -> None:
    notebook = open_notebook('pool.map(["0.4"] * 400, on_error="skip"); None')
    notebook.run(1)
    notebook.await_widget(BUSY, 2)
    row = notebook.widget.locator("tbody tr").first
    number, button = row.locator("th").inner_text(), row.locator("button")
    button.click()
    asked = '(text => text.startsWith("Lose item") && text !== argument)'
    armed = f'{asked}(pool.querySelector("[data-mode=armed]").textContent)'
    notebook.await_widget(armed, "")
    notebook.await_widget(armed, button.inner_text())
    button.click()
    notebook.await_widget(f'!{NUMBERS}.split(",").includes(argument)', number)
    notebook.interrupt()
    assert notebook.finish(1) == "KeyboardInterrupt"


def test_the_keyboard_goes_as_the_eye_does(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook('pool.map(["0.2"] * 4); None')
    notebook.run_all(1)
    notebook.await_widget('pool.querySelectorAll("tbody tr").length === 2')
    notebook.widget.get_by_role("button", name="Pause").focus()
    seen = []
    for _ in range(40):
        place = notebook.page.evaluate("""() => {
            const node = document.activeElement;
            if (!node.closest(".pp-pool")) return null;
            const {top, left} = node.getBoundingClientRect();
            return [top, left];
        }""")
        if place is None:
            break
        seen.append(place)
        notebook.page.keyboard.press("Tab")
    assert len(seen) >= 10
    for (top, left), (next_top, next_left) in pairwise(seen):
        assert next_top > top - 6
        assert next_top > top + 6 or next_left > left


def test_where_there_is_little_room_nothing_is_cut(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook('pool.map(["0"] * 1501 + ["60"], progress="naps")')
    notebook.run(1)
    notebook.await_widget('pool.querySelectorAll("tr[data-late]").length === 1')
    for width in (1200, 1000, 860):
        notebook.page.set_viewport_size({"width": width, "height": 1400})
        notebook.await_widget(
            """(box => box.scrollWidth <= box.clientWidth
                && [...box.querySelectorAll("tr[data-late] td")].every(cell =>
                    !cell.offsetParent || cell.scrollWidth <= cell.clientWidth)
            )(pool.querySelector(".pp-workers .pp-scroll"))"""
        )
        assert notebook.text("tr[data-late] td:nth-child(4)").startswith("1,501")
    notebook.interrupt()
    assert notebook.finish(1) == "KeyboardInterrupt"


def test_where_less_motion_is_wanted_it_is_calm(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook('pool.map(["0.2"] * 100); None', reduced_motion="reduce")
    notebook.run(1)
    notebook.await_widget(BUSY, 2)
    notebook.page.evaluate("""() => {
        const pool = document.querySelector(".pp-pool");
        const areas = [...pool.querySelectorAll(".pp-spark-area")];
        const pictures = [
            () => pool.querySelector(".pp-canvas").toDataURL(),
            () => areas.map(area => area.style.clipPath).join(),
        ];
        window.drawn = pictures.map(() => []);
        const before = pictures.map(picture => picture());
        setInterval(() => pictures.forEach((picture, which) => {
            const now = picture();
            if (now !== before[which]) window.drawn[which].push(performance.now());
            before[which] = now;
        }), 50);
    }""")
    notebook.finish(1)
    for times in notebook.page.evaluate("window.drawn"):
        assert len(times) >= 2
        assert min(then - now for now, then in pairwise(times)) > 2500
