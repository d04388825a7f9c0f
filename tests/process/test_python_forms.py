"""What can be called, with what, and what comes back."""

from __future__ import annotations

import asyncio
import functools
import importlib
import operator
import sys
from pathlib import Path
from subprocess import run
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from tests.process.support import run_python
from tests.process.workers import functions
from tests.process.workers.functions import Colour, Point, Scaler

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool import ProcessPool


def list_path() -> list[str]:
    return sys.path


class TestForms:
    def test_call_submit_and_maps(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(2)
        assert pool.call(functions.add, 1, y=2, z=3) == 6
        assert pool.submit(functions.add, 1, z=3).result() == 4
        assert pool.map(functions.inc, range(5000)) == list(range(1, 5001))
        assert pool.map(functions.add, [1, 2, 3], [10, 20]) == [11, 22]
        assert list(pool.imap(functions.inc, iter(range(100)))) == list(range(1, 101))
        assert sorted(pool.imap_unordered(functions.inc, range(100))) == list(range(1, 101))
        assert pool.map(functions.inc, []) == []

    def test_details(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        records = pool.map(functions.inc, [5, 6], details=True)
        assert [(r.index, r.value, r.attempts) for r in records] == [(0, 6, 1), (1, 7, 1)]
        assert {r.pid for r in records} == {pool.call(functions.pid)}

    def test_what_can_be_a_function(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        offset = 10

        def nested(x: int) -> int:
            return x + offset

        for function, argument, result in [
            (lambda x: x * 2, 4, 8),
            (nested, 1, 11),
            (len, "abc", 3),
            (str.upper, "abc", "ABC"),
            (operator.itemgetter(1), "abc", "b"),
            (functools.partial(functions.add, 1, z=5), 2, 8),
            (Scaler(3), 4, 12),
            (Scaler(3).scale, 5, 15),
            (functools.partial(nested), 5, 15),
            (Point(1, 2).moved, 1, Point(2, 2)),
            (int, "12", 12),
            (dict, [("a", 1)], {"a": 1}),
        ]:
            assert pool.call(function, argument) == result  # type: ignore[call-overload]
            assert pool.map(function, [argument]) == [result]  # type: ignore[call-overload]
            assert pool.submit(function, argument).result() == result  # type: ignore[call-overload]

    def test_values_keep_their_type(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        for value in (True, 1, 1.0, "1", b"1", None, (1,), {1}, Colour.RED, Point(1, 2), 10**50):
            result = pool.call(functions.same, value)
            assert result == value
            assert type(result) is type(value)
        assert pool.call(functions.same, Colour.RED) is Colour.RED

    def test_the_wrong_form(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        for method in (pool.call, pool.submit, pool.map, pool.imap, pool.imap_unordered):
            name = method.__name__  # type: ignore[union-attr]
            with pytest.raises(TypeError, match=rf"this pool has no handler: write pool\.{name}\("):
                method([1, 2, 3])
            with pytest.raises(TypeError, match=rf"pool\.{name}\(function"):
                method()  # type: ignore[call-overload]
        with pytest.raises(TypeError, match="one iterable at least"):
            pool.map(functions.inc)  # type: ignore[call-overload]
        with pytest.raises(TypeError, match="not iterable"):
            pool.map(functions.inc, 3)  # type: ignore[call-overload]
        assert pool.call(functions.inc, 1) == 2

    def test_arguments_that_do_not_fit(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        with pytest.raises(TypeError, match="missing 1 required positional argument"):
            pool.call(functions.inc)
        with pytest.raises(TypeError, match="unexpected keyword argument"):
            pool.submit(functions.inc, 1, colour=3).result()  # type: ignore[call-arg]

    def test_keywords_of_any_name(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        names = ["self", "function", "fn", "args", "kwargs", "method", "timeout", "on_error"]
        keywords = {name: number for number, name in enumerate(names)}
        assert pool.call(dict, **keywords) == keywords
        assert pool.submit(dict, **keywords).result() == keywords
        assert asyncio.run(pool.acall(dict, **keywords)) == keywords

    def test_the_pool_itself(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        with pytest.raises(TypeError, match="pool"):
            pool.call(functions.same, pool)
        answers = pool.map(functions.kind_of, [1, pool, 3], on_error="return")
        assert (answers[0], type(answers[1]), answers[2]) == (
            "builtins.int",
            TypeError,
            "builtins.int",
        )


class TestChanges:
    def test_a_global_that_is_changed(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        names: dict[str, Any] = {"__name__": "__main__"}
        exec("factor = 2\ndef scale(x): return factor * x", names)
        values = []
        for factor in (2, 3, 3.0, True, 1, 2, 0.0, -0.0, (1,), (True,), [1], None):
            names["factor"] = factor
            try:
                values.append(repr(pool.call(names["scale"], 1)))
            except TypeError:
                values.append("TypeError")
        assert values == [
            "2", "3", "3.0", "1", "1", "2", "0.0", "-0.0", "(1,)", "(True,)", "[1]", "TypeError",
        ]  # fmt: skip

    def test_a_global_that_was_missing(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        names: dict[str, Any] = {"__name__": "__main__"}
        exec("def get(): return value", names)
        with pytest.raises(NameError, match="value"):
            pool.call(names["get"])
        for value in (None, 1):
            names["value"] = value
            assert pool.call(names["get"]) == value

    def test_a_closure_that_is_changed(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        n = 1

        def plus(x: int) -> int:
            return x + n

        assert pool.map(plus, [1]) == [2]
        n = 5
        assert pool.map(plus, [1]) == [6]
        assert pool.call(plus, 1) == 6

    def test_what_is_mutated_in_place(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        table = {"a": 1}
        scaler = Scaler(2)
        bound = scaler.scale
        bind = functools.partial(functions.add, scaler.factor)
        assert pool.map(lambda key: table[key], ["a"]) == [1]
        assert (pool.call(scaler, 1), pool.call(bound, 1), pool.call(bind, 1)) == (2, 2, 3)
        table["a"] = 7
        scaler.factor = 3
        assert pool.map(lambda key: table[key], ["a"]) == [7]
        assert (pool.call(scaler, 1), pool.call(bound, 1)) == (3, 3)

    def test_defaults_that_are_changed(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()

        def plus(x: int, y: int = 1, *, z: int = 0) -> int:
            return x + y + z

        assert pool.call(plus, 1) == 2
        plus.__defaults__ = (10,)
        assert pool.call(plus, 1) == 11
        plus.__kwdefaults__ = {"z": 100}
        assert pool.call(plus, 1) == 111
        plus.__defaults__ = None
        with pytest.raises(TypeError, match="missing"):
            pool.call(plus, 1)

    def test_an_edited_definition(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        names: dict[str, Any] = {"__name__": "__main__"}
        for result in (1, 2, 1):
            exec(f"def helper(): return {result}\ndef f(): return helper()", names)
            assert pool.call(names["f"]) == result
        f = names["f"]
        exec("def helper(): return 5", names)
        assert pool.call(f) == 5, "a helper alone was run again"

    @pytest.mark.parametrize("side", ["front", "end"])
    def test_a_module_from_where_nobody_had_looked_before(
        self,
        side: str,
        python_pool: Callable[..., ProcessPool],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        pool = python_pool(1)
        assert pool.call(functions.inc, 1) == 2
        monkeypatch.chdir(tmp_path)
        folder = f"late_{side}"
        Path(folder).mkdir()
        Path(f"{folder}/came_{side}.py").write_text("def double(x): return 2 * x\n")
        at = 0 if side == "front" else len(sys.path)
        monkeypatch.setattr(sys, "path", [*sys.path[:at], folder, *sys.path[at:]])

        double = importlib.import_module(f"came_{side}").double

        assert pool.map(double, range(3)) == [0, 2, 4]
        found = pool.call(list_path)
        assert found.index(str(tmp_path / folder)) == (0 if side == "front" else len(found) - 1)

    def test_a_function_travels_once(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        ballast = "x" * 1_000_000

        def size(_: int) -> int:
            return len(ballast)

        assert pool.map(size, range(300)) == [1_000_000] * 300
        assert len({id(pool._form.many("map", (size, [1])).task.function) for _ in range(9)}) == 1  # type: ignore[union-attr]

    def test_thousands_of_functions_are_not_kept(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool()

        def memory() -> int:
            return int(open("/proc/self/statm").read().split()[1]) // 256

        def made(n: int) -> Callable[[], int]:
            ballast = str(n) * 100_000
            return lambda: len(ballast)

        first = made(1)
        assert pool.call(first) == 100_000
        before = pool.call(memory)
        for n in range(10, 1000):
            assert pool.call(made(n)) == 100_000 * len(str(n))
        assert pool.call(first) == 100_000
        assert pool.call(memory) - before < 150, "MiB"


MAIN = """
    import dataclasses, enum, functools, sys
    from processpool import ProcessPool

    class Colour(enum.Enum):
        RED = 1

    @dataclasses.dataclass
    class Point:
        x: int
        def shifted(self):
            return Point(self.x + STEP)

    class Failure(Exception):
        def __init__(self, code):
            super().__init__(code)
            self.code = code

    class Scaler:
        registry = []
        def __init__(self, k): self.k = k
        def __call__(self, x): return self.k * x
        def scale(self, x): return self.k * x

    STEP = 10
    def shift(point): return point.shifted()
    def helper(x): return x + STEP
    def through(x): return helper(x)
    def fail(x): raise Failure(x)
    def make(x): return Point(x)

    def test():
        with ProcessPool.from_dict({"worker": {"kind": "python"}, "size": {"max": 2}}) as pool:
            assert pool.call(make, 1) == Point(1)
            assert type(pool.call(make, 1)) is Point
            assert pool.map(shift, [Point(1), Point(2)]) == [Point(11), Point(12)]
            assert all(type(p) is Point for p in pool.map(make, range(100)))
            assert pool.call(lambda c: c, Colour.RED) is Colour.RED
            assert pool.call(lambda: Colour.RED) is Colour.RED
            assert pool.map(through, [1]) == [11]
            assert pool.call(Scaler(3), 2) == 6 and pool.call(Scaler(4).scale, 2) == 8
            assert pool.call(functools.partial(Scaler(2).scale, 5)) == 10
            assert pool.call(lambda: [type(x).__name__ for x in (Point(1), Scaler(2))]) == [
                "Point", "Scaler"]
            assert pool.call(Point, 5) == Point(5)
            try:
                pool.call(fail, 3)
            except Failure as error:
                assert error.code == 3
            else:
                raise AssertionError
            global STEP
            result = pool.call(make, 1)
            STEP = 20
            assert result.shifted().x == 21, "the class is left as it is defined here"
            assert Point.shifted.__globals__ is globals()
            assert pool.map(shift, [result]) == [Point(21)]
            Scaler.registry.append(1)
            pool.call(Scaler, 3)
            assert Scaler.registry == [1]
"""


class TestMain:
    """Functions and classes of `__main__`, however that came about."""

    def test_a_script(self, tmp_path: Path) -> None:
        script = tmp_path / "script.py"
        script.write_text(dedent(MAIN) + "\nif __name__ == '__main__': test()\n")
        done = run([sys.executable, "-W", "error", script], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")

    def test_a_script_without_a_guard(self, tmp_path: Path) -> None:
        script = tmp_path / "script.py"
        script.write_text(dedent(MAIN) + "\ntest()\nprint('once')\n")
        done = run([sys.executable, "-W", "error", script], capture_output=True, text=True)
        assert (done.returncode, done.stderr, done.stdout) == (0, "", "once\n")

    def test_a_command_line(self) -> None:
        done = run_python(dedent(MAIN) + "\ntest()\n")
        assert (done.returncode, done.stderr) == (0, "")

    def test_standard_input(self) -> None:
        done = run(
            [sys.executable, "-W", "error"],
            input=dedent(MAIN) + "\ntest()\n",
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")

    @pytest.mark.parametrize("name", ["__main__", "builtins"])
    def test_a_namespace_of_its_own(self, name: str) -> None:
        code = compile(dedent(MAIN) + "\ntest()\n", "<cell>", "exec", dont_inherit=True)
        exec(code, {"__name__": name})

    def test_a_class_that_is_defined_again(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        names: dict[str, Any] = {"__name__": "__main__"}
        kinds = []
        for n in range(3):
            exec(f"class Thing:\n def value(self): return {n}\ndef make(): return Thing()", names)
            made = pool.call(names["make"])
            assert type(made) is names["Thing"]
            assert made.value() == n
            kinds.append(type(made))
        assert len(set(kinds)) == 3

    def test_an_instance_of_a_class_that_is_gone(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool()

        def make() -> Any:
            class Thing:
                value = 3

                def doubled(self) -> int:
                    return 2 * self.value

            return Thing()

        things = pool.map(lambda _: make(), range(3))
        assert [(thing.value, thing.doubled()) for thing in things] == [(3, 6)] * 3


def stop(kind: type[Exception]) -> None:
    raise kind("here")


async def aimap(pool: ProcessPool, *items: Any) -> list[Any]:
    return [answer async for answer in pool.aimap(stop, items)]


WAYS: dict[str, Callable[..., Any]] = {
    "map": lambda pool, *items: pool.map(stop, items),
    "imap": lambda pool, *items: list(pool.imap(stop, items)),
    "imap_unordered": lambda pool, *items: list(pool.imap_unordered(stop, items)),
    "acall": lambda pool, item: asyncio.run(asyncio.wait_for(pool.acall(stop, item), 30)),
    "aimap": lambda pool, *items: asyncio.run(aimap(pool, *items)),
}


@pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration])
class TestStopIteration:
    def test_as_it_is(self, python_pool: Callable[..., ProcessPool], kind: type[Exception]) -> None:
        pool = python_pool()
        with pytest.raises(kind, match="here"):
            pool.call(stop, kind)
        future = pool.submit(stop, kind)
        with pytest.raises(kind, match="here"):
            future.result()
        for details in True, False:
            (found,) = pool.map(stop, [kind], on_error="return", details=details)
            assert isinstance(found.error if details else found, kind)  # type: ignore[union-attr]

    @pytest.mark.parametrize("way", WAYS)
    def test_where_it_would_be_taken_for_an_end(
        self, python_pool: Callable[..., ProcessPool], kind: type[Exception], way: str
    ) -> None:
        with pytest.raises(RuntimeError, match=rf"^the item raised {kind.__name__}$") as caught:
            WAYS[way](python_pool(), kind)
        assert isinstance(caught.value.__cause__, kind)
        record = caught.value.record  # type: ignore[attr-defined]
        assert record.error is caught.value.__cause__
        assert record.attempts == 1


class TestResults:
    def test_generators(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        with pytest.raises(TypeError, match="generator") as caught:
            pool.call(lambda: (n for n in range(3)))
        assert "The result, of type generator, cannot be sent back" in str(caught.value.__notes__)

    def test_functions(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        assert pool.call(lambda: functions.inc) is functions.inc
        assert pool.call(lambda: lambda x: x + 5)(1) == 6

    def test_many_sizes(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        sizes = [0, 1, 100, 4000, 4070, 4096, 5000, 65_000, 65_536, 70_000, 260_000, 300_000]
        texts = ["ä" * size for size in sizes] * 3
        assert pool.map(functions.same, texts) == texts
        assert [pool.call(functions.same, text) for text in texts] == texts
        lists = [list(range(size)) for size in (0, 10, 10_000, 100_000)] * 2
        assert pool.map(functions.same, lists) == lists
