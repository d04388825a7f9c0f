"""How a pool and its Python workers talk: packets, frames, and the page they share.

Both sides import this module, so it contains only numbers and formats. Requests go down a pipe in
packets, each read whole or not at all, so that the pool can take back what a worker has not begun.
Answers come up another pipe in frames. What is too large for either lies in shared memory, and only
its place travels.
"""

from __future__ import annotations

from _signal import SIGRTMAX
from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

READY = Struct("<I")
"""bytes that follow: what a worker says when it is ready."""

PACKET_LIMIT = 4096
"""Bytes of a packet at most: what Linux writes and reads as one (PIPE_BUF)."""
PACKET = Struct("<BBHIIIQQQ")
"""kind, flags, attempt, function, batch, items, size, offset, index of the first item; then the
payload, if it lies nowhere else."""
MANY_ATTEMPTS = 65535
"""The largest number of attempts that a packet tells."""

DEFINE, ITEMS, FREED, EXIT, FORGET, UNSHARE, PATH = range(1, 8)
"""Kinds of packet: a function, items to call it with, places free again, the end; that no function
that came before this is used any more; that something shared, here named, was freed; and where
modules are looked for as well."""

ONE, STAR, FULL = 0, 1, 2
"""Flags of ITEMS: an item is the argument, the arguments, or (arguments, keywords)."""
ECHOED = 4
"""Flag of ITEMS: what the items print is shown while they run."""
PICKLED = 8
"""Flag of ITEMS: each is by itself, as `arguments` has it: pickled, or simple and in a tuple."""
AWAY, LONG = 16, 32
"""Flags: the payload lies in shared memory; or it follows in packets of its own."""
RUN = 64
"""Flag of ITEMS: the worker may answer many of them in a run, one store an answer."""

FRAME = Struct("<IIQ")
"""kind and pace, number of items, bytes that follow."""
PACE = 8
"""Bits of the first number that are the kind of frame. The rest is the pace: nanoseconds that an
item took, at the end of a batch; 0 if that is not said."""
SLOWEST = (1 << 24) - 1
"""The slowest pace that there is room for."""
PLAIN, ENTRIES, INTS, FLOATS, SHORT, SPLIT, LOG, PLACES, ECHO, BACK = range(1, 11)
"""Kinds of frame: values pickled one behind the other; entries; a column of numbers of 64 bits,
either integers or floats; short values marshalled one behind the other; the batch is wanted item by
item; a log record; places in shared memory that are free again; output as it is printed; what has
not begun of the batch of this number is given back."""
ANSWERS = SHORT
"""The last kind of frame that has answers in it."""
FORMATS: dict[int, Literal["q", "d"]] = {INTS: "q", FLOATS: "d"}
"""Of the kinds that are columns: the format of a number, of 8 bytes."""

ENTRY = Struct("<BI")
"""flags, bytes that follow: one answer among ENTRIES."""
REPLY = 1
"""Flag of an entry: it is not a pickled value, but (the parts of that or None, error, stdout,
stderr): reading it runs none of the user's code."""
PLACE = Struct("<QQ")
"""offset, size: something in shared memory."""

STARTED, BASE, LENGTH, KIND, LOADING, LEVEL, WANTED, END, BLANK = range(9)
"""Words of the page: items begun so far, but for those of a run; items answered before the first in
the journal; bytes in the journal; their kind of frame; 1 while a request is unpickled; the level of
the root logger in the pool's process; the batch of which nothing more is to begin; the last item of
the run that is on, 0 if none is; what is in a cell of a column as long as it has no answer."""
WORD = (1 << 64) - 1
"""The largest number in a word of the page."""
SEQUENCE = 256
"""A word of the page, odd while a report of progress is written, and another one after each."""
REPORT_AT, REPORT = 8 * (SEQUENCE + 1), Struct("<Qdd1000s")
"""Where in the page that report lies: the number of its item, done, total (nan if that is not
known), note."""
PAGE_SIZE = 4096
MARKS_SIZE = 16 * 1024
"""Behind the page, a byte for each item of a run: 1 as long as it may begin. So many items has a
run at most."""
JOURNAL_AT = PAGE_SIZE + MARKS_SIZE
JOURNAL_SIZE = 236 * 1024
"""Answers that have not been sent yet: they survive the worker."""
ARENA_BASE = JOURNAL_AT + JOURNAL_SIZE
"""Where the requests' shared memory begins, behind the journal."""

PLAIN_HEAD, PLAIN_TAIL = b"\x80\x03(", b"l."
"""Around PLAIN values, these make one pickled list."""
SHORT_HEAD, SHORT_VERSION = b"[", 2
"""Before SHORT values, after it their number in four bytes, this makes one marshalled list; and in
this version of the format no value refers to another."""
LARGE = 64 * 1024
"""Payloads and buffers from this size on travel in shared memory."""

DUMP_SIGNAL: int = SIGRTMAX - 1
"""Has a worker write the stacks of its threads to stderr: a signal that nobody else uses."""
