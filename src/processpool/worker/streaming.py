"""Generators that an item returns: each part is sent as soon as it is there, and read in time.

The reader is not to be flooded: so many parts may be on their way, and no more than so many bytes.
How many it has taken, and whether it wants no more, stands in shared memory. There is nothing to
sleep on for that, so whoever waits looks again and again, ever more seldom; what is on its way
keeps the reader busy meanwhile.
"""

from __future__ import annotations

from collections import deque
from time import sleep

from processpool.wire.python import layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from processpool.wire.python.journal import Journal
    from processpool.worker.answers import Answers

GENERATOR = type(_ for _ in ())
"""What a function that yields returns."""
FIRST_PAUSE, LAST_PAUSE = 0.0002, 0.01
"""Seconds between two looks at what was taken."""


class Streams:
    """Sends the parts of one worker's generators."""

    def __init__(self, journal: Journal, answers: Answers) -> None:
        self._journal = journal
        self._answers = answers
        self._sizes: deque[int] = deque()
        """Of the parts that were not taken yet."""

    def drain(self, value: Any) -> Any:
        """Send the parts of a generator, and return what it returns; other values as they are."""
        if type(value) is not GENERATOR:
            return value
        self._sizes.clear()
        number = self._journal.page[layout.STARTED]
        try:
            return self._send_all(value, number)
        finally:
            value.close()

    def _send_all(self, parts: Generator[Any, None, Any], number: int) -> Any:
        page, sent = self._journal.page, 0
        while page[layout.STOPPED] != number:
            try:
                part = next(parts)
            except StopIteration as end:
                return end.value
            sent += 1
            entry = self._answers.entry(part)
            del part
            size = sum(map(len, entry))
            if not self._await_room(number, sent, size):
                break
            self._sizes.append(size)
            self._journal.flush()
            self._journal.send(layout.PART, number & 0xFFFFFFFF, *entry)
        return None

    def _await_room(self, number: int, sent: int, size: int) -> bool:
        """Wait until a part may be sent; False if no more are wanted."""
        page, sizes, pause = self._journal.page, self._sizes, FIRST_PAUSE
        while page[layout.STOPPED] != number:
            taken = page[layout.TAKEN] if page[layout.TAKEN_OF] == number else 0
            while sizes and len(sizes) > sent - 1 - taken:
                sizes.popleft()
            if len(sizes) < layout.PARTS and (not sizes or sum(sizes) + size <= layout.PARTS_SIZE):
                return True
            sleep(pause)
            pause = min(2 * pause, LAST_PAUSE)
        return False
