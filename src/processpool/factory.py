"""Construction of an engine from a validated declaration.

Along with the engine come the parts of its pool's call form: how the pool takes work.
"""

from __future__ import annotations

import json
import logging
import os
import random
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from processpool.config.environment import (
    command_environment,
    own_environment,
    python_environment,
)
from processpool.core.policy import MemoryPolicy, Policy
from processpool.engine.identity import Identity
from processpool.engine.inheritance import Environ, with_hash_seed
from processpool.engine.inherited import Inherited, pack_setup
from processpool.engine.launcher import CommandLauncher, Orders, PythonLauncher
from processpool.engine.local import Engine
from processpool.engine.workers.trial import TRIAL
from processpool.system.cgroups import memory_limit
from processpool.system.cpus import usable_cpus
from processpool.system.limits import Limits
from processpool.system.process import Command
from processpool.wire.codecs import make_codec
from processpool.wire.framing.declared import make_framing
from processpool.wire.python.functions import Function, Functions

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.config import CommandWorkerConfig, PoolConfig, PythonWorkerConfig
    from processpool.engine.backend import Backend
    from processpool.wire.codecs import Codec
    from processpool.wire.python.sources import Sources

log = logging.getLogger("processpool")

INTERPRETERS = ("python", "python3")
"""The names that, as the first word of a command, mean the interpreter that runs the pool."""
INLINE_VARIABLE = "PROCESSPOOL_INLINE"
"""The environment variable that has all pools of Python functions run in this process."""
BACKOFF_JITTER = 0.1
"""The fraction by which back-offs vary."""
PYTHON_WINDOW = 8
"""The most single items of a Python worker; those it has not begun can be recalled."""


class Framer(Protocol):
    """The part of a framing that encodes requests."""

    def encode(self, data: bytes) -> tuple[bytes, ...]:
        """Return the buffers of one request; raise `ProtocolError` if it cannot be encoded."""

    def encode_many(self, payloads: list[bytes]) -> list[tuple[bytes, ...]] | None:
        """Return the buffers of many requests; None if they are to be encoded one by one."""


class MessageParts(NamedTuple):
    """The encoding of messages, for a command pool."""

    framing: Framer
    codec: Codec


class HandlerParts(NamedTuple):
    """The check for changed source files, for a Python pool with a handler."""

    renew: Callable[[], None]


class CallParts(NamedTuple):
    """The cache of functions, and the check for changed source files, for a pool of functions."""

    functions: Functions
    renew: Callable[[Function], None]


Parts = MessageParts | HandlerParts | CallParts
Build: TypeAlias = "Callable[[PoolConfig, Callable[[], object] | None], tuple[Backend, Parts]]"
"""A function that builds an engine, and the parts of its pool's call form."""


def build_engine(
    config: PoolConfig, setup: Callable[[], object] | None = None, client: Any = None
) -> tuple[Backend, Parts]:
    """Build the engine of a pool, and the parts of its call form.

    `setup` is called once in each Python worker before its first item, instead of `worker.setup`.
    With `client`, one of Dask, the workers are on the nodes of its cluster.

    Raises:
        TypeError: `config` is not a `PoolConfig`, or `client` is no client.
        ConfigError: the cluster is not named.
        ImportError: Dask is not installed.
    """
    from processpool.config import PoolConfig

    if not isinstance(config, PoolConfig):
        raise TypeError(
            f"a pool is made from a PoolConfig, got {type(config).__qualname__}; for a dictionary "
            "there is ProcessPool.from_dict(data), for a file ProcessPool.from_yaml(path), for a "
            "number of workers ProcessPool(max_workers=4)"
        )
    is_inline = config.inline or os.environ.get(INLINE_VARIABLE, "0") not in ("", "0")
    if is_inline and config.worker.kind == "python":
        return build_inline(config, setup)
    if client is not None or config.backend.kind == "dask":
        return _build_cluster(config, setup, client)
    if config.worker.kind == "command":
        return _build_command_engine(config, config.worker)
    return _build_python_engine(config, config.worker, setup)


def _build_command_engine(config: PoolConfig, worker: CommandWorkerConfig) -> tuple[Backend, Parts]:
    command = build_command(worker)
    codec, protocol = _codec_of(worker), worker.declaration
    policy = build_policy(config, window=worker.protocol.window, ahead=worker.protocol.ahead)
    env = Environ(partial(command_environment, worker))
    launcher = CommandLauncher(
        command,
        env,
        protocol,
        codec,
        build_limits(config),
        Identity(config.name, worker.each),
        terminal=worker.stdout == "pty",
        traced=config.telemetry.otel,
    )
    engine = Engine(policy, launcher, env, str(command), config.queue.max_pending, config.name)
    return engine, MessageParts(make_framing(protocol), codec)


def _codec_of(worker: CommandWorkerConfig) -> Codec:
    return make_codec(worker.codec if worker.declaration.rpc is None else "jsonrpc")


def _build_python_engine(
    config: PoolConfig, worker: PythonWorkerConfig, setup: Callable[[], object] | None
) -> tuple[Backend, Parts]:
    env = Environ(lambda: with_hash_seed(python_environment(worker)))
    packed, inherited = (worker.setup, Inherited()) if setup is None else pack_setup(setup)
    orders = Orders(
        handler=worker.handler,
        setup=packed,
        teardown=worker.teardown,
        path=tuple(map(str, worker.path)),
        preload=worker.preload,
    )
    identity, limits = Identity(config.name, worker.each), build_limits(config)
    launcher = PythonLauncher(str(worker.cwd), env, orders, limits, identity, inherited)
    policy = build_policy(config, window=PYTHON_WINDOW, takes_back=True)
    engine = Engine(policy, launcher, env, str(launcher), config.queue.max_pending, config.name)
    if worker.handler is not None:
        renew_handler = partial(_renew_handler, engine, launcher.sources, worker.reload)
        return engine, HandlerParts(renew_handler)
    functions = Functions(launcher.sources, log.warning)

    def renew(function: Function) -> None:
        if worker.reload == "auto" and functions.changed_source(function):
            engine.steering.renew()

    return engine, CallParts(functions, renew)


def _renew_handler(engine: Engine, sources: Sources, reload: str) -> None:
    """Replace the workers if a source file of the handler was edited; called before its use."""
    if reload == "auto" and sources.changed(sources.named):
        engine.steering.renew()


def build_inline(
    config: PoolConfig, setup: Callable[[], object] | None = None
) -> tuple[Backend, Parts]:
    """Build an engine that runs the functions in this process; otherwise as `build_engine`.

    Raises:
        TypeError: the pool runs a command.
    """
    from processpool.engine.fake_requests import LiveFunctions
    from processpool.engine.inline import InlineBackend, InlineSetting

    worker = config.worker
    if worker.kind == "command":
        raise TypeError(
            "only Python functions can run in this process, and this pool has a command"
        )
    orders = {
        "handler": worker.handler,
        "setup": setup or worker.setup,
        "teardown": worker.teardown,
        "path": tuple(map(str, worker.path)),
        "preload": worker.preload,
    }
    own = partial(own_environment, worker)
    setting = InlineSetting(orders, str(worker.cwd), own, Identity(config.name, worker.each))
    policy = build_policy(config, window=1)
    engine = InlineBackend(policy, config.queue.max_pending, config.name, setting)
    if worker.handler is not None:
        return engine, HandlerParts(lambda: None)
    return engine, CallParts(LiveFunctions(), lambda _: None)


def _build_cluster(
    config: PoolConfig, setup: Callable[[], object] | None, client: Any
) -> tuple[Backend, Parts]:
    """Build an engine whose workers are on the nodes of a Dask cluster."""
    try:
        from processpool.backends.declared import declared_backend
    except ImportError as error:
        raise ImportError(
            f"{error}: a pool on a cluster needs Dask; install it with "
            "pip install 'processpool[dask]'"
        ) from error
    if setup is not None:
        raise TypeError(
            "on a cluster, workers are set up by worker.setup, the name of a function that the "
            "nodes can import"
        )
    worker, policy = config.worker, build_policy(config, window=1)
    engine = declared_backend(config, policy, client, f"{__name__}:open_node")
    if worker.kind == "command":
        return engine, MessageParts(make_framing(worker.declaration), _codec_of(worker))
    if worker.handler is not None:
        return engine, HandlerParts(lambda: None)
    return engine, CallParts(Functions(None, log.warning), lambda _: None)


def open_node(declaration: str, workers: int) -> tuple[Backend, int]:
    """Open the engine of a node's pool; return it and the most workers that it has.

    Raises:
        WorkerStartFailed: no worker could be started there.
    """
    from processpool.config import PoolConfig

    data = json.loads(declaration)
    most = workers or usable_cpus()
    size = {name: min(number, most) for name, number in data["size"].items()}
    config = PoolConfig.model_validate({**data, "size": {**size, "max": most}})
    engine, _ = build_engine(config)
    engine.open(min(1, config.size.min), config.timeouts.exit)
    return engine, most


def build_fake(
    handler: Callable[..., Any] | None,
    config: PoolConfig,
    setup: Callable[[], object] | None = None,
) -> tuple[Backend, Parts]:
    """Build a fake engine, which calls `handler` in this process; otherwise as `build_engine`.

    Raises:
        TypeError: the pool needs a handler, or takes functions and must not have one.
    """
    from processpool.engine import fake_requests as fakes
    from processpool.engine.fake import FakeBackend
    from processpool.engine.fake_work import FakeWork
    from processpool.engine.fake_workers import Roster

    worker = config.worker
    takes_functions = worker.kind == "python" and worker.handler is None
    if takes_functions != (handler is None):
        raise TypeError(
            "a fake of a pool of functions calls these, and takes no handler of its own"
            if takes_functions
            else "say what the fake does: fake_pool(handler, config)"
        )
    roster, most = Roster(build_policy(config, window=1)), config.queue.max_pending
    if worker.kind == "command":
        assert handler is not None
        codec = make_codec(worker.codec)
        framing = fakes.Unframed(make_framing(worker.declaration))
        perform = fakes.message_handler(handler, codec)
        work = FakeWork(perform, roster, most)
        return FakeBackend(work, config.name), MessageParts(framing, codec)
    engine = FakeBackend(FakeWork(partial(fakes.call, handler), roster, most), config.name)
    if handler is not None:
        return engine, HandlerParts(lambda: None)
    return engine, CallParts(fakes.LiveFunctions(), lambda _: None)


def build_policy(
    config: PoolConfig, window: int, *, ahead: int = 1, takes_back: bool = False
) -> Policy:
    """Return the sizes, times and limits that the scheduler works by."""
    return Policy(
        min=config.size.min,
        max=config.size.max,
        spare=config.size.spare,
        window=window,
        ahead=ahead,
        takes_back=takes_back,
        exclusive=bool(config.worker.each),
        trial=TRIAL if config.worker.kind == "command" and window > 1 else 0,
        single_use=_is_single_use(config),
        dumps_stacks=_has_last_words(config),
        start=config.timeouts.start,
        idle=config.timeouts.idle,
        exit=config.timeouts.exit,
        attempts=config.retry.attempts,
        retry_on=frozenset(config.retry.on),
        memory=build_memory(config),
        recycle_requests=config.recycle.after_requests,
        recycle_age=config.recycle.after,
        recycle_memory=config.recycle.above_memory,
        recycle_jitter=partial(_around_one, config.recycle.jitter),
        max_failures=config.restart.max_failures,
        failures_within=config.restart.within,
        backoff=config.restart.backoff,
        jitter=partial(_around_one, BACKOFF_JITTER),
    )


def _has_last_words(config: PoolConfig) -> bool:
    """True if a worker whose time is over is told something before it is killed."""
    worker = config.worker
    return worker.kind == "python" or worker.protocol.declaration.rpc is not None


def _is_single_use(config: PoolConfig) -> bool:
    worker = config.worker
    return worker.kind == "command" and worker.declaration.oneshot is not None


def _around_one(spread: float) -> float:
    return random.uniform(1 - spread, 1 + spread)


def build_memory(config: PoolConfig) -> MemoryPolicy | None:
    """Return the memory that the workers may use; None if that is not limited."""
    memory = config.memory
    if memory is None:
        return None
    share = isinstance(memory.budget, float)
    budget = int(memory.budget * memory_limit()) if share else int(memory.budget)
    per_item = None if memory.per_item == "auto" else memory.per_item
    return MemoryPolicy(budget, per_item, retries=memory.on_exceeded == "retry")


def build_limits(config: PoolConfig) -> Limits:
    """Return the resource limits of a worker."""
    limits = config.limits
    return Limits(limits.memory, limits.cpu_time, limits.open_files, limits.nice)


def build_command(worker: CommandWorkerConfig) -> Command:
    """Return the command of a command worker, without its environment.

    The environment is read later, when the pool opens.
    """
    program, *arguments = worker.command
    if program in INTERPRETERS:
        program = sys.executable or ""  # refused when a worker is started
    return Command((program, *arguments), str(worker.cwd), {}, secret=tuple(worker.env))
