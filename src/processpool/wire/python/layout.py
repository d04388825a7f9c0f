"""The protocol between a pool and its Python workers: packets, frames, and a shared page.

Both sides import this module, so it contains only numbers and formats. Requests are sent as packets
through a pipe in packet mode: each is read whole or not at all, so the pool can read back requests
that a worker has not read. Answers are sent as frames through another pipe. Larger payloads are in
shared memory, and only their place is sent.
"""

from __future__ import annotations

from _signal import SIGRTMAX
from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

READY = Struct("<I")
"""The header of the message that a worker sends when it is ready: the number of bytes after it."""

PACKET_LIMIT = 4096
"""The most bytes of a packet: what Linux writes and reads atomically (PIPE_BUF)."""
PACKET = Struct("<BBHIIIQQQ")
"""kind, flags, attempt, function, batch, items, size, offset, index of the first item; then the
payload, unless it is elsewhere."""
MANY_ATTEMPTS = 65535
"""The largest number of attempts that fits into a packet."""

DEFINE, ITEMS, FREED, EXIT, FORGET, UNSHARE, PATH, REST, WITHIN = range(1, 10)
"""Kinds of packets. DEFINE: a function. ITEMS: items to call it with. FREED: places in shared
memory that are free again. EXIT: the end. FORGET: earlier functions will not be used again.
UNSHARE: the shared object of this name was freed. PATH: further entries of `sys.path`. REST: free
memory is to be returned to the system. WITHIN: items that are a part of a trace; in the packet,
before the payload, come the length of what names the trace, and that."""
CARRIER = Struct("<H")
"""The length of what names a trace."""

ONE, STAR, FULL = 0, 1, 2
"""Flags of ITEMS: an item is the argument, the tuple of arguments, or (arguments, keywords)."""
ECHOED = 4
"""Flag of ITEMS: output is sent while the items run."""
PICKLED = 8
"""Flag of ITEMS: items are packed one by one, by `arguments`: pickled, or simple and in a tuple."""
AWAY, LONG = 16, 32
"""Flags: the payload is in shared memory; or it follows in packets of its own."""
STREAMED = 128
"""Flag of ITEMS: if the item returns a generator, its parts are sent as they come."""
RUN = 64
"""Flag of ITEMS: the worker may answer them in runs, with a single store for each answer."""

FRAME = Struct("<IIQ")
"""kind and pace, number of items, bytes that follow."""
PACE = 8
"""The number of low bits of the first number that are the frame's kind. The rest is the pace: the
nanoseconds per item, at the end of a batch; 0 if it was not measured."""
SLOWEST = (1 << 24) - 1
"""The largest pace that fits."""
PLAIN, ENTRIES, INTS, FLOATS, SHORT, SPLIT, LOG, PLACES, ECHO, BACK, PART = range(1, 12)
"""Kinds of frames. PLAIN: concatenated pickles of values. ENTRIES: entries. INTS, FLOATS: a column
of 64-bit numbers. SHORT: concatenated marshalled values. SPLIT: send the batch again, item by item.
LOG: a log record. PLACES: places in shared memory that are free again. ECHO: output while an item
runs. BACK: the unbegun items of the batch with this number are returned. PART: an entry, a part of
a running item."""
ANSWERS = SHORT
"""The last kind of frame that contains answers."""
FORMATS: dict[int, Literal["q", "d"]] = {INTS: "q", FLOATS: "d"}
"""The formats of the 8-byte numbers in the kinds that are columns."""

ENTRY = Struct("<BI")
"""flags, bytes that follow: the header of an answer among ENTRIES."""
REPLY = 1
"""Flag of an entry: it is not a pickled value, but a pickle of (the parts of such a value or None,
error, stdout, stderr), which can be read without running the user's code."""
PLACE = Struct("<QQ")
"""offset, size: a place in shared memory."""

STARTED, BASE, LENGTH, KIND, LOADING, LEVEL, WANTED, END, BLANK = range(9)
"""Words of the page. STARTED: the number of items begun, except in a run. BASE: the number of items
answered before the first one in the journal. LENGTH: the bytes in the journal. KIND: their kind of
frame. LOADING: 1 while a request is unpickled. LEVEL: the root logger's level in the pool's
process. WANTED: the batch of which no more items shall begin. END: the last item of the current
run, 0 without one. BLANK: the value of a column's cell that has no answer."""
TAKEN, TAKEN_OF, STOPPED = range(16, 19)
"""Further words, by the pool. TAKEN: how many parts were taken of the item with the number
TAKEN_OF, which is stored after it. STOPPED: the item of which no more parts are wanted."""
TRACING = 19
"""A further word, by the worker: 1 once it has imported OpenTelemetry. Before that, single items
need not be told of their traces."""
PARTS, PARTS_SIZE = 16, 4 * 1024 * 1024
"""Parts of an item, and their bytes, that may have been sent and not taken; one may be larger."""
WORD = (1 << 64) - 1
"""The largest value of a word of the page."""
SEQUENCE = 256
"""A word of the page that counts writes of the progress report, and is odd during a write."""
REPORT_AT, REPORT = 8 * (SEQUENCE + 1), Struct("<Qdd1000s")
"""The offset of the progress report in the page, and its format: the number of the item, done,
total (NaN if unknown), note."""
PAGE_SIZE = 4096
MARKS_SIZE = 16 * 1024
"""The size of the marks after the page: a byte for each item of a run, 1 while it may begin. This
is also the most items of a run."""
JOURNAL_AT = PAGE_SIZE + MARKS_SIZE
JOURNAL_SIZE = 236 * 1024
"""The size of the journal: answers that have not been sent yet, which survive the worker."""
ARENA_BASE = JOURNAL_AT + JOURNAL_SIZE
"""The offset of the arena for requests, after the journal."""

PLAIN_HEAD, PLAIN_TAIL = b"\x80\x03(", b"l."
"""The bytes before and after PLAIN values that turn them into one pickled list."""
SHORT_HEAD, SHORT_VERSION = b"[", 2
"""The byte before SHORT values that, with their number in four bytes, turns them into one
marshalled list; and the version of that format, in which values do not refer to each other."""
LARGE = 64 * 1024
"""The size, in bytes, from which payloads and buffers are put into shared memory."""

DUMP_SIGNAL: int = SIGRTMAX - 1
"""The signal on which a worker writes the stacks of its threads to stderr."""
