"""How a worker under `serve` and its pool talk, beside the protocol: the page, and the channel.

Requests of a worker count from 1, in the order in which they are sent. *The page* is memory that
the worker makes and hands to the pool, so that to say which request has begun costs a store and no
system call. *The channel* is a socket on which the worker says the rest, a packet at a time: that
it is there, and what a handler has raised. Both outlive the worker.

What it has not begun can be recalled at any time. The worker stores the number of a request in
BEGUN before it looks at RECALLED; the pool stores RECALLED, waits until either store must have been
seen, and only then reads BEGUN and says what is KEPT. In between a worker that comes to a recalled
request waits. So both always agree on which requests are begun, and each is begun once.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

PAGE_SIZE = 44 * 1024
"""Bytes of the page; what is not used of it takes no memory."""
BEGUN, FAILED, LAST, TAKEN, RECALLED, DECIDED, KEPT, AHEAD = range(8)
PARTS_TAKEN, PARTS_TAKEN_OF, STOPPED = range(8, 11)
"""Words of the page. By the worker: the last request that it has come to; how many failures it has
told on the channel; the request after which it begins nothing more, 0 as long as there is none. By
the pool: 1 once it has taken the page, and so hears of failures; up to which request nothing is to
begin any more; up to which that was decided; up to which requests are kept all the same; 1 if
requests may be sent before the last one is answered; how many parts were taken of the request with
the number PARTS_TAKEN_OF, which is stored after it; the request of which no more are wanted."""
ITEMS_AT = 16
ITEMS = 512
"""From there on, a word for each of the last requests: which item it is."""
STREAMED_AT, FINAL_AT, STREAMS = ITEMS_AT + ITEMS, ITEMS_AT + ITEMS + 128, 128
"""From there on, a word for each of the last requests: by the pool its number, if what its handler
yields is to be sent in parts, as messages before its answer; and by the worker which of all
messages the answer is."""
TRACED_AT = FINAL_AT + STREAMS
"""From there on, a word for each of the last requests, by the pool: the number of the span that it
is below, from 1; 0 if it is in no trace."""
SPANS_AT, SPAN_SIZE = 8 * (TRACED_AT + ITEMS), 64
"""From this byte on, the names of the last spans, as `TRACEPARENT` has them: as many as there are
items, so that none is overwritten before the requests below it are answered."""
PARTS, PARTS_SIZE = 16, 4 * 1024 * 1024
"""Parts of a request, and their bytes, that may have been sent and not taken; one may be larger."""
ATTEMPT_BITS = 16
ATTEMPTS = (1 << ATTEMPT_BITS) - 1
"""The lower bits of such a word are the attempt, the others the index and one."""
UNKNOWN_ITEM: Final = 0
"""What such a word is as long as it says nothing."""

HELLO, FAILURE = b"+", b"!"
"""What packets begin with."""
MARK = b"\0%b;"
"""What is written to stderr behind what a request has written there: with the worker's token, and
then the number of the request, and a newline."""
NAME, MESSAGE, TRACE = 1024, 16 * 1024, 32 * 1024
"""The most bytes of a failure's type, message and traceback; of the latter the end is kept."""
PACKET_LIMIT = 64 * 1024
"""Bytes of a packet at most."""
RANGES = 64
"""Ranges of recalled requests that are remembered; of earlier ones the answers have long come."""


def pack_item(index: int, attempt: int) -> int:
    """Return the word that says which item a request is, and which attempt at it."""
    return (index + 1) << ATTEMPT_BITS | min(attempt, ATTEMPTS)


def unpack_item(word: int) -> tuple[int | None, int | None]:
    """Return the index of the item, and the attempt."""
    if word == UNKNOWN_ITEM:
        return None, None
    return (word >> ATTEMPT_BITS) - 1, word & ATTEMPTS


def span_place(number: int) -> slice:
    """Return where in the page the name of a span is, in bytes."""
    begin = SPANS_AT + number % ITEMS * SPAN_SIZE
    return slice(begin, begin + SPAN_SIZE)


def pack_failure(number: int, retires: bool, texts: tuple[str, str, str]) -> bytes:
    """Return the packet about a request that has failed: its type's name, message, traceback."""
    name, message, trace = (text.encode("utf-8", "backslashreplace") for text in texts)
    parts = name[:NAME], message[:MESSAGE], trace[-TRACE:]
    sizes = b" ".join(b"%d" % len(part) for part in parts)
    return b"%b%d %d %b\n%b" % (FAILURE, number, retires, sizes, b"".join(parts))


def unpack_failure(packet: bytes) -> tuple[int, bool, tuple[str, str, str]]:
    """Return the number of the request, whether its worker is to be replaced, and the texts.

    Raises:
        ValueError: this is no such packet.
    """
    head, _, body = packet[len(FAILURE) :].partition(b"\n")
    number, retires, *sizes = map(int, head.split())
    name, message, _ = sizes
    texts = body[:name], body[name : name + message], body[name + message :]
    first, second, third = (text.decode("utf-8", "replace") for text in texts)
    return number, bool(retires), (first, second, third)


class Numbering:
    """Which request an answer belongs to: those that were recalled are left out.

    One thread may recall while another one asks; whoever asks sees what was recalled, or not.
    """

    def __init__(self) -> None:
        self._skipped: tuple[int, tuple[tuple[int, int], ...]] = 0, ()
        """Requests in ranges that were forgotten; and ranges of requests that will not be answered:
        the number before each, and its last."""

    def skip(self, begun: int, last: int) -> int:
        """Of the requests up to `last`, none that is behind the last one begun will be answered.

        Returns:
            the last one that will; it is an earlier one if that which has begun was skipped.
        """
        offset, ranges = self._skipped
        kept = next((kept for kept, end in ranges if kept < begun <= end), begun)
        if kept >= last:
            return kept
        if ranges and ranges[-1][0] == kept:
            ranges = ranges[:-1]
        ranges = (*ranges, (kept, last))
        if len(ranges) > RANGES:
            (before, end), *_ = ranges
            offset, ranges = offset + end - before, ranges[1:]
        self._skipped = offset, ranges
        return kept

    def of(self, count: int) -> int:
        """Return the number of the request that this answer belongs to; answers count from 1."""
        offset, ranges = self._skipped
        number = count + offset
        for kept, last in ranges:
            if number > kept:
                number += last - kept
        return number

    def done(self, count: int) -> int:
        """Return the last request of which nothing more is to come, after so many answers."""
        return self.of(count + 1) - 1
