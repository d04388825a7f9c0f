"""mypy and pyright find what is wrong in `snippets.py`, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SNIPPETS = Path(__file__).with_name("snippets.py")


def run(*command: str) -> str:
    found = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.returncode in (0, 1), found.stdout + found.stderr
    return found.stdout


def mypy() -> set[int]:
    found = run("mypy", "--hide-error-context", "--no-pretty", str(SNIPPETS))
    return {int(line) for line in re.findall(r"snippets\.py:(\d+): error", found)}


def pyright() -> set[int]:
    found = json.loads(run("pyright", "--outputjson", str(SNIPPETS)))
    return {
        one["range"]["start"]["line"] + 1
        for one in found["generalDiagnostics"]
        if one["severity"] == "error"
    }


@pytest.mark.parametrize("checker", [mypy, pyright], ids=["mypy", "pyright"])
def test_the_wrong_lines_are_found(checker) -> None:  # type: ignore[no-untyped-def]
    if find_spec(checker.__name__) is None:
        pytest.skip(f"{checker.__name__} is not installed: pip install -e '.[dev]'")
    lines = SNIPPETS.read_text().splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    assert checker() == wrong
