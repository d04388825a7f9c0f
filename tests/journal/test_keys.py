"""What an item is known by: its content, wherever it stands and however it was made."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processpool.journal.keys import Occurrences, keys_by, keys_of_arguments
from processpool.wire.python.arguments import pack_items
from processpool.wire.python.layout import ONE, STAR

SIMPLE = st.one_of(st.integers(), st.floats(), st.text(), st.binary(), st.booleans(), st.none())


def keys(items: list[Any], style: int = ONE) -> list[Any]:
    payloads, _, refusal = pack_items(items, style, 1 << 30)
    assert refusal is None
    return list(keys_of_arguments(items, payloads))


@given(SIMPLE, SIMPLE)
def test_simple_values_have_the_same_key_only_if_they_are_the_same(one: Any, other: Any) -> None:
    same = type(one) is type(other) and repr(one) == repr(other)
    assert (keys([one]) == keys([other])) is same


@given(st.lists(SIMPLE), st.randoms())
def test_a_key_does_not_depend_on_what_else_there_is(items: list[Any], random: Any) -> None:
    order = list(range(len(items)))
    random.shuffle(order)
    before, after = keys(items), keys([items[at] for at in order])
    assert after == [before[at] for at in order]


def test_equal_numbers_of_other_types_are_other_items() -> None:
    assert len(set(keys([1, 1.0, True, "1", b"1"]))) == 5


def test_an_interned_string_is_like_any_other() -> None:
    assert keys(["abcd"]) == keys(["".join(["ab", "cd"])])


def test_several_arguments() -> None:
    assert keys([(1, 2), ("a", Decimal(1))], STAR)[1] == keys([("a", Decimal(1))], STAR)[0]


def test_large_items_have_small_keys() -> None:
    assert len(keys(["x" * 1_000_000])[0]) == 40


def test_items_of_classes_that_cannot_be_imported_have_the_same_key_in_any_order() -> None:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec("class A: pass\nclass B: pass", space)
    a, b = space["A"](), space["B"]()
    assert keys([a, b]) == keys([b, a])[::-1]


@given(st.lists(st.lists(st.sampled_from([b"a", b"b", "c"]), max_size=6), max_size=4))
def test_the_nth_of_the_same_is_known_as_such(chunks: list[list[bytes | str]]) -> None:
    occurrences = Occurrences()
    found = [key for chunk in chunks for key in occurrences.number(chunk)]
    read = [key for chunk in chunks for key in chunk]
    assert found == [
        (key, read[:at].count(key)) if key in read[:at] else key for at, key in enumerate(read)
    ]


def test_a_key_of_the_users() -> None:
    sets = [{"b", "a"}, {"a", "b"}, {"c"}]
    made = keys_by(lambda item: tuple(sorted(item)), sets, spread=False)
    assert made[0] == made[1] != made[2]
    assert keys_by(lambda a, b: a, [(1, 2)], spread=True) == keys_by(int, [1], spread=False)


def test_a_key_that_would_be_another_one_tomorrow() -> None:
    with pytest.raises(TypeError, match=r"journal_key must return .* got object"):
        keys_by(lambda item: object(), [1], spread=False)
