"""Change core/ at random, one place at a time, and see whether its unit tests notice.

    python -m tests.mutation --count 300 --seed 1 [--module exits]

Each mutant lives in a forked process of its own, in memory only. What no test notices is printed.
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.util
import os
import random
import resource
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from importlib.machinery import ModuleSpec

CORE = Path(__file__).parents[1] / "src/processpool/core"
WITHOUT_DECISIONS = {"__init__", "events", "snapshot", "replies", "outcome"}
TESTS = Path(__file__).parent / "core"
SLOWEST = "test_scheduler_states.py"
WITHOUT_PLUGINS = ["-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(TESTS)]
CPU_LIMIT = 20
"""Seconds that the tests of one mutant may compute: one that never ends is noticed."""
LIMIT = 120
"""Seconds that they may take."""
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn,
    ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip

Change = tuple[int, str, "Callable[[], None]"]
"""Where, what, and how it is done."""


def changes(tree: ast.Module) -> Iterator[Change]:
    """Every change that can be made to this tree, and makes a difference."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    last = [node.body[-1] for node in functions if ast.unparse(node.body[-1]) == "return None"]
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.If | ast.While | ast.IfExp):
            yield node.lineno, "negate the condition", lambda n=node: _negate(n)  # type: ignore[misc]
        if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
            yield node.lineno, "swap the comparison", lambda n=node: _swap(n.ops, 0)  # type: ignore[misc]
        if isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(node.op) in SWAPS:
            yield node.lineno, "swap the operator", lambda n=node: _swap_op(n)  # type: ignore[misc]
        if isinstance(node, ast.Constant) and type(node.value) in (int, float, bool):
            yield node.lineno, f"change {node.value!r}", lambda n=node: _shift(n)  # type: ignore[misc]
        if isinstance(node, ast.BoolOp):
            yield node.lineno, "forget the last operand", lambda n=node: n.values.pop()  # type: ignore[misc]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield node.lineno, "forget the not", lambda n=node: _affirm(n)  # type: ignore[misc]
        for statements in _blocks(node):
            for at, statement in enumerate(statements):
                if _can_go(statement) and statement not in last:
                    yield (
                        statement.lineno,
                        "drop the statement",
                        lambda s=statements, a=at: s.__setitem__(a, _nothing(s[a])),  # type: ignore[misc]
                    )


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    if isinstance(node, ast.Module | ast.ClassDef):
        return
    for name in ("body", "orelse"):
        block = getattr(node, name, None)
        if isinstance(block, list):
            yield block


def _can_go(statement: ast.stmt) -> bool:
    docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return not docstring and isinstance(
        statement, ast.Expr | ast.Assign | ast.AugAssign | ast.Delete | ast.Continue | ast.Return
    )


def _nothing(statement: ast.stmt) -> ast.stmt:
    return ast.copy_location(ast.Pass(), statement)


def _negate(node: ast.If | ast.While | ast.IfExp) -> None:
    node.test = ast.copy_location(ast.UnaryOp(ast.Not(), node.test), node.test)


def _affirm(node: ast.UnaryOp) -> None:
    node.op = ast.Not()
    node.operand = ast.copy_location(ast.UnaryOp(ast.Not(), node.operand), node.operand)


def _swap(ops: list[ast.cmpop], at: int) -> None:
    ops[at] = SWAPS[type(ops[at])]()  # type: ignore[call-overload]


def _swap_op(node: ast.BinOp | ast.BoolOp | ast.AugAssign) -> None:
    node.op = SWAPS[type(node.op)]()  # type: ignore[assignment]


def _shift(node: ast.Constant) -> None:
    value = node.value
    node.value = not value if isinstance(value, bool) else value + 1  # type: ignore[operator]


def mutant(path: Path, which: int) -> tuple[str, ast.Module]:
    """The change of this number, in words, and the module with it."""
    tree = ast.parse(path.read_text())
    line, what, change = list(changes(tree))[which]
    change()
    ast.fix_missing_locations(tree)
    source = path.read_text().splitlines()[line - 1].strip()
    return f"{path.name}:{line}: {what}: {source}", tree


class Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a changed tree."""

    def __init__(self, name: str, tree: ast.Module) -> None:
        self.name, self.tree = name, tree

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self) if name == self.name else None

    def exec_module(self, module: object) -> None:
        exec(compile(self.tree, self.name, "exec"), module.__dict__)


def is_noticed(path: Path, tree: ast.Module) -> bool:
    """True if a test notices the change: the quick ones are asked first."""
    quick = [str(test) for test in sorted(TESTS.glob("test_*.py")) if test.name != SLOWEST]
    return fails(path, tree, quick) or fails(path, tree, [str(TESTS / SLOWEST)])


def fails(path: Path, tree: ast.Module, tests: list[str]) -> bool:
    """Run tests on a mutant, in a process of its own; True if they fail, or never end."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT, CPU_LIMIT))
            sys.meta_path.insert(0, Mutated(f"processpool.core.{path.stem}", tree))
            code = pytest.main(["-x", "-q", *WITHOUT_PLUGINS, *tests])
        finally:
            os._exit(int(code))
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status != 0
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--module")
    parser.add_argument("--seconds", type=float, default=3600.0, help="stop after this time")
    options = parser.parse_args()
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    paths = [p for p in sorted(CORE.glob("*.py")) if p.stem not in WITHOUT_DECISIONS]
    if options.module:
        paths = [CORE / f"{options.module}.py"]
    places = [(p, n) for p in paths for n in range(len(list(changes(ast.parse(p.read_text())))))]
    random.Random(options.seed).shuffle(places)
    places = places[: options.count]
    end, made, lived = time.monotonic() + options.seconds, 0, 0
    for path, which in places:
        if time.monotonic() > end:
            break
        made += 1
        what, tree = mutant(path, which)
        if not is_noticed(path, tree):
            lived += 1
            print("lived:", what, flush=True)
    print(f"{made - lived} of {made} were noticed")


if __name__ == "__main__":
    main()
