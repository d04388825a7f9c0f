"""Records in a file that is only ever appended to: what a journal is made of.

Writer and reader of the format, without I/O. A file is the magic line and, behind it, records:

    length of the body (8) · CRC-32 of the body (4) · CRC-32 of these twelve bytes (4) · body

The head has a checksum of its own, so a length that was damaged is not mistaken for a record that
was not written to its end: only what ends before it is whole counts as torn.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple
from zlib import crc32

MAGIC = b"processpool journal "
"""What a journal begins with; the number of its format and a newline follow."""
FORMAT = 1
"""The number of the format that is described here."""
OPENING = MAGIC + b"%d\n" % FORMAT
"""The magic line of this format."""
_FACTS = Struct("<QI")
_SUM = Struct("<I")
_HEAD = Struct("<QII")


class Broken(Exception):
    """What stands at an offset of a file is no record, and not the begin of one."""

    def __init__(self, offset: int, what: str) -> None:
        super().__init__(what)
        self.offset = offset
        """Where, in bytes; all before it is whole."""
        self.what = what


class OtherFormat(Exception):
    """A journal of a format that this version cannot read."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Record(NamedTuple):
    """The body of one record, and where in the file that body begins."""

    offset: int
    body: bytes


def encode_record(body: bytes) -> bytes:
    """Return a record as it is written."""
    facts = _FACTS.pack(len(body), crc32(body))
    return b"".join((facts, _SUM.pack(crc32(facts)), body))


class RecordReader:
    """Reads records from the bytes of a file, in pieces of any size."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_begun = False
        self.offset = 0
        """Where the first byte stands that belongs to no whole record yet."""

    @property
    def is_begun(self) -> bool:
        """True once the magic line was read: the file is a journal."""
        return self._is_begun

    @property
    def left(self) -> int:
        """Bytes that belong to no whole record; at the end of the file, its torn end."""
        return len(self._rest)

    @property
    def missing(self) -> int:
        """Bytes that the next record still lacks, as far as that is known; 0 if it is not."""
        if not self._is_begun or len(self._rest) < _HEAD.size:
            return 0
        length, _, _ = _HEAD.unpack_from(self._rest)
        return int(_HEAD.size + length - len(self._rest))

    def feed(self, data: bytes) -> list[Record]:
        """Return the records that are whole now.

        Raises:
            Broken: what comes next is no record.
            OtherFormat: the file is a journal of another format.
        """
        data = self._rest + data if self._rest else data
        at = 0
        if not self._is_begun:
            at = self._begin(data)
            if not self._is_begun:
                self._rest = data
                return []
        records: list[Record] = []
        view = memoryview(data)
        while len(data) - at >= _HEAD.size:
            length, body_sum, head_sum = _HEAD.unpack_from(data, at)
            if crc32(view[at : at + _FACTS.size]) != head_sum:
                raise Broken(self.offset, "the head of a record is damaged")
            begin = at + _HEAD.size
            if begin + length > len(data):
                break
            body = data[begin : begin + length]
            if crc32(body) != body_sum:
                raise Broken(self.offset, "the content of a record is damaged")
            records.append(Record(self.offset + _HEAD.size, body))
            self.offset += _HEAD.size + length
            at = begin + length
        self._rest = data[at:]
        return records

    def _begin(self, data: bytes) -> int:
        """Read the magic line; returns where the records begin."""
        head = data[: len(MAGIC)]
        if head != MAGIC[: len(head)]:
            raise Broken(0, "it does not begin as a journal does")
        number, newline, _ = data[len(MAGIC) :].partition(b"\n")
        if not newline and (b"%d" % FORMAT).startswith(number):
            return 0  # so far it is what was to be written
        if not number.isdigit():
            raise Broken(len(MAGIC), "the number of its format is damaged")
        if int(number) != FORMAT:
            raise OtherFormat(number.decode())
        self._is_begun = True
        self.offset = len(OPENING)
        return self.offset
