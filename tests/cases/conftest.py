"""Scripts of users: each test runs one, as only its functions are really those of `__main__`."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from dataclasses import dataclass
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PRELUDE = """
from processpool import ProcessPool

def P(worker=None, **sections):
    declared = {"kind": "python", **(worker or {})}
    return ProcessPool.from_dict({"worker": declared, "size": {"min": 1, "max": 1}, **sections})

"""
DEADLINE = 100


@dataclass(frozen=True)
class Ran:
    """What a script has left: its exit status, and what it printed."""

    status: int
    stdout: str
    stderr: str

    @property
    def value(self) -> Any:
        """What the script printed in its last line, as a literal."""
        assert not self.status, self.stderr
        return ast.literal_eval(self.stdout.splitlines()[-1])


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Ran]:
    """Runs a script: `P` in it makes a Python pool of one worker."""

    def run_script(
        source: str, *arguments: str, flags: tuple[str, ...] = (), **options: Any
    ) -> Ran:
        path = tmp_path / "script.py"
        path.write_text(options.pop("before", PRELUDE) + dedent(source))
        env = {**os.environ, **options.pop("env", {})}
        done = subprocess.run(
            [sys.executable, *flags, str(path), *arguments],
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
            env=env,
            **options,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run_script
