"""`processpool check`: what a file declares, and whether a worker starts."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.cli.pools import make_pool
from processpool.cli.report import ANSWERED, FAILED, complain, say
from processpool.cli.stopping import stoppable
from processpool.cli.summary import describe
from processpool.cli.trying import try_messages
from processpool.config import load_pool
from processpool.config.environment import build_environment
from processpool.config.pools import declared_pools
from processpool.config.yaml_source import read_source
from processpool.errors import ConfigError, WorkerStartFailed
from processpool.factory import build_command
from processpool.wire.framing.oneshot import MESSAGE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from processpool.config import PoolConfig

_ONE = {"size.min": 1, "size.max": 1, "size.spare": 1}


_SHELL_WORDS = {"|", "||", "&&", ";", "&", ">", ">>", "<", "<<", "2>", "2>>", "&>", "2>&1"}
_REDIRECTION = re.compile(r"\d?>{1,2}[&/.\w].*", re.DOTALL)
_SHELLS = {"sh", "bash", "dash", "zsh", "ksh", "fish", "busybox"}


def check_file(
    path: Path,
    pool: str | None,
    overrides: Mapping[str, Any],
    *,
    start: bool,
    messages: Sequence[str] = (),
) -> int:
    """Print what a file declares, and whether its programs are there.

    Args:
        path: the YAML file.
        pool: the one pool to look at; None for all of them.
        overrides: other values for single keys.
        start: start one worker of each pool as well, and end it.
        messages: what one worker of each pool is asked; what passes is shown.

    Returns:
        The exit status.

    Raises:
        ConfigError: it does not declare valid pools; all that is wrong is said at once.
        WorkerStartFailed: a worker cannot be started.
        Stopped: a signal ended the wait for a worker.
    """
    names: list[str | None] = [pool] if pool is not None else _declared(path)
    configs = _load_all(path, names, overrides)
    for config in configs:
        say("\n".join(describe(config)))
    problems = [
        f"{path}: {config.name}: {problem}" for config in configs for problem in _problems(config)
    ]
    for problem in problems:
        complain(problem)
    if problems:
        return FAILED
    good = True
    for config in _load_all(path, names, {**overrides, **_ONE}) if start or messages else []:
        if messages:
            say(config.name)
            with stoppable():
                good = try_messages(config, messages) and good
        else:
            _start_one(config)
    say(f"{path}: {'no problems' if good else 'not all is well'}")
    return ANSWERED if good else FAILED


def _problems(config: PoolConfig) -> Iterator[str]:
    """What keeps a pool from starting, as far as that can be seen without starting it."""
    worker = config.worker
    if worker.kind != "command":
        return
    command = replace(build_command(worker), env=build_environment(worker))
    try:
        command.find()
    except WorkerStartFailed as error:
        yield f"worker.command: {error}"
    if worker.declaration.oneshot is None and any(MESSAGE in word for word in command.argv):
        yield (
            f"worker.command: {MESSAGE} is replaced with protocol: oneshot only, which starts a "
            "process for each message; other programs read messages from their input"
        )
    if os.path.basename(command.argv[0]) in _SHELLS:
        return
    for word in command.argv[1:]:
        if word in _SHELL_WORDS or _REDIRECTION.fullmatch(word):
            yield (
                f"worker.command: {word!r} means something to a shell only, and none runs the "
                "command, so the program gets it as an argument; write [sh, -c, '...'] around it"
            )
            return


def _declared(path: Path) -> list[str | None]:
    """The names of the pools in a file; None for the only one, or for what cannot be read."""
    declared, _ = declared_pools(read_source(path))
    return [each.name for each in declared] if len(declared) > 1 else [None]


def _load_all(
    path: Path, names: list[str | None], overrides: Mapping[str, Any]
) -> list[PoolConfig]:
    configs: list[PoolConfig] = []
    problems: dict[str, None] = {}
    for name in names:
        try:
            configs.append(load_pool(path, pool=name, overrides=overrides))
        except ConfigError as error:
            problems.update(dict.fromkeys(error.problems))
    if problems:
        raise ConfigError("\n".join(problems))
    return configs


def _start_one(config: PoolConfig) -> None:
    began = monotonic()
    with stoppable(), make_pool(config):
        seconds = monotonic() - began
    say(f"{config.name}: a worker was ready after {seconds:.3f} s")
