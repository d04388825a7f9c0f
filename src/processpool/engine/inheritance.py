"""What a Python worker inherits from the process that opened its pool: the one list.

All of it is read when a worker starts, so that a successor has what holds then; only the
environment, and what is of the opening thread alone, is read when the pool opens, and stays.
What the operating system hands on to any child is inherited as ever, the working directory aside,
which is the pool's: umask, resource limits, CPU affinity. Everything else is not: what modules
hold, threads, open files, signal handlers, the state of `random`, which each worker seeds itself.
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
"""The variable with the seed of the hashes of str and bytes."""
_LARGEST_SEED = 2**32 - 1


class Environ:
    """What is read when the pool opens, and the same ever after: the environment, above all."""

    def __init__(self, read: Callable[[], dict[str, str]]) -> None:
        self._read = read
        self.numpy_errors: dict[str, str] | None = None
        """How numpy deals with floating-point errors on the thread that opened the pool."""
        self._variables: dict[str, str] | None = None

    def __call__(self) -> dict[str, str]:
        """The variables."""
        if self._variables is None:
            self._variables = self._read()
        return self._variables

    def freeze(self) -> None:
        """The pool opens: on this thread, of which some libraries have a state of their own."""
        self()
        self.numpy_errors = _numpy_errors()


def with_hash_seed(env: dict[str, str]) -> dict[str, str]:
    """The environment with one seed for the hashes of all workers: the parent's, or a new one."""
    if env.get(HASH_SEED, "random") == "random":
        env[HASH_SEED] = os.environ.get(HASH_SEED, "random")
    if env[HASH_SEED] == "random":
        env[HASH_SEED] = str(random.SystemRandom().randint(1, _LARGEST_SEED))
    return env


def inheritance(environ: Environ) -> dict[str, Any]:
    """What a worker inherits, besides `flags()` and the environment."""
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
    """The flags of this interpreter: -O, -W, -I and the like, and every -X option."""
    import subprocess

    found: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    for name, value in sys._xoptions.items():
        option = name if value is True else f"{name}={value}"
        if option not in found:
            found += ["-X", option]
    return found


def search_path() -> list[str]:
    """Where this process looks for modules; '' is its current folder, if that is still there."""
    try:
        here = os.getcwd()
    except OSError:
        here = ""
    return [place for entry in sys.path if (place := entry or here)]


def resource_tracker() -> int | None:
    """The descriptor of the process that frees what `multiprocessing` shares by name.

    Workers that had one of their own would have it free what they only attach to. None where
    nothing is shared.
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
    """The filters of warnings, their categories as (module, name), their patterns as text."""
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
    """A pattern as its text and its flags; a text as it is."""
    return (found.pattern, found.flags) if hasattr(found, "pattern") else found


def _numpy_errors() -> dict[str, str] | None:
    """How numpy deals with floating-point errors, where it is loaded."""
    geterr = getattr(sys.modules.get("numpy"), "geterr", None)
    return None if geterr is None else dict(geterr())


def _log_levels() -> dict[str, int]:
    """The levels that named loggers of this process were given."""
    loggers = dict(logging.root.manager.loggerDict)
    levels = {name: getattr(found, "level", 0) for name, found in loggers.items()}
    return {name: level for name, level in levels.items() if level}


def _authkey() -> bytes | None:
    """What a worker needs to reach the managers of `multiprocessing`, if there may be any."""
    if "multiprocessing.managers" not in sys.modules:
        return None
    from multiprocessing import current_process

    return bytes(current_process().authkey)
