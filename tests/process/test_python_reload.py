"""Modules that are edited while a pool is open."""

from __future__ import annotations

import importlib
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.process.workers import functions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

    from processpool import ProcessPool


class Edited:
    """A module that can be imported here and in workers, and edited."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}.py"
        self.name = name

    def write(self, value: Any) -> None:
        """Its function `f` gives this from now on; the file keeps its size if the value does."""
        self.path.write_text(f"VALUE = {value}\ndef f(x=0): return VALUE\n")

    def load(self) -> ModuleType:
        importlib.invalidate_caches()
        return importlib.import_module(self.name)


def apply(function: Callable[[], Any] | None, argument: Any = None) -> Any:
    return argument() if function is None else function()


def close_over(function: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: function()


class Holder:
    """Has a function of another module."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function

    def call(self, function: Callable[[], Any]) -> Any:
        return function()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Edited]:
    monkeypatch.syspath_prepend(str(tmp_path))
    edited = Edited(tmp_path, "edited_module")
    edited.write(1)
    yield edited
    sys.modules.pop(edited.name, None)


@pytest.fixture
def other(tmp_path: Path, module: Edited) -> Iterator[Edited]:
    """Another module beside it, not written yet."""
    edited = Edited(tmp_path, "other_edited_module")
    yield edited
    sys.modules.pop(edited.name, None)


class TestFunctions:
    def test_the_next_use_has_the_new_code(
        self, python_pool: Callable[..., ProcessPool], module: Edited
    ) -> None:
        pool = python_pool(2)
        f = module.load().f
        for value in range(1, 6):
            module.write(value)
            assert pool.call(f) == value
            assert pool.submit(f).result() == value
            assert pool.map(f, range(20)) == [value] * 20

    def test_between_call_and_map(
        self, python_pool: Callable[..., ProcessPool], module: Edited
    ) -> None:
        pool = python_pool()
        f = module.load().f
        assert pool.map(f, range(3)) == [1] * 3
        module.write(2)
        assert pool.map(f, range(3)) == [2] * 3
        module.write(3)
        assert list(pool.imap(f, range(3))) == [3] * 3

    def test_a_function_that_uses_it(
        self, python_pool: Callable[..., ProcessPool], module: Edited
    ) -> None:
        pool = python_pool()
        names: dict[str, Any] = {"__name__": "__main__", "edited": module.load()}
        exec("def g(): return [edited.f() for _ in range(2)]", names)
        assert pool.call(names["g"]) == [1, 1]
        module.write(2)
        assert pool.call(names["g"]) == [2, 2]

    @pytest.mark.parametrize(
        "wrap",
        [
            close_over,
            lambda f: partial(apply, f),
            lambda f: partial(apply, None, argument=f),
            lambda f: partial(partial(apply, None), f),
            lambda f: partial(lambda x: x(), f),
            lambda f: partial(Holder(f).call, f),
        ],
        ids=["closure", "argument", "keyword", "partial of a partial", "lambda", "method"],
    )
    def test_a_function_that_was_given_one_of_it(
        self, python_pool: Callable[..., ProcessPool], module: Edited, wrap: Any
    ) -> None:
        pool = python_pool()
        function = wrap(module.load().f)
        assert pool.call(function) == 1
        module.write(2)
        assert pool.call(function) == 2

    @pytest.mark.parametrize("how", ["name", "attribute", "import"])
    def test_a_module_that_was_imported_by_another(
        self,
        python_pool: Callable[..., ProcessPool],
        module: Edited,
        other: Edited,
        how: str,
    ) -> None:
        source = {
            "name": f"from {module.name} import f\ndef g(): return f()\n",
            "attribute": f"import {module.name} as m\ndef g(): return m.f()\n",
            "import": f"import {module.name}\ndef g(): return 1\n",
        }
        other.path.write_text(source[how])
        pool = python_pool()
        function = other.load().g
        assert pool.call(function) == 1
        module.write(2)
        if how == "import":
            assert pool.call(module.load().f) == 2, "it was read before its first use"
        else:
            assert pool.call(function) == 2

    def test_what_a_preloaded_module_imports(
        self, python_pool: Callable[..., ProcessPool], module: Edited, other: Edited
    ) -> None:
        other.path.write_text(f"import {module.name}\n")
        pool = python_pool(worker={"preload": [other.name]})
        pool.wait_ready()
        module.write(2)
        assert pool.call(module.load().f) == 2

    def test_a_cached_function(
        self, python_pool: Callable[..., ProcessPool], module: Edited
    ) -> None:
        pool = python_pool()
        module.path.write_text("import functools\n@functools.cache\ndef f(): return 1\n")
        f = module.load().f
        assert pool.call(f) == 1
        module.write(2)
        assert pool.call(f) == 2

    def test_an_unedited_module_renews_nobody(
        self, python_pool: Callable[..., ProcessPool], module: Edited
    ) -> None:
        pool = python_pool()
        f, pid = module.load().f, pool.call(functions.pid)
        assert [pool.call(f) for _ in range(100)] == [1] * 100
        assert pool.call(functions.pid) == pid

    def test_never(self, python_pool: Callable[..., ProcessPool], module: Edited) -> None:
        pool = python_pool(worker={"reload": "never"})
        f = module.load().f
        assert pool.call(f) == 1
        module.write(2)
        assert pool.call(f) == 1

    def test_a_preloaded_module(
        self, python_pool: Callable[..., ProcessPool], module: Edited
    ) -> None:
        pool = python_pool(worker={"preload": [module.name]})
        f = module.load().f
        module.write(2)
        assert pool.call(f) == 2, "the workers had read it before its first use"

    def test_what_runs_is_finished_by_the_old_code(
        self, python_pool: Callable[..., ProcessPool], module: Edited, tmp_path: Path, gate: Any
    ) -> None:
        pool = python_pool(2)
        pool.wait_ready()
        waiting = pool.submit(functions.wait_at, str(gate.path))
        gate.await_arrival()
        f = module.load().f
        assert pool.call(f) == 1
        module.write(2)
        assert pool.call(f) == 2
        gate.open()
        assert waiting.result() == "passed"


class TestHandler:
    def test_the_next_use_has_the_new_code(
        self, python_pool: Callable[..., ProcessPool], module: Edited
    ) -> None:
        pool = python_pool(2, worker={"handler": f"{module.name}:f"})
        for value in range(1, 5):
            module.write(value)
            assert pool.call(0) == value
            assert pool.map(range(9)) == [value] * 9

    def test_edited_before_the_first_use(
        self, python_pool: Callable[..., ProcessPool], module: Edited
    ) -> None:
        pool = python_pool(worker={"handler": f"{module.name}:f"})
        module.write(2)
        assert pool.submit(0).result() == 2

    def test_never(self, python_pool: Callable[..., ProcessPool], module: Edited) -> None:
        pool = python_pool(worker={"handler": f"{module.name}:f", "reload": "never"})
        module.write(2)
        assert pool.call(0) == 1

    @pytest.mark.parametrize("attribute", ["f", "g"])
    def test_a_function_of_another_module(
        self,
        python_pool: Callable[..., ProcessPool],
        module: Edited,
        other: Edited,
        attribute: str,
    ) -> None:
        other.path.write_text(f"from {module.name} import f\ndef g(x): return f(x)\n")
        pool = python_pool(worker={"handler": f"{other.name}:{attribute}"})
        for value in range(1, 4):
            module.write(value)
            assert pool.call(0) == value

    def test_many_modules_with_long_names(
        self, python_pool: Callable[..., ProcessPool], module: Edited, tmp_path: Path
    ) -> None:
        folder = tmp_path / ("n" * 200)
        folder.mkdir()
        for n in range(150):
            (folder / f"many_{n}.py").touch()
        (folder / "all_of_them.py").write_text("".join(f"import many_{n}\n" for n in range(150)))
        pool = python_pool(
            worker={
                "handler": f"{module.name}:f",
                "preload": ["all_of_them"],
                "path": [str(tmp_path), str(folder)],
            }
        )
        assert pool.call(0) == 1
        module.write(2)
        assert pool.call(0) == 2
