"""Modules that are edited while a pool is open."""

from __future__ import annotations

import importlib
import sys
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


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Edited]:
    monkeypatch.syspath_prepend(str(tmp_path))
    edited = Edited(tmp_path, "edited_module")
    edited.write(1)
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
