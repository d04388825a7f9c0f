"""`processpool.progress`: reports how far an item is, while it runs.

The latest report lies in the page that the worker shares with the pool, which reads it when it
takes a snapshot. So a report costs a microsecond, and whoever looks sees the latest one.
"""

from __future__ import annotations

from _thread import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from processpool.wire.python.journal import Journal

journal: Journal | None = None
"""Set in a worker."""
_writing = RLock()
"""Held by the thread that writes a report; an `RLock`, as a signal's handler may report too."""


def progress(done: float, total: float | None = None, note: str = "") -> None:
    """Report how far the running item is; it shows in the pool's snapshot and widget.

    Outside of a worker it does nothing, so functions that call it run anywhere.

    Args:
        done: how much of it is done, in units of your own.
        total: how much there is to do; None if that is not known.
        note: a few words on what is being done; 1000 bytes of UTF-8 are kept.
    """
    if journal is None:
        return
    from processpool.wire.python.layout import REPORT, REPORT_AT, SEQUENCE

    whole = float("nan") if total is None else float(total)
    words = str(note).encode("utf-8", "replace")
    number = journal.cut_short()
    page = journal.page
    with _writing:
        begun = (page[SEQUENCE] + 1) | 1
        page[SEQUENCE] = begun
        REPORT.pack_into(page, REPORT_AT, number, float(done), whole, words)
        page[SEQUENCE] = begun + 1


def forget() -> None:
    """In a fork: it is no worker."""
    global journal
    journal = None
