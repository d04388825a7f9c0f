"""The PHP library that this package descends from, where it is to be had.

It is no part of this repository. Clone https://github.com/ssigwart/process-pool and say where it is
in the environment variable PHP_POOL, or put it into the folder `CACHE`.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

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
