"""Deltas between display states, so that only changes are sent to the browser.

`applied(old, difference(old, new)) == new`; the front end implements `applied` in `front/store.js`.
Of the rows, those that changed are sent whole: to look for the fields that did costs more than it
saves.
"""

from __future__ import annotations

from typing import Any

State = dict[str, Any]


def difference(old: State, new: State) -> State:
    """Return the entries of `new` that differ from `old`; of `rows`, only those that do."""
    changed = {key: value for key, value in new.items() if key != "rows" and old.get(key) != value}
    known = old["rows"]
    rows = {
        key: row
        for key, row in new["rows"].items()
        if (before := known.get(key)) is not row and before != row
    }
    if rows:
        changed["rows"] = rows
    return changed


def applied(old: State, changed: State) -> State:
    """Return `old` with the delta `changed` applied; rows that left `order` are removed."""
    new = {**old, **changed}
    rows = {**old["rows"], **changed.get("rows", {})}
    new["rows"] = {key: rows[key] for key in map(str, new["order"])}
    return new
