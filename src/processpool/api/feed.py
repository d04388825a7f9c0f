"""Input that may have nothing for hours while answers are due: it is read on a thread of its own.

A map reads its input on the thread that waits for its answers. For an input that is always ready
that is fastest; where it waits for somebody, as at a pipe or a terminal, nobody would see an answer
before the next item has come.
"""

from __future__ import annotations

from collections import deque
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MOST = 1024
"""Items that are read and not yet taken, at most."""


class Feed:
    """An iterable that a map need not wait for."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = items
        self._read: deque[Any] = deque()
        self._taken: SimpleQueue[None] = SimpleQueue()
        self._tell: Callable[[], None] | None = None
        self._is_full = False
        self.ended = False
        """Nothing more will come."""
        self.error: Exception | None = None
        """What the input has raised."""

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def begin(self, tell: Callable[[], None]) -> None:
        """Read from now on; `tell` is called, on another thread, whenever there is more to take."""
        self._tell = tell
        # A daemon, since nothing can wake it while it waits for input.
        Thread(target=self._run, name="processpool-input", daemon=True).start()

    @property
    def is_starved(self) -> bool:
        """True if there is nothing to take at the moment, and it has not ended."""
        return not (self._read or self.ended)

    def take(self, most: int) -> list[Any]:
        """Return what is there, at most so many items."""
        read = self._read
        items = [read.popleft() for _ in range(min(most, len(read)))]
        if self._is_full:
            self._is_full = False
            self._taken.put(None)
        return items

    def _run(self) -> None:
        assert self._tell is not None
        read, tell = self._read, self._tell
        try:
            for item in self._items:
                while len(read) >= MOST:
                    self._is_full = True
                    if len(read) >= MOST:  # otherwise they were taken before that was said
                        self._taken.get()
                read.append(item)
                if len(read) == 1:
                    tell()
        except Exception as error:
            self.error = error
        self.ended = True
        tell()
