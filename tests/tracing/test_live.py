from __future__ import annotations

import json
import re
from typing import Any

from processpool.core.run_record import RunRecord
from processpool.tracing.figure import draw_records
from processpool.tracing.live import MAX_SPANS


def record(items: int, *, failed: int = -1, number: int = 1) -> RunRecord:
    """A map of two slots, an item each tenth of a second."""
    made = RunRecord(number, "parse", 0.0, slots=2)
    for index in range(items):
        began = index * 0.1
        made.note(
            index % 2, 1 + index % 2, index, 1, began, began + 0.09,
            failed=int(index == failed), item=(f"row {index}",),
        )  # fmt: skip
    if failed >= 0:
        made.note_failure(failed, "ValueError: </script> no")
    made.ended = items * 0.1
    return made


def data_of(html: str) -> dict[str, Any]:
    """What the script of a figure draws."""
    (found,) = re.findall(r"const data = (\{.*\});", html)
    return dict(json.loads(found))


def test_items_are_known_by_map_index_and_argument() -> None:
    data = data_of(draw_records("p", [record(10)], 1000)._repr_html_())
    assert data["maps"] == {"1": "parse"}
    assert data["items"] == {f"1:{index}": f"'row {index}'" for index in range(10)}
    assert data["spans"][0] == [0, 1, 0.0, 0.09, 0, 1, 0, 1, 0]
    assert len(data["spans"]) == 10


def test_what_has_failed_stays_apart_and_says_why() -> None:
    figure = draw_records("p", [record(30, failed=7)], 1000)
    data = data_of(figure._repr_html_())
    assert [span[6] for span in data["spans"] if span[8]] == [7]
    assert data["items"]["1:7"].endswith("✖ ValueError: </script> no")
    assert "1 failed" in figure.svg
    assert figure._repr_html_().count("</script>") == 1


def test_every_item_that_is_drawn_by_itself_has_a_name() -> None:
    data = data_of(draw_records("p", [record(3000)], 10_000)._repr_html_())
    alone = [span for span in data["spans"] if span[7] == 1]
    assert len(alone) == 3000
    assert all(f"1:{span[6]}" in data["items"] for span in alone)


def test_an_image_that_is_saved_names_them_too() -> None:
    assert "item 4: 0.090 s\n&#x27;row 4&#x27;" in draw_records("p", [record(10)], 1000).svg


def test_maps_stay_apart_however_close() -> None:
    figure = draw_records("p", [record(5), record(5, number=2)], 1000)
    assert {span[5] for span in data_of(figure._repr_html_())["spans"]} == {1, 2}


def test_secrets_do_not_show() -> None:
    figure = draw_records("p", [record(10)], 1000, ["row 9"])
    assert "row 9" not in figure._repr_html_()


def test_it_is_of_bounded_size() -> None:
    figure = draw_records("p", [record(30_000)], 100_000)
    html = figure._repr_html_()
    assert len(data_of(html)["spans"]) <= MAX_SPANS
    assert len(html) < 500_000
    assert sum(span[7] for span in data_of(html)["spans"]) == 30_000
