"""What is different between two states, so that only that travels.

`difference(old, new)` is what `applied(old, ...)` needs to get from one to the other; the front end
does the same in `front/store.js`. A row that changed says only which of its fields did.
"""

from __future__ import annotations

from typing import Any

State = dict[str, Any]

_PLACES = tuple(map(str, range(32)))
"""The places in a row, written as the keys that they travel under."""


def difference(old: State, new: State) -> State:
    """The entries of `new` that `old` has not; of `rows`, only the fields. Empty if none."""
    changed = {key: value for key, value in new.items() if key != "rows" and old.get(key) != value}
    rows = _changed_rows(old["rows"], new["rows"])
    if rows:
        changed["rows"] = rows
    return changed


def applied(old: State, changed: State) -> State:
    """The state that follows `old`; rows that have no place in the order any more are gone."""
    new = {**old, **changed}
    rows = dict(old["rows"])
    for key, row in changed.get("rows", {}).items():
        rows[key] = row if isinstance(row, list) else _patched(rows[key], row)
    new["rows"] = {key: rows[key] for key in map(str, new["order"])}
    return new


def _changed_rows(old: State, new: State) -> State:
    """New rows whole, and of the others the fields that changed, by their place in the row."""
    out: State = {}
    for key, row in new.items():
        before = old.get(key)
        if before is None:
            out[key] = row
        elif before != row:
            fields = zip(_PLACES, row, before, strict=False)
            out[key] = {place: value for place, value, last in fields if value != last}
    return out


def _patched(row: list[Any], fields: State) -> list[Any]:
    return [fields.get(str(place), value) for place, value in enumerate(row)]
