"""The parts of answers of a program under `serve`: which messages they are, and who reads them."""

from __future__ import annotations

from contextlib import suppress

from processpool.wire.served import (
    FINAL_AT,
    PARTS_TAKEN,
    PARTS_TAKEN_OF,
    STOPPED,
    STREAMED_AT,
    STREAMS,
)


class ServedParts:
    """The requests of one worker whose handlers may yield."""

    def __init__(self, page: memoryview) -> None:
        self._page = page
        self.wanted: set[int] = set()
        """Open requests whose parts are to be sent."""
        self._count = 0
        """Messages that were parts."""

    def want(self, number: int) -> None:
        """What the handler of this request yields is to be sent in parts."""
        self.wanted.add(number)
        self._page[STREAMED_AT + number % STREAMS] = number

    def is_part(self, number: int, answers: int) -> bool:
        """Count a message of a request, behind so many answers; False if it is the answer."""
        final = self._page[FINAL_AT + number % STREAMS]
        if number not in self.wanted or final == answers + self._count + 1:
            self.wanted.discard(number)
            return False
        self._count += 1
        return True

    def stop(self, number: int) -> None:
        """No more parts of a request are wanted."""
        self._page[STOPPED] = number

    def source(self, number: int) -> PartsTaken:
        """Return the way back to the worker, for the reader of a request's parts."""
        return PartsTaken(self._page, number)


class PartsTaken:
    """Tells a worker how many parts of a request were taken."""

    def __init__(self, page: memoryview, number: int) -> None:
        self._page = page
        self._number = number

    def taken(self, parts: int) -> None:
        """So many were taken, so more may come."""
        with suppress(ValueError):  # the worker has ended
            self._page[PARTS_TAKEN] = parts
            self._page[PARTS_TAKEN_OF] = self._number
