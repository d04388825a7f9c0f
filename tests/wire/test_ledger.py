"""Which item is which: batches go out, answers come in, and some are taken back in between."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from processpool.wire.python.ledger import MASK, Ledger


@dataclass
class Items:
    start: int
    count: int

    def __len__(self) -> int:
        return self.count

    def split(self, count: int, /) -> tuple[Items, Items]:
        return Items(self.start, count), Items(self.start + count, self.count - count)


def ledger(*batches: Items) -> Ledger[Items]:
    made: Ledger[Items] = Ledger()
    for batch in batches:
        made.sent(batch)
    return made


class TestWhere:
    def test_items_are_found_in_the_order_in_which_they_were_sent(self) -> None:
        first, second = Items(10, 2), Items(50, 3)
        books = ledger(first, second)
        places = [books.locate(item) for item in range(1, 7)]
        assert [index for index, _ in places] == [10, 11, 50, 51, 52, None]
        assert [batch for _, batch in places] == [first, first, second, second, second, None]

    def test_after_some_answers(self) -> None:
        books = ledger(Items(10, 2), Items(50, 3))
        books.settle(3)
        assert [books.locate(item)[0] for item in (4, 5)] == [51, 52]
        assert books.received == 3

    def test_the_item_of_a_call(self) -> None:
        books = ledger()
        books.received = 4
        assert books.locate(5) == (0, None)
        assert books.locate(6) == (None, None)

    def test_more_items_than_their_number_has_room_for(self) -> None:
        books = ledger(Items(0, 4))
        books.received = MASK - 1
        assert [books.locate(n & MASK)[0] for n in range(MASK, MASK + 4)] == [0, 1, 2, 3]


class TestNumbers:
    def test_batches_count_from_one(self) -> None:
        books = ledger()
        assert (books.first_number, books.next_number) == (None, 1)
        books.sent(Items(0, 2))
        books.sent(Items(2, 2))
        assert (books.first_number, books.next_number) == (1, 3)
        books.settle(2)
        assert books.first_number == 2


class TestTakenBack:
    def test_from_the_pipe(self) -> None:
        kept, taken = Items(0, 2), Items(2, 2)
        books = ledger(kept, taken)
        assert books.take_back({2}) == [taken]
        assert books.take_back({2, 7}) == []
        assert books.locate(3) == (None, None)

    def test_what_has_not_begun(self) -> None:
        books = ledger(Items(0, 10))
        books.settle(3)
        assert books.recall(begun=5) == 2
        assert books.locate(5)[0] == 4
        assert books.locate(6) == (None, None), "it is somebody else's now"
        books.settle(2)
        assert books.first_number is None

    def test_all_of_it(self) -> None:
        books = ledger(Items(0, 10), Items(10, 1))
        books.settle(3)
        assert books.recall(begun=3) == 0
        assert books.first_number == 2
        assert books.locate(4)[0] == 10

    def test_nothing_if_the_last_one_has_begun(self) -> None:
        books = ledger(Items(0, 3))
        books.settle(2)
        assert books.recall(begun=3) is None
        assert books.locate(3)[0] == 2

    def test_nothing_if_nothing_was_sent(self) -> None:
        assert ledger().recall(begun=0) is None

    def test_given_back_by_the_worker(self) -> None:
        books = ledger(Items(0, 3), Items(7, 1))
        books.settle(1)
        books.drop_first()
        assert books.locate(2)[0] == 7


class TestPeeked:
    def test_answers_that_were_read_ahead_do_not_count_twice(self) -> None:
        books = ledger(Items(0, 10))
        books.peek(2, 16)
        books.peek(1, 24)
        assert (books.received, books.peeked) == (3, (3, 24))
        assert books.arrived(5) == (2, 24)
        assert (books.received, books.peeked) == (5, (0, 0))
        assert books.arrived(5) == (5, 0)

    def test_a_frame_may_bring_nothing_new(self) -> None:
        books = ledger(Items(0, 10))
        books.peek(2, 16)
        assert books.arrived(2) == (0, 16)
        assert books.received == 2


def test_at_random_nothing_is_lost_or_counted_twice() -> None:
    chance = Random(5)
    for _ in range(300):
        books: Ledger[Items] = Ledger()
        open_items: list[int] = []
        start = 0
        for _ in range(30):
            if chance.random() < 0.4:
                batch = Items(start, chance.randrange(1, 6))
                books.sent(batch)
                open_items += range(start, start + len(batch))
                start += 100
            elif open_items:
                count = chance.randrange(len(open_items) + 1)
                if chance.random() < 0.5:
                    books.peek(count, 8 * count)
                    assert books.arrived(count) == (0, 8 * count)
                else:
                    assert books.arrived(count) == (count, 0)
                del open_items[:count]
            found = [books.locate(books.received + 1 + n)[0] for n in range(len(open_items))]
            assert found == open_items
