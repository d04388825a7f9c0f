"""The shared memory of a Python worker: when it was used, and how it is put to rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.wire.python.arena import Arena, Reader
    from processpool.wire.python.requests import Requests


class Resting:
    """Both directions of one worker's shared memory, on the pool's side."""

    def __init__(self, inbox: Arena, outbox: Reader, requests: Requests) -> None:
        self._outbox = outbox
        self._sides = inbox, outbox
        self._requests = requests
        self._is_due_before: float | None = None

    def call_on_use(self, action: Callable[[], None]) -> None:
        """Have `action` called whenever a use ends the rest; it takes no lock."""
        for side in self._sides:
            side.on_use = action

    @property
    def used_at(self) -> float | None:
        """When the memory that is not at rest was used last; None if all of it is."""
        return min((side.used_at for side in self._sides if not side.resting), default=None)

    def rest(self, before: float) -> None:
        """Return memory to the system that was not used since `before`, and have the worker do so.

        What the worker is told is staged only.
        """
        for side in self._sides:
            if not side.resting and side.used_at <= before:
                side.rest()
                if side is self._outbox:
                    self._requests.stage_rest()

    @property
    def is_due(self) -> bool:
        """True if the next request of the call that has the worker is to put it to rest."""
        return self._is_due_before is not None

    def postpone(self, before: float | None) -> None:
        """Let the call that has the worker do it; None if there is none."""
        self._is_due_before = before

    def rest_if_due(self) -> None:
        """The call that has the worker makes its next request."""
        before, self._is_due_before = self._is_due_before, None
        if before is not None:
            self.rest(before)
