"""Records of a journal: read whole in any pieces, torn at any byte, and damaged at any byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processpool.wire.records import OPENING, Broken, OtherFormat, RecordReader, encode_record

BODIES = st.lists(st.binary(max_size=40), max_size=6)


def written(bodies: list[bytes]) -> bytes:
    return OPENING + b"".join(map(encode_record, bodies))


def read(data: bytes) -> tuple[list[bytes], RecordReader]:
    reader = RecordReader()
    return [record.body for record in reader.feed(data)], reader


@given(BODIES, st.lists(st.integers(0, 400), max_size=5))
def test_any_pieces_make_the_same_records(bodies: list[bytes], cuts: list[int]) -> None:
    data = written(bodies)
    reader, found = RecordReader(), []
    ends = sorted(cut for cut in cuts if cut < len(data))
    for begin, end in zip([0, *ends], [*ends, len(data)], strict=True):
        found += [record.body for record in reader.feed(data[begin:end])]
    assert found == bodies
    assert (reader.left, reader.offset) == (0, len(data))


@given(BODIES, st.data())
def test_where_a_body_is(bodies: list[bytes], data: st.DataObject) -> None:
    content = written(bodies)
    for record in RecordReader().feed(content):
        assert content[record.offset : record.offset + len(record.body)] == record.body


@given(BODIES)
def test_an_end_that_is_torn_costs_the_last_record_alone(bodies: list[bytes]) -> None:
    data = written(bodies)
    for end in range(len(data)):
        found, reader = read(data[:end])
        assert found == bodies[: len(found)]
        whole = len(written(found)) if reader.is_begun else 0
        assert (reader.offset, reader.left) == (whole, end - whole)
        assert end < len(written(bodies[: len(found) + 1]))


@given(BODIES, st.integers(1, 255))
def test_whatever_is_damaged_is_found_and_never_taken_for_torn(
    bodies: list[bytes], change: int
) -> None:
    data = written(bodies)
    for at in range(len(data)):
        spoilt = bytearray(data)
        spoilt[at] ^= change
        reader = RecordReader()
        with pytest.raises((Broken, OtherFormat)) as caught:
            reader.feed(bytes(spoilt))
        if isinstance(caught.value, Broken):
            assert caught.value.offset <= at


def test_another_format() -> None:
    with pytest.raises(OtherFormat, match="27"):
        RecordReader().feed(b"processpool journal 27\n")


def test_another_file() -> None:
    with pytest.raises(Broken):
        RecordReader().feed(b"index,price\n")


def test_how_much_is_missing() -> None:
    reader = RecordReader()
    data = written([bytes(100)])
    reader.feed(data[:-60])
    assert reader.missing == 60
