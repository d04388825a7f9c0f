"""How much may be reported: so much a second, and as much at once."""

from __future__ import annotations

from time import monotonic


class Allowance:
    """So many a second; what was not used lasts for a second.

    It takes no lock: threads that take at the same moment may take one too many.
    """

    def __init__(self, rate: float) -> None:
        """Begin with that of one second."""
        self._rate = self._left = rate
        self._at = monotonic()

    def take(self, most: int = 1) -> int:
        """Take so many; return how many there were, at most that."""
        now = monotonic()
        left = min(self._left + (now - self._at) * self._rate, self._rate)
        self._at = now
        taken = min(int(left), most)
        self._left = left - taken
        return taken
