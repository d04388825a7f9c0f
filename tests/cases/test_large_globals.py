"""A function that refers to something large is not pickled anew to see whether that has changed."""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from processpool.wire.python.functions import Functions

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tests.cases.conftest import Ran


def make(**names: Any) -> Callable[..., Any]:
    """A function of a main module with these globals."""
    space: dict[str, Any] = {"__name__": "__main__", **names}
    exec("def inner(key): return table[key]\ndef outer(key): return inner(key)", space)
    found: Callable[..., Any] = space["outer"]
    return found


class Weighed:
    """Counts how often it was pickled."""

    def __init__(self) -> None:
        self.times = 0
        self.pause = 0.0

    def __reduce__(self) -> tuple[Any, ...]:
        self.times += 1
        end = perf_counter() + self.pause
        while perf_counter() < end:
            pass
        return (int, (1,))


def test_calls_take_a_fraction_of_what_pickling_takes(run: Callable[..., Ran]) -> None:
    ran = run(
        """
        import pickle, time
        table = {f"k{n}": n for n in range(500_000)}
        def f(k): return table[k]

        def seconds(action):
            began = time.perf_counter()
            action()
            return time.perf_counter() - began

        if __name__ == "__main__":
            with P() as p:
                p.call(f, "k1")
                took = sorted(seconds(lambda: p.call(f, "k1")) for _ in range(9))[4]
                pickled = lambda: pickle.dumps([*table.items()])
                by_value = sorted(seconds(pickled) for _ in range(3))[1]
                table["k1"] = "new"
                print([took < by_value / 2, p.call(f, "k1"), p.map(f, ["k1", "k2"])])
        """
    )
    assert ran.value == [True, "new", ["new", 2]]


def test_it_is_told_once_and_named(run: Callable[..., Ran]) -> None:
    ran = run(
        """
        import logging
        logging.basicConfig(format="%(message)s")
        small, table = [1, 2], {f"k{n}": n for n in range(200_000)}
        def f(k): return table[k] + small[0]
        if __name__ == "__main__":
            with P() as p:
                print([p.call(f, "k1"), p.call(f, "k2"), p.map(f, ["k3"])])
        """
    )
    assert ran.value == [2, 3, [4]]
    assert ran.stderr.count("f refers to the global 'table', ") == 1
    assert "pool.share(" in ran.stderr


def test_what_is_plain_is_pickled_once() -> None:
    functions = Functions()
    outer = make(table={"a": 1})
    first = functions.get(outer)
    assert functions.get(outer) is first
    outer.__globals__["table"]["a"] = True  # it equals 1, and is another value
    assert functions.get(outer) is not first
    outer.__globals__["table"]["a"] = 1
    assert functions.get(outer) is first


def test_each_change_of_a_name_is_seen() -> None:
    functions = Functions()
    outer = make(table={"a": 1})
    known = [functions.get(outer)]
    outer.__globals__["table"] = {"a": 2}
    known.append(functions.get(outer))
    exec("def inner(key): return 0", outer.__globals__)
    known.append(functions.get(outer))
    outer.__defaults__ = (1,)
    known.append(functions.get(outer))
    assert len(set(known)) == len(known)


def test_what_only_pickling_can_tell_is_pickled_before_each_use() -> None:
    functions, weighed = Functions(), Weighed()
    outer = make(table=weighed)
    for _ in range(3):
        functions.get(outer)
    assert weighed.times == 3


def test_if_that_takes_long_calls_do_it_now_and_then_and_maps_always() -> None:
    functions, weighed = Functions(), Weighed()
    weighed.pause = 0.2
    outer = make(table=weighed)
    for _ in range(5):
        functions.get(outer)
    assert weighed.times == 1
    functions.get(outer, exactly=True)
    assert weighed.times == 2


def test_partials_are_told_too() -> None:
    told: list[str] = []
    Functions(tell=told.append).get(partial(make(table={}), b"x" * (2 << 20)))
    assert "an argument of the partial, 2.0 MiB when" in told[0]
