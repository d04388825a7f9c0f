"""What is known of the memory of one worker; `engine/peaks.py` looks at it."""

from __future__ import annotations


class MemoryWatch:
    """The memory of one worker."""

    __slots__ = ("due", "is_news", "peak")

    def __init__(self) -> None:
        self.due = 0.0
        """When it may be looked at again."""
        self.peak: int | None = None
        """The most bytes that it had in memory before the last look; None before the first."""
        self.is_news = False
        """True until somebody has taken what it had."""

    def take(self) -> int:
        """Return the peak, if it is news; else 0."""
        if not self.is_news:
            return 0
        self.is_news = False
        return self.peak or 0
