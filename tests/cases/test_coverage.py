"""Coverage measures what runs in workers, in each of the ways in which it is set up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from tests.cases.conftest import PRELUDE

if TYPE_CHECKING:
    from pathlib import Path

COVERED = """
def in_a_worker(x):
    if x == 1:
        return "one"
    return "many"

def nowhere():
    return 0
"""
"""Line 4 and line 5 are for a worker alone."""
SCRIPT = (
    PRELUDE
    + """
import covered
if __name__ == "__main__":
    with P() as p: print(p.map(covered.in_a_worker, [1, 2]))
"""
)
TEST = (
    PRELUDE
    + "import covered\n"
    + "".join(
        f"def test_{n}():\n    with P() as p: assert p.call(covered.in_a_worker, {n})\n"
        for n in (1, 2)
    )
)
KILLED = SCRIPT.replace(
    "print(p.map(covered.in_a_worker, [1, 2]))",
    "print(p.map(covered.in_a_worker, [1, 2]), p.map(leave, [1], on_error='return'))",
).replace(
    "import covered\n", "import covered, os, signal\ndef leave(_): os.kill(os.getpid(), 15)\n"
)
LINES = [2, 3, 4, 5, 7]
"""Of the covered file, those that are run."""
SETTINGS = "[run]\nparallel = true\nsource = covered\n"


class Project:
    """A folder with a module that is covered, and a script that has workers run it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "covered.py").write_text(COVERED)
        (folder / "test_covered.py").write_text(TEST)
        (folder / "script.py").write_text(SCRIPT)

    def python(self, *arguments: str, env: dict[str, str] | None = None) -> str:
        """Run Python in the folder."""
        known = {name: value for name, value in os.environ.items() if "COV" not in name}
        done = subprocess.run(
            [sys.executable, *arguments], cwd=self.folder, env={**known, **(env or {})},
            capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        assert not done.returncode, done.stdout + done.stderr
        return done.stdout

    def lines(self, *, combine: bool = True) -> list[int]:
        """The lines of the module that were run."""
        if combine:
            self.python("-m", "coverage", "combine")
        self.python("-m", "coverage", "json", "-o", "found.json")
        found = json.loads((self.folder / "found.json").read_text())
        return list(found["files"]["covered.py"]["executed_lines"])


@pytest.fixture
def project(tmp_path: Path) -> Project:
    for module in ("coverage", "pytest_cov"):
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed: pip install -e '.[test]'")
    return Project(tmp_path)


def patched(project: Project, settings: str = "") -> None:
    (project.folder / ".coveragerc").write_text(f"{SETTINGS}patch = subprocess\n{settings}")


def test_by_the_variable_that_names_the_settings(project: Project) -> None:
    (project.folder / "settings").write_text(SETTINGS)
    (project.folder / "sitecustomize.py").write_text("import coverage\ncoverage.process_startup()")
    here = {"PYTHONPATH": str(project.folder), "COVERAGE_PROCESS_START": "settings"}
    assert project.python("script.py", env=here) == "['one', 'many']\n"
    assert project.lines() == LINES


@pytest.mark.parametrize("core", ["ctrace", "pytrace", "sysmon"])
def test_by_a_patch_of_subprocesses(project: Project, core: str) -> None:
    if core == "sysmon" and sys.version_info < (3, 12):
        pytest.skip("this Python has no sys.monitoring")
    patched(project)
    project.python("-m", "coverage", "run", "script.py", env={"COVERAGE_CORE": core})
    assert project.lines() == LINES


@pytest.mark.parametrize("concurrency", ["thread", "multiprocessing", "multiprocessing,thread"])
def test_with_its_kinds_of_concurrency(project: Project, concurrency: str) -> None:
    patched(project, f"concurrency = {concurrency}\n")
    project.python("-m", "coverage", "run", "script.py")
    assert project.lines() == LINES


def test_of_a_worker_that_is_terminated(project: Project) -> None:
    patched(project, "sigterm = true\n")
    (project.folder / "script.py").write_text(KILLED)
    assert "WorkerDied" in project.python("-m", "coverage", "run", "script.py")
    assert project.lines() == LINES


@pytest.mark.parametrize("processes", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_under_pytest(project: Project, processes: tuple[str, ...]) -> None:
    patched(project)
    plugins = ("-p", "pytest_cov.plugin", "-p", "xdist.plugin")
    out = project.python(
        "-m", "pytest", "-q", "--cov=covered", *plugins, *processes, "test_covered.py",
        env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )  # fmt: skip
    assert "2 passed" in out
    assert project.lines(combine=False) == LINES


def test_what_it_says_of_the_parent_stays_right(project: Project) -> None:
    """Without a word on subprocesses, the parent's own lines are counted, and no worker is."""
    (project.folder / ".coveragerc").write_text("[run]\nsource = covered\n")
    project.python("-m", "coverage", "run", "script.py")
    assert project.lines(combine=False) == [2, 7]
