"""Some thousand simulated histories; a process of its own loads the product for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
COUNT = 1000


def test_every_history_comes_to_its_end() -> None:
    command = [sys.executable, "-m", "tests.simulation", "--seed", "1", "--count", str(COUNT)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{COUNT} histories" in run.stdout
