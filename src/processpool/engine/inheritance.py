"""The list of what a Python worker inherits from the process that opened its pool.

It is read when a worker starts, so a replacement has the values of that time. Only the environment,
and settings of the opening thread, are read once, when the pool opens. What the operating system
passes on to child processes is inherited as well (umask, resource limits, CPU affinity), except for
the current folder, which is that of the configuration. Nothing else is inherited: no module
variables, threads, open files, signal handlers, or state of `random`, which each worker seeds
itself.
"""

from __future__ import annotations

import logging
import os
import random
import sys
import warnings
from typing import TYPE_CHECKING, Any

from processpool.wire.python import layout

if TYPE_CHECKING:
    from collections.abc import Callable

HASH_SEED = "PYTHONHASHSEED"
"""The environment variable with the seed of the hashes of str and bytes."""
_LARGEST_SEED = 2**32 - 1


class Environ:
    """The values that are read once, when the pool opens: the environment, above all."""

    def __init__(self, read: Callable[[], dict[str, str]]) -> None:
        self._read = read
        self.numpy_errors: dict[str, str] | None = None
        """numpy's `errstate` on the thread that opened the pool; None if numpy is not loaded."""
        self._variables: dict[str, str] | None = None

    def __call__(self) -> dict[str, str]:
        """Return the environment variables."""
        if self._variables is None:
            self._variables = self._read()
        return self._variables

    def freeze(self) -> None:
        """Read all values; called on the thread that opens the pool."""
        self()
        self.numpy_errors = _numpy_errors()


def with_hash_seed(env: dict[str, str]) -> dict[str, str]:
    """Return the environment with one hash seed for all workers: the parent's, or a random one."""
    if env.get(HASH_SEED, "random") == "random":
        env[HASH_SEED] = os.environ.get(HASH_SEED, "random")
    if env[HASH_SEED] == "random":
        env[HASH_SEED] = str(random.SystemRandom().randint(1, _LARGEST_SEED))
    return env


def inheritance(environ: Environ) -> dict[str, Any]:
    """Return what a worker inherits, apart from `flags()` and the environment."""
    return {
        "path": search_path(),
        "argv": [*getattr(sys, "argv", [""])],
        "recursion_limit": sys.getrecursionlimit(),
        "int_digits": sys.get_int_max_str_digits(),
        "warnings": _warning_filters(),
        "numpy_errors": environ.numpy_errors,
        "log_level": min(max(logging.root.level, 0), layout.WORD),
        "log_levels": _log_levels(),
        "authkey": _authkey(),
        "tracker": resource_tracker(),
    }


def flags() -> list[str]:
    """Return the options of this interpreter's command line: -O, -W, -I, -X and the like."""
    import subprocess

    found: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    for name, value in sys._xoptions.items():
        option = name if value is True else f"{name}={value}"
        if option not in found:
            found += ["-X", option]
    return found


def search_path() -> list[str]:
    """Return `sys.path`, with '' replaced by the current folder."""
    try:
        here = os.getcwd()
    except OSError:
        here = ""
    return [place for entry in sys.path if (place := entry or here)]


def resource_tracker() -> int | None:
    """Return the descriptor of multiprocessing's resource tracker; None if it is not needed.

    With a tracker of its own, a worker would free shared memory that it has only attached to.
    """
    known = sys.modules.get("multiprocessing.resource_tracker")
    if known is None:
        return None
    tracker = known._resource_tracker
    if tracker._fd is None and "multiprocessing.shared_memory" not in sys.modules:
        return None
    descriptor: int = tracker.getfd()
    return descriptor


def _warning_filters() -> list[tuple[Any, ...]]:
    """Return the warning filters, with categories as (module, name) and patterns as text."""
    return [
        (
            action,
            _pattern(message),
            (category.__module__, category.__qualname__),
            _pattern(module),
            line,
        )
        for action, message, category, module, line in list(warnings.filters)
        if isinstance(category, type)
    ]


def _pattern(found: Any) -> Any:
    """Return a compiled pattern as its text and flags; a text unchanged."""
    return (found.pattern, found.flags) if hasattr(found, "pattern") else found


def _numpy_errors() -> dict[str, str] | None:
    """Return numpy's `errstate` on this thread; None if numpy is not loaded."""
    geterr = getattr(sys.modules.get("numpy"), "geterr", None)
    return None if geterr is None else dict(geterr())


def _log_levels() -> dict[str, int]:
    """Return the levels that were set on named loggers of this process."""
    loggers = dict(logging.root.manager.loggerDict)
    levels = {name: getattr(found, "level", 0) for name, found in loggers.items()}
    return {name: level for name, level in levels.items() if level}


def _authkey() -> bytes | None:
    """Return the authkey for managers of `multiprocessing`; None if these are not loaded."""
    if "multiprocessing.managers" not in sys.modules:
        return None
    from multiprocessing import current_process

    return bytes(current_process().authkey)
