"""The PHP library that this package descends from, where it is to be had.

It is no part of this repository. Clone https://github.com/ssigwart/process-pool and say where it is
in the environment variable PHP_POOL, or put it into the folder `CACHE`.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.harness import Figures

CACHE = Path.home() / ".cache" / "processpool" / "process-pool"
WORKERS = Path(__file__).resolve().parent / "workers"
STAND_IN = Path(__file__).resolve().parents[1] / "tests" / "process" / "workers" / "seed_worker.php"
"""A worker of our own that speaks as the library's workers do."""


def library() -> Path | None:
    """The folder of the library's sources, or None."""
    for folder in (Path(os.environ.get("PHP_POOL") or CACHE), CACHE):
        if (folder / "src" / "ProcessPool.php").is_file():
            return folder.resolve() / "src"
    return None


def php_worker() -> list[str]:
    """The command of a PHP worker that echoes: the library's own, or else the stand-in."""
    php = shutil.which("php")
    if php is None:
        raise NotImplementedError("there is no php on this machine")
    sources = library()
    if sources is None:
        return [php, str(STAND_IN)]
    return [php, str(WORKERS / "php_echo.php"), str(sources)]


def measure(mode: str, in_flight: int, seconds: float, size: int) -> Figures:
    """Drive the library's pool: messages a second, the median time, and its CPU time for each.

    Args:
        mode: `held`, one message after the other through the same processes, or `released`, a
            process started and released for each message.
        in_flight: how many processes have a message at a time.
        seconds: for how long.
        size: bytes of a message's text.
    """
    sources = library()
    if sources is None:
        raise NotImplementedError(
            "set PHP_POOL to a clone of https://github.com/ssigwart/process-pool"
        )
    command = php_worker()
    driver = str(WORKERS / "php_pool.php")
    options = ["exec " + shlex.join(command), mode, str(in_flight), str(seconds), str(size)]
    result = subprocess.run(
        [command[0], driver, str(sources), *options], capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise RuntimeError((result.stdout + result.stderr).strip() or "the driver failed")
    figures: Figures = json.loads(result.stdout)
    return figures
