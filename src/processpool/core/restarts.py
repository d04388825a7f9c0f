"""How failed starts are counted: each makes the next one later, and too many break the pool."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from processpool.core.policy import Policy


class Restarts:
    """Recent failed starts, counted as an OTP supervisor does."""

    def __init__(self) -> None:
        self.next_at = 0.0
        """When the next worker may be started."""
        self._failed: deque[float] = deque()
        self.in_a_row = 0
        """Failures since a worker last became ready."""
        self._proven = False
        """True once a worker has become ready."""

    def failed(self, policy: Policy, now: float) -> bool:
        """Note a failed start; True if that is one too many."""
        self._failed.append(now)
        while self._failed[0] < now - policy.failures_within:
            self._failed.popleft()
        self.next_at = now + policy.delay(self.in_a_row)
        self.in_a_row += 1
        return len(self._failed) > policy.max_failures

    @property
    def may_be_chance(self) -> bool:
        """True if a worker that is killed while it starts says nothing against the program.

        The first such kill says nothing; nor does any, once a worker has become ready.
        """
        return self._proven or not self.in_a_row

    def killed(self, policy: Policy, now: float) -> bool:
        """Note that a worker was killed before it was ready; True if that is one too many."""
        if self.in_a_row:
            self.next_at = now + policy.delay(0 if self._proven else self.in_a_row - 1)
        self.in_a_row += 1
        return not self._proven and self.in_a_row > policy.max_failures

    def hold(self, policy: Policy, now: float) -> None:
        """Start no other worker before the one is counted that is being ended for not starting."""
        self.next_at = max(self.next_at, now + policy.delay(self.in_a_row))

    def succeeded(self) -> None:
        """Note that a worker became ready."""
        self.in_a_row = 0
        self._proven = True

    def reset(self) -> None:
        """Forget everything, and start the next one now."""
        self._failed.clear()
        self.in_a_row = 0
        self.next_at = 0.0
