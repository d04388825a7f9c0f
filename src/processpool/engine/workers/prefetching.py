"""What a Python worker has beside the item that it works on: items behind it, answers before it.

Items that it has not begun can be taken from it again, unread from its pipe, or read, if it is
asked for them; and answers that it keeps until its next item has ended can be looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from processpool.wire.python import layout

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from processpool.core.jobs import Batch
    from processpool.engine.workers.protocol import WorkerProtocol
    from processpool.wire.python.frames import Frame
    from processpool.wire.python.journal import JournalView
    from processpool.wire.python.ledger import Ledger
    from processpool.wire.python.requests import Requests


class Returned(NamedTuple):
    """A worker gives back the rest of its first batch, of which it has begun nothing."""

    singly: bool
    """True if it could not even read it: its items are to go one by one."""


class Prefetching:
    """The items and answers of one worker that are ahead of others."""

    def __init__(
        self,
        protocol: WorkerProtocol,
        read_all: Callable[[], list[Frame]],
        requests: Requests,
        ledger: Ledger[Batch],
        journal: JournalView,
        unread: int,
    ) -> None:
        """`read_all` reads the frames that are in the pipe; at `unread` it has packets unread."""
        self._protocol = protocol
        self._read_all = read_all
        self._requests = requests
        self._ledger = ledger
        self._journal = journal
        self._unread = unread
        self.is_watched = False
        """True while somebody looks now and then for answers that it has not sent."""

    def stage_freed(self, names: deque[str]) -> None:
        """Put down that these shared objects were freed."""
        self._requests.stage_freed(names)

    # -- items behind it -------------------------------------------------------------------------

    def take_back(self) -> list[Batch]:
        """Read back from the pipe what the worker has not read yet."""
        return self._ledger.take_back(self._requests.read_back(self._unread))

    def ask_back(self) -> None:
        """Have it begin nothing more of the batch that it works on."""
        number = self._ledger.first_number
        if number is not None:
            self._journal.ask_back(number)

    def revoke(self) -> int | None:
        """Take what it has not begun of a batch that it was asked for a moment ago.

        The moment matters: it looks for being asked when it has noted which item it begins, so
        either that note is to be seen here by now, or it has seen that it is to begin nothing.

        Returns:
            how many items of the batch it has begun and not answered; None if there is nothing
            to be taken.
        """
        if self._ledger.first_number != self._journal.page[layout.WANTED]:
            return None
        return self._ledger.recall(self._journal.begun())

    def runs(self, answers: list[Frame]) -> list[tuple[list[Frame], Returned | None]]:
        """The frames, cut where it gives a batch back; it may be one that it could not read."""
        runs: list[tuple[list[Frame], Returned | None]] = []
        run: list[Frame] = []
        for frame in answers:
            if frame[0] in (layout.SPLIT, layout.BACK):
                runs.append((run, Returned(singly=frame[0] == layout.SPLIT)))
                run = []
            else:
                run.append(frame)
        return [*runs, (run, None)]

    # -- answers before it -----------------------------------------------------------------------

    def peek(self) -> list[Frame]:
        """What it has answered before the item that it is in, and not sent yet.

        What it sent before that is read first: it belongs to these items too.
        """
        known, begin = self._ledger.peeked
        base = self._ledger.received - known
        found = self._journal.peek(begin, base)
        frames = self._read_all()
        if frames or found is None:
            return frames
        frame, end = found
        if not self._journal.is_still(frame[0], end, base):
            return []
        self._ledger.peek(frame[1], end)
        self._protocol.seconds_each = 0.0
        return [frame]
