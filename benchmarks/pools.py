"""Building the pools of ours that the benchmarks measure, from what their YAML would say."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def python_echo() -> list[str]:
    """The command of an echo under `serve`, for anybody to start."""
    return [sys.executable, str(HERE / "workers" / "echo.py")]


def echo_worker(codec: str = "text", **protocol: Any) -> dict[str, Any]:
    """The `worker:` part for an echo under `serve`; `protocol` are keys of its protocol."""
    return {
        "kind": "command",
        "command": ["python", "workers/echo.py"],
        "cwd": str(HERE),
        "protocol": {"kind": "framed", **protocol},
        "codec": codec,
    }


def command_pool(name: str, worker: dict[str, Any], workers: int, **more: Any) -> Any:
    """A pool of so many of these workers, not yet opened; `more` are other keys of the YAML."""
    from processpool import ProcessPool

    size = {"min": workers, "max": workers}
    return ProcessPool.from_dict({"name": name, "worker": worker, "size": size, **more})


def function_pool(workers: int, **more: Any) -> Any:
    """A pool of so many workers for Python functions, not yet opened."""
    return command_pool("functions", {"kind": "python"}, workers, **more)
