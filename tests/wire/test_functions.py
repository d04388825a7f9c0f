"""Functions on their way: when is one the same as before, and where does its code come from?"""

from __future__ import annotations

import functools
import gc
import operator
import threading
from typing import TYPE_CHECKING, Any

import pytest

from processpool.wire.python import functions as module
from processpool.wire.python.functions import Functions
from processpool.wire.python.sources import Sources, sources_of
from tests.process.workers import functions as workers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def defined(source: str, **names: Any) -> dict[str, Any]:
    """The names that this source defines, as in a cell of a notebook."""
    names["__name__"] = "__main__"
    exec(compile(source, "<cell>", "exec", dont_inherit=True), names)
    return names


class TestSameness:
    @pytest.mark.parametrize(
        "function",
        [len, workers.inc, workers.Scaler, operator.itemgetter(2), functools.partial(max, 3)],
    )
    def test_what_is_imported(self, function: Callable[..., Any]) -> None:
        known = Functions()
        assert known.get(function) is known.get(function)

    def test_two_definitions_of_the_same(self) -> None:
        known = Functions()
        first, second = (defined("def f(x): return x + 1")["f"] for _ in "ab")
        assert known.get(first) is known.get(second)

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (1, 2), (1, True), (1, 1.0), (0.0, -0.0), ("a", b"a"), (None, 0), ((1,), (True,)),
            ([1], [2]), ({1: 1}, {1: 2}), (gc, threading), (len, max), (1.5, 2.5),
        ],
    )  # fmt: skip
    def test_a_changed_global(self, before: Any, after: Any) -> None:
        known = Functions()
        names = defined("def f(): return G", G=before)
        first = known.get(names["f"])
        assert known.get(names["f"]) is first
        names["G"] = after
        second = known.get(names["f"])
        assert second is not first
        assert known.get(names["f"]) is second

    @pytest.mark.parametrize("inner", ["lambda: G", "[G for _ in 'a']", "(lambda: (lambda: G))"])
    def test_a_global_that_only_inner_code_uses(self, inner: str) -> None:
        known = Functions()
        names = defined(f"def f(): return {inner}", G=1)
        first = known.get(names["f"])
        names["G"] = 2
        assert known.get(names["f"]) is not first

    def test_a_constant_function_is_not_pickled_twice(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        known = Functions()
        names = defined("import math\ndef f(x, y=2, *, z='a'): return math.sqrt(G + x)", G=1.5)
        first = known.get(names["f"])
        monkeypatch.setattr("processpool.wire.python.pickling.pack", None)
        assert known.get(names["f"]) is first

    def test_things_that_change_inside(self) -> None:
        known = Functions()
        scaler = workers.Scaler(2)
        bound = scaler.scale
        first, second = known.get(scaler), known.get(bound)
        scaler.factor = 3
        assert known.get(scaler) is not first
        assert known.get(bound) is not second

    def test_a_number_is_not_used_twice(self) -> None:
        known = Functions()
        numbers = [known.get(defined(f"def f(): return {n}")["f"]).number for n in range(50)]
        assert len(set(numbers)) == 50
        assert 0 not in numbers

    def test_from_many_threads(self) -> None:
        known = Functions()
        found: list[int] = []

        def run() -> None:
            found.extend(known.get(lambda x: x + 7).number for _ in range(50))

        threads = [threading.Thread(target=run) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(found)) == 1

    def test_what_cannot_be_pickled(self) -> None:
        lock = threading.Lock()
        with pytest.raises(TypeError, match="pickle"):
            Functions().get(lambda: lock)


class TestKeeping:
    def test_only_so_many(self) -> None:
        known = Functions()
        kept = [defined(f"def f(): return {n}")["f"] for n in range(2 * module.MAX_CACHED)]
        first = [known.get(function) for function in kept]
        assert len(known._by_value) <= module.MAX_CACHED
        assert [known.get(function) for function in kept[-10:]] == first[-10:]

    def test_only_so_many_bytes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "MAX_CACHED_SIZE", 10_000)
        known = Functions()
        for n in range(20):
            known.get(defined(f"def f(): return {'x' * (3000 + n)!r}")["f"])
        assert sum(function.size for function in known._by_value.values()) <= 10_000
        assert known._kept_size <= 10_000

    def test_functions_that_are_gone_are_forgotten(self) -> None:
        known = Functions()
        for n in range(100):
            known.get(defined(f"def f(): return {n}")["f"])
        gc.collect()
        assert not known._known


class TestSources:
    @pytest.mark.parametrize(
        "function",
        [
            workers.inc,
            workers.Scaler,
            workers.Scaler(2),
            workers.Scaler(2).scale,
            functools.partial(functools.partial(workers.add, 1), 2),
        ],
    )
    def test_of_what_is_imported(self, function: Callable[..., Any]) -> None:
        assert sources_of(function, by_value=False) == (workers.__file__,)

    def test_of_what_is_installed(self) -> None:
        for function in (len, functools.reduce, pytest.raises, threading.Thread):
            assert sources_of(function, by_value=False) == ()

    def test_of_what_travels_by_value(self) -> None:
        names = defined(
            "def f(): return [g(y) for y in range(3)]\ndef h(x): return m.inc(x)\ndef k(): pass",
            g=workers.inc,
            m=workers,
        )
        assert sources_of(names["f"], by_value=True) == (workers.__file__,)
        assert sources_of(names["h"], by_value=True) == (workers.__file__,)
        assert sources_of(names["k"], by_value=True) == ()

    def test_an_edit(self, tmp_path: Path) -> None:
        path = tmp_path / "module.py"
        path.write_text("1")
        sources = Sources()
        assert not sources.changed([str(path)])
        assert not sources.changed([str(path)])
        path.write_text("2")
        assert sources.changed([str(path)])
        assert not sources.changed([str(path)])

    def test_what_a_worker_has_read_counts(self, tmp_path: Path) -> None:
        path = tmp_path / "module.py"
        path.write_text("1")
        sources = Sources()
        sources.read_at(str(path), (0, 1))
        assert sources.named == [str(path)]
        assert sources.changed(sources.named)
        sources.read_at(str(path), (0, 1))  # from another worker, started as early
        assert not sources.changed(sources.named)

    def test_a_file_that_is_gone(self, tmp_path: Path) -> None:
        path = tmp_path / "module.py"
        path.write_text("1")
        sources = Sources()
        sources.changed([str(path)])
        path.unlink()
        assert not sources.changed([str(path), "/no/such/file.py"])

    def test_compiled_code_is_not_taken_for_the_new_one(self, tmp_path: Path) -> None:
        import importlib.util

        path = tmp_path / "module.py"
        path.write_text("1")
        compiled = tmp_path / "__pycache__" / importlib.util.cache_from_source("module.py")
        cache = importlib.util.cache_from_source(str(path))
        sources = Sources()
        sources.changed([str(path)])
        (tmp_path / "__pycache__").mkdir()
        with open(cache, "w") as file:
            file.write("old")
        path.write_text("2")
        assert sources.changed([str(path)])
        assert not compiled.exists()
        assert not list((tmp_path / "__pycache__").iterdir())
