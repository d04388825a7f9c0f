from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from processpool.widget.delta import applied, difference

values = st.none() | st.integers(0, 5) | st.text("ab", max_size=2)
rows = st.dictionaries(
    st.integers(1, 6).map(str), st.lists(values, min_size=3, max_size=3), max_size=6
)


@st.composite
def states(draw: st.DrawFn) -> dict[str, Any]:
    """A state with rows in an order."""
    found = draw(rows)
    order = draw(st.permutations([int(key) for key in found]))
    return {"order": order, "rows": found, "queued": draw(values), "error": draw(values)}


@given(old=states(), new=states())
def test_a_state_and_what_changed_give_the_next(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert applied(old, difference(old, new)) == {
        **new,
        "rows": {str(number): new["rows"][str(number)] for number in new["order"]},
    }


@given(state=states())
def test_what_did_not_change_does_not_travel(state: dict[str, Any]) -> None:
    assert difference(state, state) == {}


def test_only_the_rows_that_changed_travel() -> None:
    old = {"order": [1, 2], "rows": {"1": [101, "idle"], "2": [102, "idle"]}, "queued": 2}
    new = {"order": [1, 2], "rows": {"1": [101, "busy"], "2": [102, "idle"]}, "queued": 2}
    assert difference(old, new) == {"rows": {"1": [101, "busy"]}}
