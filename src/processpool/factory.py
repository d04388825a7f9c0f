"""From a validated declaration to a pool: what the names in the YAML become.

The factory is the only module that knows both the configuration and the engine.
"""

from __future__ import annotations

import os
import random
import sys
from functools import partial
from typing import TYPE_CHECKING

from processpool.engine.local import Engine
from processpool.engine.worker import Worker
from processpool.forms import MessageForm
from processpool.process import Command, Process
from processpool.protocols.codec import make_codec
from processpool.protocols.framing import make_framing
from processpool.scheduler import Policy

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.config import CommandWorkerConfig, PoolConfig, PythonWorkerConfig

INTERPRETERS = ("python", "python3")
"""As the first word of a command, these mean the interpreter that runs the pool."""


def build_policy(config: PoolConfig) -> Policy:
    """The numbers that the scheduler works by."""
    worker = config.worker
    return Policy(
        min=config.size.min,
        max=config.size.max,
        spare=config.size.spare,
        window=worker.protocol.pipeline if worker.kind == "command" else 1,
        start=config.timeouts.start,
        idle=config.timeouts.idle,
        exit=config.timeouts.exit,
        max_failures=config.restart.max_failures,
        failures_within=config.restart.within,
        backoff=config.restart.backoff,
        jitter=lambda: random.uniform(0.9, 1.1),
    )


def build_engine(config: PoolConfig) -> tuple[Engine, MessageForm]:
    """The engine of a pool, and the form in which it takes work."""
    if config.worker.kind != "command":
        raise NotImplementedError("pools of Python functions are not there yet")
    worker = config.worker
    command = build_command(worker)
    codec = make_codec(worker.codec)
    frame = partial(make_framing, worker.protocol.kind, worker.protocol.max_message)

    def launch(number: int) -> Worker:
        return _launch(number, command, frame, codec)

    engine = Engine(build_policy(config), launch, str(command), config.queue.max_pending)
    return engine, MessageForm(frame(), codec)


def build_command(worker: CommandWorkerConfig) -> Command:
    """The command line of a command worker, with its environment."""
    program, *arguments = worker.command
    if program in INTERPRETERS:
        program = sys.executable
    env = build_environment(worker)
    env["PROCESSPOOL_CODEC"] = worker.codec
    return Command((program, *arguments), str(worker.cwd), env)


def build_environment(worker: CommandWorkerConfig | PythonWorkerConfig) -> dict[str, str]:
    """The environment of a worker: what it inherits, then its own."""
    inherit = worker.inherit_env
    if inherit is True:
        env = dict(os.environ)
    elif inherit is False:
        env = {}
    else:
        env = {name: os.environ[name] for name in inherit if name in os.environ}
    env.update({name: secret.get_secret_value() for name, secret in worker.env.items()})
    return env


def _launch(
    number: int, command: Command, frame: Callable[[], object], codec: object
) -> Worker:
    """Start one worker, with a pipe on which `serve` says that it is ready."""
    ready, theirs = os.pipe()
    try:
        env = {**command.env, "PROCESSPOOL_READY_FD": str(theirs)}
        process = Process(Command(command.argv, command.cwd, env), pass_fds=(theirs,))
    except BaseException:
        os.close(ready)
        raise
    finally:
        os.close(theirs)
    return Worker(number, process, frame(), codec, ready)
