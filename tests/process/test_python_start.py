"""How Python workers start, what they find, and what is said if they do not."""

from __future__ import annotations

import os
import sys
import time
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from processpool import PoolBroken, ProcessPool, WorkerStartFailed
from tests.process.support import eventually, pids
from tests.process.workers import functions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], dict[str, Any]]:
    """Writes a module, and gives the `worker` section with which workers find it."""

    def write_module(name: str, source: str) -> dict[str, Any]:
        (tmp_path / f"{name}.py").write_text(dedent(source))
        return {"path": [str(tmp_path)]}

    return write_module


HANDLER = """
    import os, sys
    print("printed at the import")
    os.write(1, b"and by the descriptor")
    log = []
    def load():
        print("printed by setup")
        log.append("setup")
        return {"model": 7}
    def handle(x, y=0, *, state):
        return x + y + state["model"]
    def plain(x): return [x, *log]
    class Service:
        @staticmethod
        def run(x): return -x
    service = Service()
    class Stateful:
        def __call__(self, x, state): return x * state["model"]
    stateful = Stateful()
    def close(state=None):
        print("closing", state, flush=True)
        open(os.environ["CLOSED"], "a").write(f"{state}\\n")
"""


PLACES = """
    import functools
    def load(): return "loaded"
    def first(state, x, y): return x, y, state
    def middle(x, state, y): return x, y, state
    def last(x, y, state): return x, y, state
    def by_name(x, y, *, state): return x, y, state
    def place_only(x, y, state, /): return x, y, state
    def first_place_only(state, x, y, /): return x, y, state
    def optional(x, y=2, state=None, more=()): return x, y, state
    def rest(x, y, state, *rest): return x, y, state
    def passing(function):
        @functools.wraps(function)
        def call(*args, **kwargs): return function(*args, **kwargs)
        return call
    decorated, decorated_middle, decorated_by_name = map(passing, (last, middle, by_name))
    class Class:
        def __call__(self, x, y, state): return x, y, state
        def method(self, x, state, y): return x, y, state
        @classmethod
        def on_class(cls, state, x, y): return x, y, state
    instance = Class()
    method = instance.method
    filled = functools.partial(lambda _, x, y, state: (x, y, state), 0)
    @functools.wraps(last)
    def supplied(x, y): return last(x, y, state="loaded")
"""


class TestHandler:
    def test_data_in(self, python_pool: Callable[..., ProcessPool], write: Any) -> None:
        worker = write("tasks", HANDLER) | {"handler": "tasks:plain"}
        pool = python_pool(worker=worker)
        assert pool.call(1) == [1]
        assert pool.submit("a").result() == ["a"]
        assert pool.map([1, 2]) == [[1], [2]]
        assert list(pool.imap(iter("ab"))) == [["a"], ["b"]]

    def test_state_and_several_parameters(
        self, python_pool: Callable[..., ProcessPool], write: Any
    ) -> None:
        worker = write("tasks", HANDLER) | {"handler": "tasks:handle", "setup": "tasks:load"}
        pool = python_pool(worker=worker)
        assert pool.call(1) == 8
        assert pool.call(1, y=2) == 10
        assert pool.map([1, 2, 3], [10, 20]) == [18, 29]

    @pytest.mark.parametrize(
        ("handler", "result"), [("tasks:service.run", -3), ("tasks:stateful", 21)]
    )
    def test_what_a_handler_can_be(
        self, python_pool: Callable[..., ProcessPool], write: Any, handler: str, result: int
    ) -> None:
        worker = write("tasks", HANDLER) | {"handler": handler, "setup": "tasks:load"}
        assert python_pool(worker=worker).call(3) == result

    @pytest.mark.parametrize(
        "handler",
        [
            "first", "middle", "last", "by_name", "place_only", "first_place_only", "optional",
            "rest", "decorated", "decorated_middle", "decorated_by_name", "method",
            "Class.on_class", "instance", "filled", "supplied",
        ],
    )  # fmt: skip
    def test_wherever_the_parameter_stands(
        self, python_pool: Callable[..., ProcessPool], write: Any, handler: str
    ) -> None:
        worker = write("placed", PLACES) | {"handler": f"placed:{handler}", "setup": "placed:load"}
        pool = python_pool(worker=worker)
        assert pool.call(1, 2) == (1, 2, "loaded")
        assert pool.map([1, 3], [2, 4]) == [(1, 2, "loaded"), (3, 4, "loaded")]
        if "place" not in handler and handler != "rest":
            assert pool.call(1, y=2) == (1, 2, "loaded")
            assert pool.call(y=2, x=1) == (1, 2, "loaded")

    def test_setup_comes_once_and_first(
        self, python_pool: Callable[..., ProcessPool], write: Any
    ) -> None:
        worker = write("tasks", HANDLER) | {"handler": "tasks:plain", "setup": "tasks:load"}
        pool = python_pool(worker=worker)
        assert pool.map(range(50)) == [[n, "setup"] for n in range(50)]

    def test_setup_without_a_handler(
        self, python_pool: Callable[..., ProcessPool], write: Any
    ) -> None:
        pool = python_pool(worker=write("tasks", HANDLER) | {"setup": "tasks:load"})
        assert pool.call(eval, "__import__('tasks').log") == ["setup"]

    def test_teardown(
        self, python_pool: Callable[..., ProcessPool], write: Any, tmp_path: Path
    ) -> None:
        closed = tmp_path / "closed"
        worker = write("tasks", HANDLER) | {
            "handler": "tasks:plain",
            "setup": "tasks:load",
            "teardown": "tasks:close",
            "env": {"CLOSED": str(closed)},
        }
        pool = python_pool(2, worker=worker)
        pool.wait_ready()
        exits: list[Any] = []
        pool.events(exits.append)
        pool.close()
        assert closed.read_text() == "{'model': 7}\n" * 2
        said = [event.stderr for event in exits if type(event).__name__ == "WorkerExited"]
        assert all("closing {'model': 7}" in text for text in said)

    def test_what_is_printed_before_the_first_item_is_for_the_log(
        self, python_pool: Callable[..., ProcessPool], write: Any
    ) -> None:
        worker = write("tasks", HANDLER) | {"preload": ["tasks"], "setup": "tasks:load"}
        pool = python_pool(worker=worker)
        future = pool.submit(functions.inc, 1)
        assert (future.result(), future.stdout, future.stderr) == (2, "", "")
        log = pool.snapshot().workers[0].stderr
        for text in ("printed at the import", "and by the descriptor", "printed by setup"):
            assert text in log

    def test_the_wrong_form(self, python_pool: Callable[..., ProcessPool], write: Any) -> None:
        pool = python_pool(worker=write("tasks", HANDLER) | {"handler": "tasks:plain"})
        for method in (pool.map, pool.imap, pool.imap_unordered):
            with pytest.raises(TypeError, match=rf"has a handler: write pool\.{method.__name__}\("):  # type: ignore[union-attr]
                method(len, ["abc"])
        with pytest.raises(TypeError, match=r"plain\(\) takes"):
            pool.call(len, "abc")


class TestWorld:
    def test_path_and_preload(self, python_pool: Callable[..., ProcessPool], write: Any) -> None:
        pool = python_pool(worker=write("found", "x = 3") | {"preload": ["found", "wave"]})
        assert pool.call(eval, "__import__('sys').modules['found'].x") == 3
        assert pool.call(eval, "'wave' in __import__('sys').modules")
        assert pool.call(eval, "__import__('sys').path")[0] == str(
            pool.config.worker.path[0]  # type: ignore[union-attr]
        )

    def test_the_path_is_that_of_the_pool(self, python_pool: Callable[..., ProcessPool]) -> None:
        here = [entry or os.getcwd() for entry in sys.path]
        assert python_pool().call(eval, "__import__('sys').path") == here

    def test_cwd(self, python_pool: Callable[..., ProcessPool], tmp_path: Path) -> None:
        pool = python_pool(worker={"cwd": str(tmp_path)})
        assert pool.call(os.getcwd) == str(tmp_path.resolve())

    def test_environment(
        self, python_pool: Callable[..., ProcessPool], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FROM_OUTSIDE", "1")
        monkeypatch.setenv("HIDDEN", "1")

        def seen(pool: ProcessPool) -> list[str | None]:
            return [pool.call(os.getenv, name) for name in ("MINE", "FROM_OUTSIDE", "HIDDEN")]

        mine = {"env": {"MINE": "2"}}
        assert seen(python_pool(worker=mine)) == ["2", "1", "1"]
        assert seen(python_pool(worker=mine | {"inherit_env": False})) == ["2", None, None]
        listed = mine | {"inherit_env": ["FROM_OUTSIDE"]}
        assert seen(python_pool(worker=listed)) == ["2", "1", None]

    @pytest.mark.parametrize(
        ("worker", "seen"),
        [
            ({}, "1"),
            ({"threads": 3}, "3"),
            ({"threads": None}, "9"),
            ({"threads": 3, "env": {"OMP_NUM_THREADS": "5"}}, "5"),
        ],
    )
    def test_threads(
        self,
        python_pool: Callable[..., ProcessPool],
        monkeypatch: pytest.MonkeyPatch,
        worker: dict[str, Any],
        seen: str,
    ) -> None:
        monkeypatch.setenv("OMP_NUM_THREADS", "9")
        assert python_pool(worker=worker).call(os.getenv, "OMP_NUM_THREADS") == seen

    def test_what_a_worker_does_not_import(self, python_pool: Callable[..., ProcessPool]) -> None:
        loaded = set(python_pool().call(eval, "list(__import__('sys').modules)"))
        assert not loaded & {
            "pydantic", "yaml", "ipywidgets", "logging", "cloudpickle", "subprocess", "socket",
            "ctypes", "typing", "tempfile", "processpool.api.pool",
        }  # fmt: skip

    def test_standard_input_is_empty(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        assert pool.call(eval, "__import__('sys').stdin.read()") == ""
        with pytest.raises(EOFError):
            pool.call(input)


class TestReadiness:
    def test_many_preloads_with_long_paths(
        self, python_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        folder = tmp_path / ("x" * 100) / ("y" * 100)
        folder.mkdir(parents=True)
        names = [f"module_{number}" for number in range(60)]
        for name in names:
            (folder / f"{name}.py").write_text("")
        pool = python_pool(worker={"path": [str(folder)], "preload": names})
        assert pool.call(abs, -1) == 1
        assert pool.call(eval, "'module_59' in __import__('sys').modules")

    def test_a_child_of_the_setup_may_outlive_it(
        self, python_pool: Callable[..., ProcessPool], write: Any
    ) -> None:
        source = """
            import os, signal
            def setup():
                if not os.fork():
                    signal.pause()
        """
        pool = python_pool(worker=write("forking", source) | {"setup": "forking:setup"})
        assert pool.call(abs, -1) == 1

    def test_something_else_in_its_place(
        self, python_pool: Callable[..., ProcessPool], write: Any
    ) -> None:
        source = """
            import os, signal, sys
            def setup():
                for fd in range(3, 100):
                    try:
                        os.write(fd, b"\\4\\0\\0\\0what")
                    except OSError:
                        pass
                signal.pause()
        """
        pool = python_pool(
            opened=False, worker=write("garbling", source) | {"setup": "garbling:setup"}
        )
        with pytest.raises(WorkerStartFailed, match="should have said that it is ready"):
            pool.open()

    def test_few_open_files(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(limits={"open_files": 64})
        future = pool.submit(functions.print_all, 1)
        assert future.result() == 1
        assert future.stdout == "python 1\ndescriptor 1\nchild 1\n"


class TestFailures:
    @pytest.mark.parametrize(
        ("source", "worker", "says"),
        [
            ("", {"handler": "broken:missing"}, "has no attribute 'missing'"),
            ("", {"preload": ["no_such_module_at_all"]}, "No module named 'no_such_module_at_all'"),
            ("import no_such_2", {"handler": "broken:f"}, "No module named 'no_such_2'"),
            ("def f(: pass", {"handler": "broken:f"}, "SyntaxError"),
            ("def s(): raise KeyError('my key')", {"setup": "broken:s"}, "KeyError: 'my key'"),
            ("def s(): raise SystemExit('no licence')", {"setup": "broken:s"}, "no licence"),
            ("def s(): raise SystemExit(3)", {"setup": "broken:s"}, "exited with status 3"),
            ("def s(): raise SystemExit(0)", {"setup": "broken:s"}, "SystemExit: 0"),
            ("import sys; sys.exit()", {"preload": ["broken"]}, "in <module>"),
            ("x = 1", {"handler": "broken:x"}, "TypeError: broken:x is no function: it is of type"),
            ("x = []", {"setup": "broken:x"}, "TypeError: broken:x is no function"),
            ("x = None", {"teardown": "broken:x"}, "TypeError: broken:x is no function"),
            ("import os\ndef s(): os._exit(0)", {"setup": "broken:s"}, "exited with status 0"),
            ("import os\ndef s(): os.abort()", {"setup": "broken:s"}, "SIGABRT"),
            ("import os\ndef s(): os.kill(os.getpid(), 9)", {"setup": "broken:s"}, "by SIGKILL"),
            ("import os\ndef s(): os.kill(os.getpid(), 15)", {"setup": "broken:s"}, "by SIGTERM"),
            ("def s(): raise KeyboardInterrupt", {"setup": "broken:s"}, "KeyboardInterrupt"),
            ("import os\nos.abort()", {"preload": ["broken"]}, "Fatal Python error: Aborted"),
        ],
    )  # fmt: skip
    def test_a_worker_that_does_not_start(
        self,
        python_pool: Callable[..., ProcessPool],
        write: Any,
        source: str,
        worker: dict[str, Any],
        says: str,
    ) -> None:
        pool = python_pool(2, opened=False, worker=write("broken", source) | worker)
        began = time.monotonic()
        with pytest.raises(WorkerStartFailed) as caught, pool:
            pass
        assert says in str(caught.value)
        if "Error" in says or "Exit" in says:  # what is wrong is in the user's code alone
            assert "bootstrap.py" not in str(caught.value)
        assert time.monotonic() - began < 10

    def test_one_that_is_killed_once_while_it_starts_costs_nothing(
        self, python_pool: Callable[..., ProcessPool], write: Any, tmp_path: Path
    ) -> None:
        source = f"""
            import os, pathlib
            def setup():
                try:
                    pathlib.Path({str(tmp_path / "flag")!r}).touch(exist_ok=False)
                except FileExistsError:
                    return
                os.kill(os.getpid(), 9)
        """
        pool = python_pool(worker=write("unlucky", source) | {"setup": "unlucky:setup"})
        assert pool.call(abs, -1) == 1

    def test_setup_that_hangs(self, python_pool: Callable[..., ProcessPool], write: Any) -> None:
        source = """
            import sys, threading
            def hang():
                print("waiting for the licence server", file=sys.stderr)
                threading.Event().wait()
        """
        worker = write("slow", source) | {"setup": "slow:hang"}
        pool = python_pool(opened=False, worker=worker, timeouts={"start": 0.7})
        with pytest.raises(WorkerStartFailed, match=r"not ready within 0\.7 s") as caught:
            pool.open()
        assert "waiting for the licence server" in str(caught.value)

    def test_a_missing_folder(
        self, python_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        pool = python_pool(opened=False, worker={"cwd": str(tmp_path / "missing")})
        with pytest.raises(WorkerStartFailed, match="does not exist"):
            pool.open()

    def test_it_breaks_later(
        self, python_pool: Callable[..., ProcessPool], write: Any, tmp_path: Path
    ) -> None:
        worker = write("tasks", "def f(x): return x") | {"handler": "tasks:f", "reload": "never"}
        pool = python_pool(
            worker=worker, restart={"max_failures": 2, "within": "10s", "backoff": [0.01, 0.02]}
        )
        assert pool.call(1) == 1
        write("tasks", "raise RuntimeError('mended badly')")
        pool.restart_worker(1)
        eventually(lambda: str(pool.state) == "broken")
        with pytest.raises(PoolBroken, match="mended badly"):
            pool.call(1)
        write("tasks", "def f(x): return x + 10")
        pool.reset()
        assert pool.call(1) == 11

    def test_a_teardown_that_fails_harms_nobody(
        self, python_pool: Callable[..., ProcessPool], write: Any
    ) -> None:
        worker = write("tasks", "def bad(): 1 / 0\ndef f(x): return x")
        pool = python_pool(worker=worker | {"handler": "tasks:f", "teardown": "tasks:bad"})
        assert pool.call(1) == 1
        pool.restart_worker(pool.snapshot().workers[0].id, wait=True)
        assert eventually(lambda: pool.call(2)) == 2
        eventually(lambda: len(pids(pool)) == 1)
