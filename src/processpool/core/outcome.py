"""What is known about one item when it has ended.

An `Outcome` is the record of an item: its value or its error, and who made it. `map(details=True)`
yields outcomes, a future carries one as `.record`, and so does every error that concerns an item.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """The record of one item."""

    index: int
    """Position of the item in its map, from 0; a single request has 0."""
    value: Any = None
    error: BaseException | None = None
    """Why there is no value; None where there is one."""
    stdout: str = ""
    """What the item printed; for a program that answers on its stdout, that is the answer."""
    stderr: str = ""
    worker_id: int | None = None
    """The worker that had the item; None if it never reached one."""
    pid: int | None = None
    slot: int | None = None
    """Which of the pool's slots that worker has, from 0."""
    attempts: int = 1
    """How often it was handed to a worker, the last time included."""
    queued: float = 0.0
    """Seconds between the submission and the hand-over to the worker."""
    seconds: float = 0.0
    """Seconds between the hand-over and the end."""
    peak_memory: int | None = None
    """The most bytes that the worker had in memory while it had the item, which very fast items
    share; None if the item never reached a worker."""
    raw: bytes | None = None
    """The bytes of an answer that could not be decoded."""
    skipped: tuple[Any, ...] = ()
    """Messages of a program that came with the answer and were none, such as what a server tells by
    itself: the last 100, and of each the first 64 KiB. One that was cut is bytes."""
    history: tuple[Outcome, ...] = ()
    """The records of earlier attempts, where the pool's `retry` allows several."""
    args: tuple[Any, ...] = ()
    """The arguments of the item, or its one message: with `details`, and of items that failed."""
    kwargs: dict[str, Any] = field(default_factory=dict)
    """The arguments that were given by keyword, of a call that failed."""
    name: str = ""
    """The name of the map: if it was given none, that of the function or of the command."""
    started: float | None = None
    """When it was handed to the worker, in seconds as `time.time()` has them."""
    cancelled: bool = False
    """True if it never ran, or not to its end, since its map had ended before."""

    @property
    def ok(self) -> bool:
        """True if the item has a value."""
        return self.error is None
