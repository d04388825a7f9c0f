"""Deltas between display states, so that only changes are sent to the browser.

`applied(old, difference(old, new)) == new`; the front end implements `applied` in `front/store.js`.
Of a row that changed, only the changed fields are sent.
"""

from __future__ import annotations

from typing import Any

State = dict[str, Any]

_PLACES = tuple(map(str, range(32)))
"""The indices of a row's fields, as the text keys of a JSON object."""


def difference(old: State, new: State) -> State:
    """Return the entries of `new` that differ from `old`; of `rows`, only the changed fields."""
    changed = {key: value for key, value in new.items() if key != "rows" and old.get(key) != value}
    rows = _changed_rows(old["rows"], new["rows"])
    if rows:
        changed["rows"] = rows
    return changed


def applied(old: State, changed: State) -> State:
    """Return `old` with the delta `changed` applied; rows that left `order` are removed."""
    new = {**old, **changed}
    rows = dict(old["rows"])
    for key, row in changed.get("rows", {}).items():
        rows[key] = row if isinstance(row, list) else _patched(rows[key], row)
    new["rows"] = {key: rows[key] for key in map(str, new["order"])}
    return new


def _changed_rows(old: State, new: State) -> State:
    """Return new rows whole, and of changed rows a mapping of field index to value."""
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
