"""A pool of each program of the table."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import ExitStack
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from processpool import ProcessPool
from tests.process.conftest import _leave_nothing_behind, make_pool
from tests.programs.table import PROGRAMS, Program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["_leave_nothing_behind", "make_pool"]


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> Program:
    """Each program that is installed."""
    program = PROGRAMS[request.param]
    missing = program.command[0] != "python" and shutil.which(program.command[0]) is None
    if missing or (program.module and find_spec(program.module) is None):
        pytest.skip(f"missing: {program.install}")
    return program


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder under git, with two files."""
    (tmp_path / "a.txt").write_text("first\nsecond\n")
    (tmp_path / "b.txt").touch()
    names = {
        f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "two files"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True, env={**os.environ, **names})
    return tmp_path


@pytest.fixture
def make(program: Program, folder: Path) -> Iterator[Callable[..., ProcessPool]]:
    """Makes open pools of the program; they are ended with the test."""
    with ExitStack() as stack:

        def make(size: int = 1, **sections: Any) -> ProcessPool:
            worker = {
                "kind": "command",
                "command": program.command,
                "protocol": program.protocol,
                "codec": program.codec,
                "stdout": program.stdout,
                "env": program.env,
                "cwd": str(folder),
            }
            sizes = {"min": size, "max": size}
            pool = ProcessPool.from_dict({"worker": worker, "size": sizes, **sections})
            stack.callback(pool.kill)
            return pool.open()

        yield make
