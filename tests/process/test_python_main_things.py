"""What is defined in a script's main module: functions that are wrapped, and classes.

Each test runs a script of its own, as only its functions are really those of `__main__`.
"""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

START = """
from __future__ import annotations
import functools, multiprocessing, pickle, sys
from processpool import ProcessPool, ProcessPoolExecutor

def make_pool():
    return ProcessPool.from_dict({"worker": {"kind": "python"}, "size": {"min": 1, "max": 1}})
"""


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str], list[str]]:
    """Runs a script; gives the lines that it prints."""

    def run_script(source: str) -> list[str]:
        path = tmp_path / "script.py"
        path.write_text(START + dedent(source))
        done = subprocess.run(
            [sys.executable, "-W", "error", str(path)],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert not done.returncode, done.stderr
        return done.stdout.splitlines()

    return run_script


class TestCaches:
    def test_functions_with_a_cache(self, run: Callable[[str], list[str]]) -> None:
        lines = run(
            """
            @functools.lru_cache(maxsize=7, typed=True)
            def fib(n):
                "Fibonacci's."
                return n if n < 2 else fib(n - 1) + fib(n - 2)

            fib.unit = "rabbits"
            twice = functools.cache(lambda n: n * 2)

            def uses(n):
                return fib(n) + twice(n)

            def look():
                return fib.__name__, fib.__doc__, fib.unit, fib.cache_parameters()

            if __name__ == "__main__":
                with make_pool() as pool:
                    print(pool.map(fib, range(10)))
                    print(pool.call(twice, 4), pool.submit(uses, 10).result())
                    print(pool.call(look))
                    print(pool.call(lambda: fib)(20))
            """
        )
        assert lines == [
            "[0, 1, 1, 2, 3, 5, 8, 13, 21, 34]",
            "8 75",
            """('fib', "Fibonacci's.", 'rabbits', {'maxsize': 7, 'typed': True})""",
            "6765",
        ]

    def test_the_cache_is_kept_from_item_to_item(self, run: Callable[[str], list[str]]) -> None:
        lines = run(
            """
            @functools.cache
            def once(n):
                print("computed")
                return n

            if __name__ == "__main__":
                with make_pool() as pool:
                    outcomes = pool.map(once, [1, 1, 2], details=True)
                    print([outcome.stdout for outcome in outcomes])
                    print(pool.submit(once, 2).result())
            """
        )
        assert lines == ["['computed\\n', '', 'computed\\n']", "2"]

    def test_methods_and_properties(self, run: Callable[[str], list[str]]) -> None:
        lines = run(
            """
            class Square:
                def __init__(self, side):
                    self.side = side

                @functools.cached_property
                def area(self):
                    "Of all of it."
                    return self.side**2

                @functools.lru_cache
                def times(self, n):
                    return self.area * n

            def measure(square):
                return square.area, square.area, square.times(2), Square.area.__doc__

            if __name__ == "__main__":
                with make_pool() as pool:
                    print(pool.call(measure, Square(3)))
                    print(pool.call(Square(4).times, 2))
                    square = pool.call(Square, 5)
                    print(type(square) is Square, square.area)
            """
        )
        assert lines == ["(9, 9, 18, 'Of all of it.')", "32", "True 25"]

    def test_importable_ones_go_by_name(
        self, run: Callable[[str], list[str]], tmp_path: Path
    ) -> None:
        source = "import functools\n@functools.cache\ndef inc(n): return n + 1\n"
        (tmp_path / "elsewhere.py").write_text(source)
        lines = run(
            """
            import elsewhere
            from elsewhere import inc

            def uses(n):
                return elsewhere.inc(n), inc is elsewhere.inc

            if __name__ == "__main__":
                with make_pool() as pool:
                    print(pool.call(uses, 1), pool.call(inc, 1))
                    print(pool.call(lambda: inc) is inc)
            """
        )
        assert lines == ["(2, True) 2", "True"]


class TestDispatch:
    def test_by_type(self, run: Callable[[str], list[str]]) -> None:
        lines = run(
            """
            from collections.abc import Sequence

            class Own:
                pass

            @functools.singledispatch
            def kind(x):
                return "other"

            @kind.register(int)
            def _(x):
                return "int"

            @kind.register(Own)
            def _(x):
                return "own"

            @kind.register(Sequence)
            def _(x):
                return "(" + ", ".join(map(kind, x)) + ")"

            class Method:
                @functools.singledispatchmethod
                def kind(self, x):
                    return "a method's other"

                @kind.register(int)
                def _(self, x):
                    return "a method's int"

            def uses(x):
                return kind(x), kind.__name__

            if __name__ == "__main__":
                with make_pool() as pool:
                    print(pool.map(kind, [1, 2.0, Own(), [1, Own(), [2.0]]]))
                    print(pool.call(uses, 1))
                    print(pool.map(lambda x: Method().kind(x), [1, 2.0]))
                    kind.register(float)(lambda x: "float")
                    print(pool.map(kind, [1, 2.0]))
            """
        )
        assert lines == [
            "['int', 'other', 'own', '(int, own, (other))']",
            "('int', 'kind')",
            """["a method's int", "a method's other"]""",
            "['int', 'float']",
        ]


class TestMultiprocessing:
    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    def test_in_its_children(self, run: Callable[[str], list[str]], method: str) -> None:
        lines = run(
            f"""
            class Point:
                def __init__(self, x):
                    self.x = x

            @functools.cache
            def double(x):
                return x * 2

            step = None

            def move(point):
                return Point(double(point.x) + step)

            def set_step():
                global step
                step = 1

            def child():
                with ProcessPoolExecutor(1, initializer=set_step) as executor:
                    moved = list(executor.map(move, [Point(1), Point(2)]))
                    print([point.x for point in moved], {{type(p) is Point for p in moved}})
                    print(executor.submit(double, 4).result(), flush=True)

            if __name__ == "__main__":
                process = multiprocessing.get_context("{method}").Process(target=child)
                process.start()
                process.join()
                print(process.exitcode)
            """
        )
        assert lines == ["[3, 5] {True}", "8", "0"]


class TestClasses:
    def test_items_can_pickle_objects(self, run: Callable[[str], list[str]]) -> None:
        lines = run(
            """
            class Point:
                class Corner:
                    pass

            def copy(point):
                return type(pickle.loads(pickle.dumps(point))) is type(point)

            def save(point):
                return pickle.dumps(point)

            def look():
                import __main__

                return Point is __main__.Point, hasattr(__main__, "nothing"), __main__.__name__

            if __name__ == "__main__":
                with make_pool() as pool:
                    print(pool.map(copy, [Point(), Point.Corner()]))
                    print(type(pickle.loads(pool.call(save, Point()))) is Point)
                    print(pool.call(look))
                    old = Point()

                    class Point:
                        pass

                    print(pool.call(copy, Point()))
            """
        )
        assert lines == ["[True, True]", "True", "(True, False, '__main__')", "True"]


class TestExceptions:
    @pytest.mark.parametrize("size", [10, 100_000])
    def test_that_carry_an_array(self, run: Callable[[str], list[str]], size: int) -> None:
        lines = run(
            f"""
            import numpy as np

            class Own(ValueError):
                pass

            def fail(kind):
                raise kind("bad", np.arange({size}.0)) from KeyError(np.ones({size}))

            if __name__ == "__main__":
                with make_pool() as pool:
                    for kind in (ValueError, Own):
                        error = pool.submit(fail, kind).exception()
                        print(type(error) is kind, error.args[0], error.args[1][-1])
                        print(repr(error.__context__)[:14])
            """
        )
        assert lines == [f"True bad {size - 1}.0", "KeyError(array"] * 2
