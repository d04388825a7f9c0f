"""How long errors are in a notebook, as a real kernel sends them to it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("ipykernel")

MOST_OF_AN_ITEM, MOST_OF_AN_INTERRUPT, MOST_OF_A_START = 25, 15, 15
PATIENCE = 60
SETUP = '''
import time
from processpool import ProcessPool, ProcessPoolExecutor

pool = ProcessPool(max_workers=2).open()
shell = ProcessPool(
    command=["sh", "-c", "while read x; do [ $x = die ] && exit 3; sleep $x; echo $x; done"],
    protocol="lines", max_workers=1,
).open()

def deep(depth, row):
    return deep(depth - 1, row) if depth else float(row["price"])

def parse(row):
    return deep(row["depth"], row)

def nap(seconds):
    time.sleep(seconds)

def begun():
    """The test interrupts from here on."""
    print("begun", flush=True)

def slow_input():
    begun()
    time.sleep(60)
    yield 0

BAD = {"price": "n/a", "depth": 0}
WORSE = {"price": "n/a", "depth": 50}

def tell(pool):
    """Have `begun` called when one more worker has something to do; others may be at it still."""
    import threading
    def at_work():
        rows = pool.snapshot(resources=False).workers
        return {row.id for row in rows if str(row.state) in ("busy", "leased")}
    def watch(before):
        while at_work() <= before:
            time.sleep(0.05)
        begun()
    threading.Thread(target=watch, args=(at_work(),), daemon=True).start()
'''
ITEMS = {
    "map": "pool.map(parse, [BAD])",
    "deep": "pool.map(parse, [WORSE])",
    "imap": "for answer in pool.imap(parse, [BAD]):\n    print(answer)",
    "submit": "pool.submit(parse, BAD).result()",
    "call": "pool.call(parse, BAD)",
    "executor": "list(pool.executor().map(parse, [BAD]))",
    "own executor": "with ProcessPoolExecutor(1) as own:\n    list(own.map(parse, [BAD]))",
    "aimap": "async for answer in pool.aimap(parse, [BAD]):\n    print(answer)",
    "acall": "await pool.acall(parse, BAD)",
    "functions": "def main():\n    rows = [WORSE]\n    return pool.map(parse, rows)\n\nmain()",
    "program": "shell.map(['0', 'die'])",
}
INTERRUPTED = {
    "map": "tell(pool)\npool.map(nap, [60] * 4)",
    "imap": "tell(pool)\nfor answer in pool.imap(nap, [60] * 4):\n    print(answer)",
    "result": "tell(pool)\npool.submit(nap, 60).result()",
    "call": "tell(pool)\npool.call(nap, 60)",
    "executor": "tell(pool)\nlist(pool.executor().map(nap, [60] * 4))",
    "program": "tell(shell)\nshell.map(['60'] * 4)",
    "input": "pool.map(nap, slow_input())",
    "block": "with ProcessPool(max_workers=1) as own:\n    tell(own)\n    own.map(nap, [60])",
    "aimap": "tell(pool)\nasync for answer in pool.aimap(nap, [60] * 4):\n    print(answer)",
    "acall": "tell(pool)\nawait pool.acall(nap, 60)",
}
STARTS = {
    "missing program": 'ProcessPool(command=["no-such-program"], protocol="lines").open()',
    "missing script": 'with ProcessPool(command=["python", "none.py"]) as own:\n    own.map([1])',
    "missing folder": 'ProcessPool(command=["cat"], cwd="/no/such", protocol="lines").open()',
    "wrong key": 'ProcessPool.from_dict({"worker": {"kind": "command", "comand": ["cat"]}})',
    "closed": "own = ProcessPool(max_workers=1).open()\nown.close()\nown.map(nap, [1])",
}


class Kernel:
    """A kernel, and what it says of cells."""

    def __init__(self) -> None:
        from jupyter_client.manager import start_new_kernel

        self.manager, self.client = start_new_kernel(startup_timeout=PATIENCE)

    def run(self, code: str, *, interrupt: bool = False) -> list[str]:
        """Run a cell; return the lines of its error. It is interrupted when it says `begun`."""
        number = self.client.execute(code)
        error: list[str] = []
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") != number:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream" and "begun" in content["text"] and interrupt:
                self.manager.interrupt_kernel()
            if kind == "error":
                error = plain("\n".join(content["traceback"])).split("\n")
            if kind == "status" and content["execution_state"] == "idle":
                return error

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()


def plain(text: str) -> str:
    """A text without its colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    import warnings

    with warnings.catch_warnings():  # those of the libraries are not ours to mend
        warnings.simplefilter("ignore")
        kernel = Kernel()
        try:
            assert kernel.run(SETUP) == []
            yield kernel
        finally:
            kernel.close()


def check(lines: list[str], most: int, *parts: str) -> None:
    text = "\n".join(lines)
    assert lines, "there is no error"
    assert len(lines) <= most, text
    assert not [line for line in lines if line.startswith("File ") and "/processpool/" in line]
    for part in parts:
        assert part in text


@pytest.mark.parametrize("way", ITEMS)
def test_the_error_of_an_item_is_short(kernel: Kernel, way: str) -> None:
    lines = kernel.run(ITEMS[way])
    own: tuple[Any, ...] = ("ValueError: could not convert", 'float(row["price"])', "parse")
    check(lines, MOST_OF_AN_ITEM, *(("WorkerDied", "'die'") if way == "program" else own))


@pytest.mark.parametrize("way", INTERRUPTED)
def test_an_interrupt_is_short_and_ends_the_cell(kernel: Kernel, way: str) -> None:
    lines = kernel.run(INTERRUPTED[way], interrupt=True)
    name = "CancelledError" if way in ("aimap", "acall") else "KeyboardInterrupt"
    check(lines, MOST_OF_AN_INTERRUPT, name)


@pytest.mark.parametrize("way", STARTS)
def test_a_pool_that_cannot_start_is_short(kernel: Kernel, way: str) -> None:
    check(kernel.run(STARTS[way]), MOST_OF_A_START)
