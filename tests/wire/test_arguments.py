"""Arguments are pickled one by one where they are handed in, and read one by one by a worker."""

from __future__ import annotations

import array
import pickle
import threading
from dataclasses import dataclass
from typing import Any, NoReturn

import pytest

from processpool.wire.python.arguments import Pickled, Unsendable, pack_call, pack_items
from processpool.wire.python.layout import ONE, STAR
from processpool.wire.python.pickling import PROTOCOL
from processpool.wire.python.unpacker import Unpacker

MUCH = 1 << 40


class Unpicklable:
    def __reduce__(self) -> NoReturn:
        raise ValueError("not me")


class Loud(int):
    """An `int` that runs code when it is pickled."""

    def __reduce__(self) -> Any:
        pickled.append(int(self))
        return Loud, (int(self),)


pickled: list[int] = []


def local_class(**attributes: Any) -> Any:
    """A class that cannot be imported, as those of a script or a notebook."""
    return dataclass(type("Local", (), {"__annotations__": {"x": int}, **attributes}))


def travelled(payloads: list[Any]) -> list[Any]:
    """What a worker makes of items that were sent together."""
    stream = pickle.dumps(
        [each.packed if type(each) is Pickled else (each,) for each in payloads], PROTOCOL
    )
    unpack = Unpacker().unpack
    return [unpack(each) for each in pickle.loads(stream)]


@pytest.mark.parametrize(
    "items",
    [[1, 2.0, True, "four", b"five", None], [(1, "a"), (2, "b")]],
    ids=["arguments", "several arguments"],
)
def test_simple_values_stay_as_they_are(items: list[Any]) -> None:
    style = STAR if type(items[0]) is tuple else ONE
    payloads, _, refusal = pack_items(items, style, MUCH)
    assert payloads is items
    assert refusal is None
    assert pack_call((1, "a"), {}) == ((1, "a"), {})


@pytest.mark.parametrize(
    "item",
    [
        [1, 2],
        {"a": [1]},
        {3},
        (1, 2),
        bytearray(b"x"),
        1j,
        ["__main__", "in", "a", "list"],
        Loud(7),
    ],
    ids=repr,
)
def test_all_else_is_pickled_there_and_then(item: Any) -> None:
    payloads, size, refusal = pack_items([item, "simple"], ONE, MUCH)
    assert type(payloads[0]) is Pickled
    assert (payloads[1], refusal) == ("simple", None)
    assert size >= len(payloads[0])
    assert travelled(payloads) == [item, "simple"]
    assert type(travelled(payloads)[0]) is type(item)


def test_no_code_runs_once_it_is_packed() -> None:
    payloads, _, _ = pack_items([Loud(8)], ONE, MUCH)
    del pickled[:]
    travelled(payloads)
    assert pickled == []


def test_later_changes_make_no_difference() -> None:
    row = {"n": 1}
    payloads, _, _ = pack_items([row], ONE, MUCH)
    call = pack_call((row,), {"also": row})
    row["n"] = 2
    assert travelled([*payloads, call]) == [{"n": 1}, (({"n": 1},), {"also": {"n": 1}})]


def test_large_buffers_travel_beside_the_pickle() -> None:
    numbers = array.array("d", bytes(1 << 20))
    item = {"numbers": pickle.PickleBuffer(numbers)}
    payloads, size, _ = pack_items([item], ONE, MUCH)
    assert len(payloads[0].stream) < 1000
    assert size > 1 << 20
    assert bytes(travelled(payloads)[0]["numbers"]) == bytes(numbers)


class TestClassesThatCannotBeImported:
    def test_they_travel_once_for_all_items(self) -> None:
        local = local_class()
        payloads, _, _ = pack_items([local(n) for n in range(100)], ONE, MUCH)
        assert max(len(each.stream) for each in payloads) < 200
        assert len({id(each.classes) for each in payloads}) == 1
        assert [each.x for each in travelled(payloads)] == list(range(100))

    def test_they_are_the_same_class_again(self) -> None:
        local = local_class()
        payloads, _, _ = pack_items([local(1), [local, local(2)], local], ONE, MUCH)
        first, (kind, second), third = travelled(payloads)
        assert type(first) is kind is type(second) is third is local

    def test_one_that_cannot_be_pickled_spoils_only_its_own_items(self) -> None:
        good, bad = local_class(), local_class(lock=threading.Lock())
        payloads, _, refusal = pack_items([good(1), bad(2), good(3)], ONE, MUCH)
        assert [each.x for each in travelled(payloads)] == [1]
        assert isinstance(refusal, TypeError)

    def test_in_a_call(self) -> None:
        local = local_class()
        call = pack_call((local(1),), {"other": local(2)})
        ((args, keywords),) = travelled([call])
        assert (args[0].x, keywords["other"].x) == (1, 2)


class TestWhatCannotBeSent:
    def test_ends_what_is_packed_and_says_so(self) -> None:
        payloads, _, refusal = pack_items([[1], Unpicklable(), [3]], ONE, MUCH)
        assert travelled(payloads) == [[1]]
        assert str(refusal) == "not me"

    def test_says_where_it_was(self) -> None:
        with pytest.raises(Unsendable) as caught:
            pack_call((1,), {"rows": [0, Unpicklable()]})
        assert str(caught.value.error) == "not me"
        (note,) = caught.value.error.__notes__
        assert note.startswith("The item cannot be sent to a worker")
        assert "['rows'][1]: " in note


def test_no_more_than_so_many_bytes_are_packed() -> None:
    payloads, size, refusal = pack_items([[bytes(1000)] for _ in range(10)], ONE, 2500)
    assert (len(payloads), refusal) == (3, None)
    assert 2500 <= size < 4000
