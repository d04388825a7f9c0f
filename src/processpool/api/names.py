"""What a map is called if nobody says so: as the function or the program that it runs."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from processpool.wire.python.functions import short_name

if TYPE_CHECKING:
    from processpool.config import PoolConfig
    from processpool.wire.python.functions import Task

_INTERPRETERS = ("python", "node", "php", "ruby", "perl", "bash", "sh", "Rscript", "env")


def name_of(config: PoolConfig, task: Task | None) -> str:
    """Return the name of what a pool does with an item."""
    worker = config.worker
    if worker.kind == "command":
        return _name_of_command(worker.command)
    if worker.handler is not None:
        return worker.handler.rpartition(":")[2]
    return "" if task is None else short_name(task.function)


def secrets_of(config: PoolConfig) -> tuple[str, ...]:
    """Return the values of the workers' own environment, which must not show anywhere."""
    return tuple(value.get_secret_value() for value in config.worker.env.values())


def _name_of_command(command: tuple[str, ...]) -> str:
    """The program; of an interpreter, the script that it runs."""
    program = PurePath(command[0]).name
    if program.startswith(_INTERPRETERS):
        for argument in command[1:]:
            if argument in ("-c", "-e", "-r"):  # a script that is no file
                break
            if not argument.startswith("-"):
                return PurePath(argument).name
    return program
