"""The items of a pool that have failed, in groups of errors that are alike.

All are counted; the last few of each group are kept, so that displays can show what they were. The
record of an item is made when somebody looks at it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import count
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.core.error_groups import fold
from processpool.core.failed_item import FailedItem

if TYPE_CHECKING:
    from processpool.core.jobs import Attempt
    from processpool.core.outcome import Outcome

MAX_GROUPS = 50
"""The most groups; errors that are like none of them are counted together."""
MAX_KEPT = 1000
"""The most items that are kept in all, so that they can be looked at and run again."""
OTHERS = "other errors"
"""The group of errors for which there is no room."""
MAX_LARGE = 20
"""The most items that are kept although their arguments are large; of others these are let go."""


@dataclass(slots=True)
class FailureGroup:
    """Items whose errors are alike: of one class, with messages that differ in numbers alone."""

    key: str
    """The class, and the message with `N` for each number."""
    text: str
    """The class and message of the last one."""
    at: float = 0.0
    """The monotonic time of the last one."""
    count: int = 0
    items: deque[FailedItem] = field(default_factory=deque)
    """The last of them, the newest last."""


class FailureLog:
    """The failures of a pool. Thread-safe."""

    def __init__(self) -> None:
        self.singles_failed = 0
        self.singles_killed = 0
        """Single requests that were cancelled while a worker had them."""
        self.singles_cancelled = 0
        """All single requests that were cancelled."""
        self._groups: dict[str, FailureGroup] = {}
        self._numbers = count(1)
        self._kept = 0
        self._large: deque[tuple[FailedItem, Attempt]] = deque()
        self._lock = Lock()

    def add(
        self,
        text: str,
        known: Attempt | Outcome,
        label: str = "",
        retry: Any = None,
        light: Attempt | None = None,
        function: str = "",
    ) -> None:
        """An item has failed.

        Args:
            text: the class and message of its error.
            known: all that is known of it.
            label: the name of its map.
            retry: what runs it again, given its arguments.
            light: the same as `known` without arguments, if these are large.
            function: the name of the function that it called, if it called one.
        """
        key = fold(text)
        with self._lock:
            if key not in self._groups and len(self._groups) >= MAX_GROUPS:
                key = text = OTHERS
            group = self._groups.setdefault(key, FailureGroup(key, text))
            group.text, group.at = text, monotonic()
            group.count += 1
            item = FailedItem(next(self._numbers), text, known, label, function, retry)
            group.items.append(item)
            if light is not None:
                self._let_go(item, light)
            self._kept += 1
            if self._kept > MAX_KEPT:
                max(self._groups.values(), key=lambda each: len(each.items)).items.popleft()
                self._kept -= 1

    def _let_go(self, item: FailedItem, light: Attempt) -> None:
        """Let go of the large arguments of an item before this one, if these are too many."""
        self._large.append((item, light))
        if len(self._large) > MAX_LARGE:
            oldest, known = self._large.popleft()
            oldest.known = known

    def count_single(self, *, begun: bool = True, cancelled: bool = False) -> None:
        """A single request has failed, or was cancelled: after it had begun, or before."""
        with self._lock:
            self.singles_failed += not cancelled
            self.singles_cancelled += cancelled
            self.singles_killed += cancelled and begun

    def groups(self) -> list[tuple[str, str, float, int]]:
        """Return key, last text, its time, and count of each group; the last to fail first."""
        with self._lock:
            found = [(each.key, each.text, each.at, each.count) for each in self._groups.values()]
        return sorted(found, key=lambda group: -group[2])

    def items(self, key: str | None = None) -> list[FailedItem]:
        """Return the failures that are kept, of one group or of all, in their order."""
        with self._lock:
            groups = self._groups.values()
            found = [item for each in groups if key in (None, each.key) for item in each.items]
        return sorted(found, key=lambda item: item.number)
