"""Simulated histories of pools; processes of their own load the product for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COUNT = 20_000


@pytest.mark.timeout(600)
def test_every_history_comes_to_its_end() -> None:
    options = ["--seed", "1", "--count", str(COUNT), "--jobs", "2"]
    command = [sys.executable, "-m", "tests.simulation", *options]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{COUNT} histories" in run.stdout
