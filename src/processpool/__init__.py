"""Pools of long-lived worker processes: any program or any Python function, declared in YAML.

    from processpool import ProcessPool

    with ProcessPool.from_yaml("pool.yaml") as pool:
        answers = pool.map(messages)

Importing this package imports nothing else: every public name is imported from its module when it
is first used, so that a worker that only uses `serve` never imports pydantic or PyYAML.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from processpool.api.futures import PoolFuture as PoolFuture
    from processpool.api.lease import Lease as Lease
    from processpool.api.outcomes import Outcomes as Outcomes
    from processpool.api.pool import ProcessPool as ProcessPool
    from processpool.api.shared import Shared as Shared
    from processpool.config import PoolConfig as PoolConfig
    from processpool.core.outcome import Outcome as Outcome
    from processpool.errors import AnswerError as AnswerError
    from processpool.errors import CodecError as CodecError
    from processpool.errors import ConfigError as ConfigError
    from processpool.errors import InvalidLease as InvalidLease
    from processpool.errors import JournalError as JournalError
    from processpool.errors import JournalWarning as JournalWarning
    from processpool.errors import NodeLost as NodeLost
    from processpool.errors import NotOnCluster as NotOnCluster
    from processpool.errors import OutOfMemory as OutOfMemory
    from processpool.errors import PoolBroken as PoolBroken
    from processpool.errors import PoolClosed as PoolClosed
    from processpool.errors import PoolExhausted as PoolExhausted
    from processpool.errors import ProcessPoolError as ProcessPoolError
    from processpool.errors import ProtocolError as ProtocolError
    from processpool.errors import QueueFull as QueueFull
    from processpool.errors import RemoteError as RemoteError
    from processpool.errors import RequestTimeout as RequestTimeout
    from processpool.errors import Retire as Retire
    from processpool.errors import UnexpectedEOF as UnexpectedEOF
    from processpool.errors import WorkerDied as WorkerDied
    from processpool.errors import WorkerStartFailed as WorkerStartFailed
    from processpool.executors.executor import PoolExecutor as PoolExecutor
    from processpool.executors.executor import ProcessPoolExecutor as ProcessPoolExecutor
    from processpool.executors.mp_pool import Pool as Pool
    from processpool.worker.current import CurrentWorker as CurrentWorker
    from processpool.worker.current import current_worker as current_worker
    from processpool.worker.progress import progress as progress
    from processpool.worker.serve import serve as serve

__version__ = "0.1.0"

_HOME = {
    "serve": "worker.serve",
    "progress": "worker.progress",
    "current_worker": "worker.current",
    "CurrentWorker": "worker.current",
    "Outcome": "core.outcome",
    "Outcomes": "api.outcomes",
    "Pool": "executors.mp_pool",
    "PoolExecutor": "executors.executor",
    "ProcessPoolExecutor": "executors.executor",
    "Lease": "api.lease",
    "PoolConfig": "config",
    "PoolFuture": "api.futures",
    "ProcessPool": "api.pool",
    "Shared": "api.shared",
    "AnswerError": "errors",
    "CodecError": "errors",
    "ConfigError": "errors",
    "InvalidLease": "errors",
    "JournalError": "errors",
    "JournalWarning": "errors",
    "NodeLost": "errors",
    "NotOnCluster": "errors",
    "PoolBroken": "errors",
    "PoolClosed": "errors",
    "PoolExhausted": "errors",
    "ProcessPoolError": "errors",
    "ProtocolError": "errors",
    "QueueFull": "errors",
    "RemoteError": "errors",
    "RequestTimeout": "errors",
    "Retire": "errors",
    "UnexpectedEOF": "errors",
    "OutOfMemory": "errors",
    "WorkerDied": "errors",
    "WorkerStartFailed": "errors",
}
"""The modules that define the public names."""

_LEAVES = {
    "display": "processpool.widget",
    "executor": "processpool.executors.executor",
    "otel": "processpool.otel",
    "report": "processpool.report",
    "trace": "processpool.tracing",
}
"""The modules that pools import by name when they are used; see `api/leaves.py`."""

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    try:
        home = _HOME[name]
    except KeyError:
        raise AttributeError(f"module 'processpool' has no attribute {name!r}") from None
    from importlib import import_module

    try:
        value = getattr(import_module(f"processpool.{home}"), name)
    except (ImportError, AttributeError) as error:
        import sys

        if sys.platform == "linux":
            raise
        from processpool.system.platform import WHERE

        raise ImportError(f"processpool.{name} is not there on {sys.platform}: {WHERE}") from error
    if home.startswith(("api.", "executors.")):
        import_module("processpool.api.leaves").register(_LEAVES)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
