"""Errors of items come back as what they are, and say where and why."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from os import _exit
from typing import TYPE_CHECKING

import pytest

from processpool import PoolClosed, ProcessPool, ProcessPoolExecutor, WorkerDied

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cases.conftest import Ran


def test_exceptions_whose_init_takes_something_else(run: Callable[..., Ran]) -> None:
    ran = run(
        """
        import threading

        class Keyword(Exception):
            def __init__(self, message, *, status):
                super().__init__(message)
                self.status = status
        class System(OSError):
            def __init__(self, message, *, status):
                super().__init__(5, message, "a file")
                self.status = status
        class Slotted(Exception):
            __slots__ = ("x",)
            def __init__(self, *, x): super().__init__("slotted"); self.x = x
        class Made(Exception):
            def __new__(cls, *, q): it = super().__new__(cls, q); it.q = q; return it
            def __init__(self, *, q): pass
        class Locked(Exception):
            def __init__(self, message, lock): super().__init__(message); self.lock = lock

        def fail(which):
            if which == "keyword": raise Keyword("bad", status=404)
            if which == "system": raise System("bad", status=404)
            if which == "slotted": raise Slotted(x=3)
            if which == "made": raise Made(q=4)
            if which == "locked": raise Locked("bad", threading.Lock())
            if which == "group": raise ExceptionGroup("g", [Keyword("in", status=1), ValueError(2)])
            try: raise Keyword("first", status=3)
            except Keyword as error: raise ValueError("second") from error

        def caught(which):
            try: p.call(fail, which)
            except Exception as error: return error

        if __name__ == "__main__":
            with P() as p:
                keyword, system = caught("keyword"), caught("system")
                group = caught("group")
                print([
                    type(keyword) is Keyword, str(keyword), keyword.status,
                    type(system) is System, system.errno, system.filename, system.status,
                    caught("slotted").x, caught("made").q, caught("locked").lock[:9],
                    type(group.exceptions[0]) is Keyword, group.exceptions[0].status,
                    caught("chain").__context__.status,
                ])
        """
    )
    assert ran.value == [
        True, "bad", 404, True, 5, "a file", 404, 3, 4, "<unlocked", True, 1, 3,
    ]  # fmt: skip


def test_where_in_a_value_is_what_cannot_be_pickled(run: Callable[..., Ran]) -> None:
    ran = run(
        """
        import sqlite3
        from functools import partial
        conn = sqlite3.connect(":memory:")

        class Holder:
            __slots__ = ("held",)
            def __init__(self): self.held = {"rows": [1, conn]}

        def result(): return {"rows": [1, 2, {"conn": sqlite3.connect(":memory:")}]}
        def uses(): return conn
        def around(): return (lambda inner: lambda: inner)(conn)

        def notes(action):
            try: action()
            except TypeError as error: return error.__notes__[0]

        if __name__ == "__main__":
            with P() as p:
                print([
                    notes(lambda: p.call(result)),
                    notes(lambda: p.call(uses)),
                    notes(lambda: p.call(around())),
                    notes(lambda: p.map(len, [Holder()])),
                ])
        """
    )
    of = ": sqlite3.Connection."
    result, uses, around, item = ran.value
    assert result == f"The result, of type dict, cannot be sent back: ['rows'][2]['conn']{of}"
    assert uses == f"The function cannot be sent to a worker: the global 'conn' of uses{of}"
    assert f"the variable 'inner' around around.<locals>.<lambda>.<locals>.<lambda>{of}" in around
    assert item == f"The item cannot be sent to a worker: .held['rows'][1]{of}"


def test_where_it_is_in_other_kinds_of_values(run: Callable[..., Ran]) -> None:
    ran = run(
        """
        import collections, functools, threading

        class Listed(list): pass

        def results():
            lock = threading.Lock()
            mine, deep, knot = Listed([1]), lock, []
            mine.held = lock
            for _ in range(90): deep = [deep]
            knot += [knot, [knot, lock]]
            return [collections.deque([1, lock]), functools.partial(print, 1, end=lock),
                    ValueError("x", lock), mine, knot, deep]

        def place(number):
            try: p.call(lambda: results()[number])
            except TypeError as error:
                return error.__notes__[0].partition("sent back: ")[2].partition(": ")[0]

        if __name__ == "__main__":
            with P() as p: print([place(number) for number in range(6)])
        """
    )
    *others, deep = ran.value
    assert others == ["[1]", ".keywords['end']", ".args[1]", ".held", "[1][1]"]
    assert deep.startswith("[0][0][0]")
    assert deep.endswith("[0][0][0]")
    assert len(deep) < 250


@pytest.mark.parametrize("what", ["breakpoint()", "input()"])
def test_asking_in_an_item_says_that_there_is_no_terminal(
    run: Callable[..., Ran], what: str
) -> None:
    ran = run(
        f"""
        def asks(): {what}
        if __name__ == "__main__":
            with P() as p:
                try: p.call(asks)
                except BaseException as error: print([str(error), *error.__notes__])
        """
    )
    assert "no terminal" in " ".join(ran.value)


def test_modules_that_workers_would_not_find(run: Callable[..., Ran], tmp_path: Path) -> None:
    plugin = tmp_path / "plugins" / "plug.py"
    plugin.parent.mkdir()
    plugin.write_text(
        "K = 4\nclass T:\n    def __init__(self, v): self.v = v\n"
        "    def up(self): return self.v + K\ndef helper(x): return x + K\n"
        "def f(x): return helper(x)\n"
    )
    ran = run(
        f"""
        import importlib.util, sys, types
        from functools import partial

        def load(name):
            spec = importlib.util.spec_from_file_location(name, {str(plugin)!r})
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            spec.loader.exec_module(module)
            return module

        plug = load("plug")
        made = types.ModuleType("made")
        exec("def g(x): return x * 3", vars(made))
        sys.modules["made"] = made

        def uses(x): return plug.f(x)

        if __name__ == "__main__":
            with P() as p:
                print([
                    p.call(str, plug.T(1)) and p.call(plug.f, 1), p.call(partial(plug.f, 2)),
                    p.call(plug.T(3).up), type(p.call(plug.T, 3)) is plug.T, p.call(uses, 5),
                    p.call(made.g, 2),
                ])
        """
    )
    assert ran.value == [5, 6, 7, True, 9, 6]


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    (tmp_path / "fast.py").write_text("def h(x): return x.upper()\n")
    return tmp_path


@pytest.mark.parametrize(
    "command", [["-m", "processpool"], ["-c", "from processpool.cli import main; main()"]]
)
def test_a_handler_beside_the_yaml_is_found(
    beside: Path, command: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = beside / "pool.yaml"
    path.write_text("worker: {kind: python, handler: 'fast:h'}\n")
    ran = subprocess.run(
        [sys.executable, *command, "run", str(path)],
        input="abc\n", text=True, capture_output=True, timeout=100, check=False,
        cwd=tmp_path_factory.mktemp("elsewhere"),
    )  # fmt: skip
    assert ran.stdout.strip() == "ABC", ran.stderr


def test_a_handler_that_is_nowhere_says_where_it_was_looked_for(beside: Path) -> None:
    path = beside / "pool.yaml"
    path.write_text("worker: {kind: python, handler: 'slow:h'}\n")
    with pytest.raises(Exception, match=r"No module named 'slow'[^√]*worker\.path"):
        ProcessPool.from_yaml(path).open()


def test_a_dead_worker_is_a_broken_pool_to_executors() -> None:
    with ProcessPoolExecutor(1) as executor:
        with pytest.raises(BrokenProcessPool) as died:
            executor.submit(_exit, 3).result()
        assert isinstance(died.value, WorkerDied)
        assert died.value.exitcode == 3
        assert died.value.record is not None
        with pytest.raises(BrokenProcessPool):
            list(executor.map(_exit, [3]))
        assert executor.submit(int, 3).result() == 3


def test_a_closed_pool_is_a_runtime_error() -> None:
    pool = ProcessPool.from_dict({"worker": {"kind": "python"}, "size": {"min": 1, "max": 1}})
    with pytest.raises(RuntimeError) as closed:
        pool.call(len, "a")
    assert isinstance(closed.value, PoolClosed)
