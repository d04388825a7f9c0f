"""What a worker under `serve` and its pool say to each other beside requests and answers."""

from __future__ import annotations

import pytest

from processpool.wire import served
from processpool.wire.served import Numbering


@pytest.mark.parametrize("retires", [True, False])
def test_a_failure_there_and_back(retires: bool) -> None:
    texts = "m.Error", "two\nlines ½", "Traceback …\n  File\n"
    packet = served.pack_failure(7, retires, texts)
    assert packet.startswith(served.FAILURE)
    assert served.unpack_failure(packet) == (7, retires, texts)


def test_a_failure_fits_into_a_packet_and_keeps_the_end_of_its_traceback() -> None:
    texts = "n" * 9999, "½" * 99_999, "\udc80" * 99_999 + "last line"
    packet = served.pack_failure(1, False, texts)
    assert len(packet) < served.PACKET_LIMIT
    name, message, trace = served.unpack_failure(packet)[2]
    assert (name[:2], message[:2], trace[-9:]) == ("nn", "½½", "last line")


@pytest.mark.parametrize("packet", [b"!", b"!x\n", b"!1 2\n", b"!1 0 1 1 1 1\nabc"])
def test_other_packets_are_refused(packet: bytes) -> None:
    with pytest.raises(ValueError, match=r"unpack|invalid literal"):
        served.unpack_failure(packet)


def test_which_item_a_request_is() -> None:
    assert served.unpack_item(served.pack_item(0, 1)) == (0, 1)
    assert served.unpack_item(served.pack_item(1 << 40, 70_000)) == (1 << 40, 65_535)
    assert served.unpack_item(served.UNKNOWN_ITEM) == (None, None)


class TestNumbering:
    def test_without_recalls_answers_come_one_by_one(self) -> None:
        numbers = Numbering()
        assert [numbers.of(count) for count in (1, 2, 3)] == [1, 2, 3]
        assert [numbers.done(count) for count in (0, 1, 2)] == [0, 1, 2]

    def test_what_was_recalled_is_left_out(self) -> None:
        numbers = Numbering()
        assert numbers.skip(2, 5) == 2  # of five requests two have begun
        assert [numbers.of(count) for count in (1, 2, 3, 4)] == [1, 2, 6, 7]
        assert [numbers.done(count) for count in (1, 2, 3)] == [1, 5, 6]

    def test_nothing_is_left_to_be_recalled(self) -> None:
        numbers = Numbering()
        assert numbers.skip(5, 5) == 5
        assert numbers.of(6) == 6

    def test_again_before_the_worker_has_come_to_the_first_that_it_skips(self) -> None:
        numbers = Numbering()
        numbers.skip(2, 5)
        assert numbers.skip(2, 8) == 2
        assert numbers.of(3) == 9

    def test_again_while_it_is_skipping(self) -> None:
        """It has come to 4, which it skips: so nothing behind 2 will be answered."""
        numbers = Numbering()
        numbers.skip(2, 5)
        assert numbers.skip(4, 8) == 2
        assert [numbers.of(count) for count in (2, 3)] == [2, 9]

    def test_again_and_again(self) -> None:
        numbers, expected = Numbering(), []
        for round_ in range(1000):
            first = 10 * round_ + 1
            expected += [first, first + 1]
            numbers.skip(first + 1, first + 9)
        assert [numbers.of(count) for count in range(1901, 2001)] == expected[1900:]
