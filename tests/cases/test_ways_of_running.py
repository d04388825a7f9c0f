"""Ways in which programs are run that use pools: none of them needs anything special."""

from __future__ import annotations

import subprocess
import sys
import zipapp
from typing import TYPE_CHECKING

import pytest

from tests.cases.conftest import PRELUDE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cases.conftest import Ran

MAIN = (
    PRELUDE
    + """
class Twice:
    def __init__(self, value): self.value = 2 * value

def twice(value): return Twice(value).value

if __name__ == "__main__":
    with P() as p: print(p.map(twice, [1, 2]))
"""
)


def python(*arguments: str, cwd: Path, stdin: str = "") -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        input=stdin, capture_output=True, text=True, timeout=100, check=False, cwd=cwd,
    )  # fmt: skip
    assert not done.returncode, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("way", ["-m", "zipapp", "stdin", "-c"])
def test_main_modules(tmp_path: Path, way: str) -> None:
    package = tmp_path / "pkg"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(MAIN)
    zipapp.create_archive(package, tmp_path / "app.pyz")
    ways = {"-m": ["-m", "pkg"], "zipapp": ["app.pyz"], "stdin": ["-"], "-c": ["-c", MAIN]}
    assert python(*ways[way], cwd=tmp_path, stdin=MAIN if way == "stdin" else "") == "[2, 4]"


@pytest.mark.parametrize("mode", ["prepend", "append", "importlib"])
def test_import_modes_of_pytest(tmp_path: Path, mode: str) -> None:
    (tmp_path / "test_inner.py").write_text(
        PRELUDE + "def helper(x): return x + 1\ndef inc(x): return helper(x)\n"
        "def test_it():\n    with P() as p: assert p.map(inc, [1]) == [2]\n"
    )
    out = python("-m", "pytest", "-q", "-p", "no:cacheprovider", f"--import-mode={mode}",
                 "test_inner.py", cwd=tmp_path)  # fmt: skip
    assert "1 passed" in out


def test_callers_that_take_a_map(run: Callable[..., Ran]) -> None:
    ran = run(
        """
        import functools

        def minimise(function, population, workers=map):
            "As SciPy's differential_evolution takes one."
            return min(workers(function, population))

        class Sampler:
            "As emcee's takes a pool."
            def __init__(self, function, pool): self.function, self.pool = function, pool
            def run(self, walkers): return list(self.pool.map(self.function, walkers))

        class Wrapped:
            "As numba's dispatchers: callable, with a function inside that has caches of its own."
            def __init__(self, function):
                functools.update_wrapper(self, function)
                self.f = function
            def __call__(self, x): return self.f(x)
            def __reduce__(self): return Wrapped, (self.__wrapped__,)

        def square(x): return x * x
        wrapped = Wrapped(lambda x: x + 1)

        if __name__ == "__main__":
            with P() as p:
                print([minimise(square, [3, -2], p.map), Sampler(square, p).run([1, 2]),
                       p.map(wrapped, [1])])
        """
    )
    assert ran.value == [4, [1, 4], [2]]


def test_arrays_that_arrive_can_be_written_to(run: Callable[..., Ran]) -> None:
    pytest.importorskip("numpy")
    ran = run(
        """
        import numpy as np
        def change(it): it[0] = 7; return it
        if __name__ == "__main__":
            with P() as p:
                small, large = p.call(change, np.zeros(3)), p.call(change, np.zeros(1_000_000))
                small[1] = large[1] = 8
                print([small.tolist(), large[:3].tolist()])
        """
    )
    assert ran.value == [[7.0, 8.0, 0.0]] * 2


def test_the_signals_of_programs_are_as_at_a_start(run: Callable[..., Ran]) -> None:
    ran = run(
        """
        import signal
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        if __name__ == "__main__":
            program = ["sh", "-c", "while read x; do grep SigIgn /proc/$$/status; done"]
            worker = {"kind": "command", "command": program, "protocol": "lines"}
            with P(worker) as p: ignored = int(p.call("x").split()[1], 16)
            print([ignored >> (signal.SIGPIPE - 1) & 1])
        """
    )
    assert ran.value == [0]
