"""The error of an item in a notebook: short, with the worker's source, without this package."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from processpool import AnswerError, WorkerDied

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from processpool import ProcessPool

pytest.importorskip("IPython")

SHELL = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance(colors="NoColor")
for cell in open(sys.argv[1]).read().split("# next"):
    shell.run_cell(cell, store_history=True)
    print("~~~")
"""
CELLS = """
from processpool import ProcessPool
pool = ProcessPool.from_dict({"worker": {"kind": "python"}, "size": {"max": 1}}).open()
# next
def deep(depth, row):
    return deep(depth - 1, row) if depth else float(row["price"])

def parse(row):
    return deep(row["depth"], row)
# next
pool.map(parse, [{"price": "n/a", "depth": 0}])
# next
list(pool.imap(parse, [{"price": "n/a", "depth": 50}]))
# next
pool.submit(parse, {"price": "n/a", "depth": 0}).result()
# next
pool.call(parse, {"price": "n/a", "depth": 0})
# next
list(pool.executor().map(parse, [{"price": "n/a", "depth": 0}]))
# next
pool.close()
"""


def test_it_is_short_and_says_all(tmp_path: Path) -> None:
    cells, script = tmp_path / "cells", tmp_path / "shell.py"
    cells.write_text(CELLS)
    script.write_text(SHELL)
    done = subprocess.run(
        [sys.executable, str(script), str(cells)], capture_output=True, text=True, check=True
    )
    _, _, *errors, last, _ = done.stdout.split("~~~\n")
    assert last == ""
    assert len(errors) == 5
    for error in errors:
        assert len(error.strip().splitlines()) <= 25, error
        assert 'float(row["price"])' in error.partition("In the worker:")[2]
        assert re.search(r"(item 0 of map|call of) 'parse': \{", error)
        assert "ValueError: could not convert" in error
        assert "processpool/" not in error


def test_a_call_of_a_program_says_what_was_asked(make_pool: Callable[..., ProcessPool]) -> None:
    pool = make_pool(["sh", "-c", "read x; exit 3"], worker={"protocol": "lines"})
    for way in ("submit", "call"):
        with pytest.raises((WorkerDied, AnswerError)) as caught:
            pool.submit("hello").result() if way == "submit" else pool.call("hello")
        assert caught.value.__notes__ == ["call of 'sh': 'hello'"]
        assert caught.value.record is not None
        assert caught.value.record.args == ("hello",)


def test_an_item_of_an_executor_says_which_it_is(python_pool: Callable[..., ProcessPool]) -> None:
    with (
        python_pool(1).executor() as executor,
        pytest.raises(ValueError, match="invalid literal") as caught,
    ):
        list(executor.map(int, ["1", "x"]))
    assert caught.value.__notes__ == ["item 1 of map 'int': 'x'"]
