"""The count of failed starts: each delays the next start, and too many break the pool."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from processpool.core.policy import Policy


class Restarts:
    """Recent failed starts, counted as an OTP supervisor does."""

    def __init__(self) -> None:
        self.next_at = 0.0
        """The earliest time of the next start."""
        self._failed: deque[float] = deque()
        self.in_a_row = 0
        """The number of failures since a worker last became ready."""
        self._proven = False
        """True once a worker has become ready."""

    def failed(self, policy: Policy, now: float) -> bool:
        """Record a failed start; return True if that exceeds the limit."""
        self._failed.append(now)
        while self._failed[0] < now - policy.failures_within:
            self._failed.popleft()
        self.next_at = now + policy.delay(self.in_a_row)
        self.in_a_row += 1
        return len(self._failed) > policy.max_failures

    @property
    def may_be_chance(self) -> bool:
        """True if a worker that is killed while starting is no evidence against the program.

        The first such kill is not, and none is once a worker has become ready.
        """
        return self._proven or not self.in_a_row

    def killed(self, policy: Policy, now: float) -> bool:
        """Record that a starting worker was killed; return True if that exceeds the limit."""
        if self.in_a_row:
            self.next_at = now + policy.delay(0 if self._proven else self.in_a_row - 1)
        self.in_a_row += 1
        return not self._proven and self.in_a_row > policy.max_failures

    def hold(self, policy: Policy, now: float) -> None:
        """Delay the next start: a worker that did not start is being ended, and counted later."""
        self.next_at = max(self.next_at, now + policy.delay(self.in_a_row))

    def succeeded(self) -> None:
        """Record that a worker became ready."""
        self.in_a_row = 0
        self._proven = True

    def reset(self) -> None:
        """Forget the failures, so that the next worker may start at once."""
        self._failed.clear()
        self.in_a_row = 0
        self.next_at = 0.0
