"""What a worker inherits from the pool's process is one list; each of it is looked at here."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from processpool import ProcessPool
from processpool.engine.inheritance import Environ, inheritance
from tests.cases.conftest import PRELUDE

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tests.cases.conftest import Ran

POOL = {"worker": {"kind": "python"}, "size": {"min": 1, "max": 1}}


def make_pool(size: int = 1, **worker: Any) -> ProcessPool:
    return ProcessPool.from_dict(
        {"worker": {"kind": "python", **worker}, "size": {"min": size, "max": size}}
    )


def test_all_of_it_is_documented() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "inheritance.md"
    listed = page.read_text(encoding="utf-8")
    for what in ("sys.argv", "sys.path", "os.environ", "PYTHONHASHSEED", "recursion limit",
                 "warning", "numpy", "log", "authkey", "resource tracker", "sys.flags", "-X",
                 "current_process()"):  # fmt: skip
        assert what in listed
    assert len(inheritance(Environ(dict))) == 10, "is it in the table of that page, too?"


def test_the_arguments_of_the_program(run: Callable[..., Ran]) -> None:
    ran = run(
        """
        import sys
        if __name__ == "__main__":
            sys.argv.append("added")
            with P() as p: print(p.call(lambda: sys.argv[1:]))
        """,
        "--first",
        "second",
    )
    assert ran.value == ["--first", "second", "added"]


def test_the_environment_is_that_of_the_opening_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASE", "built")
    pool = make_pool()
    monkeypatch.setenv("CASE", "opened")
    with pool:
        first = pool.call(os.getpid), pool.call(os.getenv, "CASE")
        monkeypatch.setenv("CASE", "later")
        pool.restart_worker(1, wait=True)
        successor = pool.call(os.getpid), pool.call(os.getenv, "CASE")
    assert first[1] == successor[1] == "opened"
    assert first[0] != successor[0]


def test_programs_have_the_environment_of_the_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = {"kind": "command", "command": ["sh", "-c", "while read l; do echo $CASE; done"]}
    pool = ProcessPool.from_dict({"worker": {**worker, "protocol": "lines"}, "size": {"max": 1}})
    monkeypatch.setenv("CASE", "opened")
    with pool:
        monkeypatch.setenv("CASE", "later")
        assert pool.call("x") == "opened"


@pytest.mark.parametrize("seed", [None, "random", "7"])
def test_one_hash_seed_for_all(run: Callable[..., Ran], seed: str | None) -> None:
    ran = run(
        """
        if __name__ == "__main__":
            with P(size={"min": 2, "max": 2}) as p:
                p.wait_ready()
                leases = [p.call(hash, "word") for _ in range(2)]
                for worker in p.snapshot().workers: p.restart_worker(worker.id, wait=True)
                p.wait_ready()
                print([{*leases, *(p.map(hash, ["word"] * 40))}, hash("word")])
        """,
        env={} if seed is None else {"PYTHONHASHSEED": seed},
    )
    hashes, parent = ran.value
    assert len(hashes) == 1
    assert (parent in hashes) == (seed == "7")


def test_random_numbers_differ_from_worker_to_worker() -> None:
    random.seed(1)
    drawn = []
    for _ in range(2):
        with make_pool() as pool:
            drawn.append(pool.call(random.random))
    assert len(set(drawn)) == 2


def test_limits_and_warnings() -> None:
    before = sys.getrecursionlimit(), sys.get_int_max_str_digits()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "my .*", UserWarning)
        warnings.simplefilter("error", FutureWarning)
        sys.setrecursionlimit(2345)
        sys.set_int_max_str_digits(5432)
        try:
            with make_pool() as pool:
                assert pool.call(sys.getrecursionlimit) == 2345
                assert pool.call(sys.get_int_max_str_digits) == 5432
                assert pool.call(warnings.warn, "My fault") is None
                with pytest.raises(FutureWarning):
                    pool.call(warnings.warn, "new", FutureWarning)
        finally:
            sys.setrecursionlimit(before[0])
            sys.set_int_max_str_digits(before[1])


def test_how_numpy_deals_with_errors() -> None:
    numpy = pytest.importorskip("numpy")
    with numpy.errstate(divide="raise"), make_pool() as pool, pytest.raises(FloatingPointError):
        pool.call(numpy.divide, numpy.ones(1), numpy.zeros(1))


@pytest.mark.parametrize(
    ("flags", "what", "value"),
    [
        (("-O",), "sys.flags.optimize", 1),
        (("-I",), "sys.flags.isolated", 1),
        (
            ("-X", "utf8=1", "-X", "mine=3"),
            "[sys.flags.utf8_mode, sys._xoptions['mine']]",
            [1, "3"],
        ),
        (("-W", "error::FutureWarning"), "sys.warnoptions[-1]", "error::FutureWarning"),
    ],
)
def test_flags_and_options(
    run: Callable[..., Ran], flags: tuple[str, ...], what: str, value: Any
) -> None:
    source = f"""
        import sys
        sys.path.insert(0, {str(os.path.abspath("src"))!r})
        if __name__ == "__main__":
            from processpool import ProcessPool
            with ProcessPool.from_dict({POOL!r}) as p: print(repr(p.call(lambda: {what})))
        """
    assert run(source, flags=flags).value == value


def test_who_the_worker_is(run: Callable[..., Ran]) -> None:
    ran = run(
        """
        import multiprocessing
        def who():
            me = multiprocessing.current_process()
            return me._identity, me.name
        if __name__ == "__main__":
            with P() as p: print([p.call(who), p.call(who)])
        """
    )
    assert ran.value == [((1,), "PoolWorker-1")] * 2


def test_shared_memory_survives_a_worker(run: Callable[..., Ran]) -> None:
    ran = run(
        """
        from multiprocessing.shared_memory import SharedMemory
        def write(name):
            found = SharedMemory(name)
            found.buf[0] += 1
            found.close()
        def make():
            made = SharedMemory(create=True, size=10)
            made.buf[0] = 7
            made.close()
            return made.name
        if __name__ == "__main__":
            with P() as p:
                kept = SharedMemory(create=True, size=10)
                p.call(write, kept.name)
                p.restart_worker(1, wait=True)
                p.call(write, kept.name)
                name = p.call(make)
            theirs = SharedMemory(name)
            again = SharedMemory(kept.name)
            print([kept.buf[0], theirs.buf[0], again.buf[0]])
            for one in (kept, theirs): one.unlink()
        """
    )
    assert ran.value == [2, 7, 2]
    assert "leaked" not in ran.stderr


SOURCE = """
def fail(n):
    return 1 / n  # marked
def source():
    import inspect
    return inspect.getsource(fail)
if __name__ == "__main__":
    with P() as p:
        try: p.call(fail, 0)
        except ZeroDivisionError as error: text = str(error.__cause__)
        print(["1 / n  # marked" in text, p.call(source)])
"""
EXPECTED = [True, "def fail(n):\n    return 1 / n  # marked\n"]


@pytest.mark.parametrize("way", ["-c", "<", "cell", "file", "archive"])
def test_the_source_of_what_is_no_file(way: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(PRELUDE + SOURCE)
    cell = (
        f"import linecache; text = open({str(script)!r}).read();"
        "linecache.cache['<cell 1>'] = (len(text), None, text.splitlines(True), '<cell 1>');"
        "exec(compile(text, '<cell 1>', 'exec'), globals())"
    )
    commands = {
        "-c": ["-c", PRELUDE + SOURCE],
        "<": ["-"],
        "cell": ["-c", cell],
        "file": [str(script)],
        "archive": [str(tmp_path / "script.pyz")],
    }
    with zipfile.ZipFile(tmp_path / "script.pyz", "w") as archive:
        archive.write(script, "__main__.py")
    with script.open() as stdin:
        done = subprocess.run(
            [sys.executable, *commands[way]],
            stdin=stdin, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
    assert not done.returncode, done.stderr
    assert json.loads(json.dumps(eval(done.stdout))) == EXPECTED
