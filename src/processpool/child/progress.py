"""`processpool.progress`: how far an item is, told while it runs."""

from __future__ import annotations

from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from processpool.child.python_worker import Journal

EVERY = 0.05
"""Seconds between two reports that are sent; the last one, `done == total`, always is."""

journal: Journal | None = None
"""Set in a worker."""
_told_at = 0.0


def progress(done: float, total: float | None = None, note: str = "") -> None:
    """Tell how far the running item is; it shows in the pool's snapshot and widget.

    Outside of a worker it does nothing, so that a function may be called anywhere.

    Args:
        done: how much of it is done, in units of your own.
        total: how much there is to do; None if that is not known.
        note: a few words on what is being done.
    """
    global _told_at
    if journal is None:
        return
    now = monotonic()
    if now - _told_at < EVERY and done != total:
        return
    _told_at = now
    from processpool.child.layout import PROGRESS
    from processpool.child.pickling import dumps

    told = (float(done), None if total is None else float(total), str(note)[:200])
    journal.tell(PROGRESS, dumps(told, 3))
