"""A command worker that measures Python source files: size, functions, complexity.

A message is the path of a file, an answer is a JSON object. A file that cannot be read or parsed is
answered with `{"path": ..., "error": ...}`, so that it costs neither the worker nor the run.

The cyclomatic complexity of a piece of code is 1 plus one for each place where its flow divides:
`if`, `elif`, the conditional expression, `for`, `while`, `except`, a `case` other than a bare `_`,
each `for` and `if` of a comprehension, and each `and` or `or`. A function's own code is what stands
in its body without the functions defined there, which are counted by themselves; a lambda belongs
to the code around it. A module's total is the sum over its functions and its top-level code.

Run with paths as arguments, it measures those and ends: one JSON object a line.
"""

from __future__ import annotations

import ast
import json
import sys
import tokenize
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Function = ast.FunctionDef | ast.AsyncFunctionDef

BRANCHES = (
    ast.If,
    ast.IfExp,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
)
UNREADABLE = (OSError, SyntaxError, ValueError, RecursionError, MemoryError)
"""What a file that is missing, wrongly encoded, not Python or nested too deep can raise."""


@dataclass(frozen=True, slots=True)
class Code:
    """A function, or a module's top-level code."""

    name: str
    complexity: int
    lines: int


def measure(path: str) -> dict[str, Any]:
    """Measure one file; what went wrong, under `error`, if it cannot be measured."""
    try:
        with tokenize.open(path) as file:
            source = file.read()
        return {"path": path, **measure_source(source)}
    except UNREADABLE as error:
        return {"path": path, "error": f"{type(error).__name__}: {error}"}


def measure_source(source: str) -> dict[str, Any]:
    """Measure the text of one module."""
    module = ast.parse(source)
    toplevel = _complexity(module)
    functions = list(_functions(module))
    longest = max(functions, key=lambda code: code.lines, default=None)
    knottiest = max(functions, key=lambda code: code.complexity, default=None)
    return {
        "lines": len(source.splitlines()),
        "functions": len(functions),
        "complexity": toplevel + sum(code.complexity for code in functions),
        "max_complexity": knottiest.complexity if knottiest else 0,
        "max_complexity_function": knottiest.name if knottiest else None,
        "longest": longest.lines if longest else 0,
        "longest_function": longest.name if longest else None,
    }


def _functions(module: ast.Module) -> Iterator[Code]:
    """Every function, methods and nested ones included, with its dotted name."""
    waiting: list[tuple[str, ast.AST]] = [("", module)]
    while waiting:
        prefix, node = waiting.pop()
        for child in ast.iter_child_nodes(node):
            name = prefix
            if isinstance(child, Function | ast.ClassDef):
                name = f"{prefix}.{child.name}" if prefix else child.name
            if isinstance(child, Function):
                lines = (child.end_lineno or child.lineno) - child.lineno + 1
                yield Code(name, _complexity(child), lines)
            waiting.append((name, child))


def _complexity(code: ast.Module | Function) -> int:
    """The complexity of a function's or module's own code."""
    total = 1
    waiting: list[ast.AST] = list(code.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, Function):
            continue
        total += _branches(node)
        waiting.extend(ast.iter_child_nodes(node))
    return total


def _branches(node: ast.AST) -> int:
    """In how many more directions the flow can go after `node` itself."""
    match node:
        case ast.BoolOp():
            return len(node.values) - 1
        case ast.comprehension():
            return 1 + len(node.ifs)
        case ast.match_case(pattern=ast.MatchAs(pattern=None), guard=None):
            return 0
        case ast.match_case():
            return 1
    return 1 if isinstance(node, BRANCHES) else 0


def main() -> None:
    """Serve a pool, or measure the files named on the command line."""
    warnings.simplefilter("ignore")  # what a compiler says of the files measured
    if sys.argv[1:]:
        for path in sys.argv[1:]:
            print(json.dumps(measure(path)))
        return
    from processpool import serve

    serve(measure)


if __name__ == "__main__":
    main()
