"""What the package says of itself to pip, pytest, pre-commit and type checkers."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

import processpool

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_version_is_said_once_more_in_the_package() -> None:
    assert PROJECT["version"] == processpool.__version__


def test_type_checkers_find_the_types() -> None:
    assert files("processpool").joinpath("py.typed").is_file()
    assert "Typing :: Typed" in PROJECT["classifiers"]


def test_the_plugin_is_an_entry_point_under_its_own_name() -> None:
    plugins = PROJECT["entry-points"]["pytest11"]
    assert plugins == {"processpool.pytest_plugin": "processpool.pytest_plugin"}


def test_every_python_that_is_tested_is_named() -> None:
    tested = re.search(r"^PYTHONS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert tested is not None
    named = [each.rpartition(" ")[2] for each in PROJECT["classifiers"] if ":: 3." in each]
    assert named == tested[1].split()[: len(named)]


class TestPreCommitHook:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())

    @pytest.mark.parametrize(
        ("name", "taken"),
        [
            ("pool.yaml", True),
            ("configs/pools.yml", True),
            ("resize.pool.yaml", True),
            ("my-pool.yaml", True),
            ("docker-compose.yaml", False),
            ("carpool.yaml", False),
            ("pool.yaml.txt", False),
        ],
    )
    def test_its_files(self, name: str, taken: bool) -> None:
        assert bool(re.search(self.hook["files"], name)) is taken

    def test_its_entry(self, tmp_path: Path) -> None:
        (tmp_path / "pool.yaml").write_text("worker: {kind: python}\n")
        (tmp_path / "bad.yaml").write_text("worker: {kind: pyton}\n")
        program, *words = shlex.split(self.hook["entry"])
        command = [str(Path(sys.executable).with_name(program)), *words]
        good = subprocess.run([*command, "pool.yaml"], cwd=tmp_path, capture_output=True)
        assert good.returncode == 0
        bad = subprocess.run([*command, "pool.yaml", "bad.yaml"], cwd=tmp_path, capture_output=True)
        assert bad.returncode == 2
        assert b"bad.yaml:1:16: " in bad.stderr
