"""`processpool.progress`: reports the progress of an item while it runs.

The latest report is in the page that the worker shares with the pool, which reads it for snapshots.
So a report takes about a microsecond.
"""

from __future__ import annotations

from _thread import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from processpool.wire.python.journal import Journal

journal: Journal | None = None
"""The worker's journal; None outside of workers."""
_writing = RLock()
"""Held while a report is written; an `RLock`, since a signal handler may report too."""


def progress(done: float, total: float | None = None, note: str = "") -> None:
    """Report the progress of the running item, for the pool's snapshots and widget.

    Outside of workers this does nothing, so functions that call it can run anywhere.

    Args:
        done: the amount of work done, in any unit.
        total: the amount of work in all; None if it is not known.
        note: a short description of the current work, of at most 1000 bytes of UTF-8.
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
    """In a forked child, which is not a worker: do nothing from now on."""
    global journal
    journal = None
