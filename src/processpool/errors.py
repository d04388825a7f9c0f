"""The exceptions that processpool raises.

Two rules hold here. All of them derive from `ProcessPoolError`. And an error that concerns one item
has that item's `record`, which answers "which item, which worker, what did it print?".
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Record(Protocol):
        """The record of an error's item, with the attributes of `Outcome`."""

        @property
        def index(self) -> int: ...
        @property
        def value(self) -> Any: ...
        @property
        def error(self) -> BaseException | None: ...
        @property
        def stdout(self) -> str: ...
        @property
        def stderr(self) -> str: ...
        @property
        def worker_id(self) -> int | None: ...
        @property
        def pid(self) -> int | None: ...
        @property
        def slot(self) -> int | None: ...
        @property
        def attempts(self) -> int: ...
        @property
        def queued(self) -> float: ...
        @property
        def seconds(self) -> float: ...
        @property
        def peak_memory(self) -> int | None: ...
        @property
        def raw(self) -> bytes | None: ...
        @property
        def skipped(self) -> tuple[Any, ...]: ...
        @property
        def history(self) -> tuple[Record, ...]: ...
        @property
        def args(self) -> tuple[Any, ...]: ...
        @property
        def kwargs(self) -> dict[str, Any]: ...
        @property
        def name(self) -> str: ...
        @property
        def started(self) -> float | None: ...
        @property
        def cancelled(self) -> bool: ...
        @property
        def ok(self) -> bool: ...


class ProcessPoolError(Exception):
    """Base of all errors that processpool raises."""

    record: Record | None = None
    """The `Outcome` of the item that failed; None if the error does not concern an item."""


class ConfigError(ProcessPoolError, ValueError):
    """The YAML file, or the dictionary, does not declare a valid pool."""

    problems: tuple[str, ...] = ()
    """All problems, one line each; the message consists of these lines."""


class PoolExhausted(ProcessPoolError):
    """No worker is free, and the pool has as many as `size.max` allows."""


class QueueFull(ProcessPoolError):
    """The queue holds `queue.max_pending` items already."""


class PoolClosed(ProcessPoolError, RuntimeError):
    """The pool is not open: it was not yet opened, or it has been closed."""


class PoolBroken(ProcessPoolError):
    """Workers failed to start more often than `restart.max_failures` allows."""


class InvalidLease(ProcessPoolError):
    """The lease was released before, or belongs to another pool."""


class WorkerStartFailed(ProcessPoolError):
    """A worker could not be started, or ended before it was ready."""


class WorkerDied(ProcessPoolError):
    """A worker ended while it had the item."""

    pid: int | None = None
    exitcode: int | None = None
    """Exit status; a negative number is the signal that ended the worker."""
    stderr: str = ""
    """The end of what the worker wrote to its standard error."""


class NodeLost(WorkerDied):
    """The node that had the item was lost; the item may have run there, or not."""


class NotOnCluster(ProcessPoolError):
    """What was asked for works only where the workers are on this machine."""


class OutOfMemory(WorkerDied, MemoryError):
    """The item needs more memory than there is, or the kernel has ended its worker for that."""

    peak: int | None = None
    """The most bytes that its worker was seen to use."""


class RemoteError(ProcessPoolError):
    """An item raised an exception that is not raised again here; this has its text instead."""

    type_name: str = ""
    """The original exception's type, with its module."""
    traceback: str = ""
    """The worker's traceback, as text; the `__cause__` shows it."""


class Retire(ProcessPoolError):
    """Raised by an item that wants another worker: it is given to one, and this one is replaced."""


class AnswerError(ProcessPoolError):
    """A program answered with an error; its worker is kept, unless the protocol says otherwise."""

    value: Any = None
    """The answer, decoded by the pool's codec; as bytes, if that fails."""
    code: int | None = None
    """The error's number, in JSON-RPC."""
    data: Any = None
    """The error's data, in JSON-RPC."""


class RequestTimeout(ProcessPoolError, TimeoutError):
    """The item was not answered within its timeout, and its worker was replaced."""


class ProtocolError(ProcessPoolError):
    """A message, or the output of a worker, violates the protocol."""


class UnexpectedEOF(ProtocolError):
    """A worker closed its standard output in the middle of an answer."""


class CodecError(ProtocolError):
    """The pool's codec cannot encode a message, or cannot decode an answer."""


class JournalError(ProcessPoolError):
    """A journal cannot be used: it is damaged, in use, of something else, or cannot be written."""


class JournalWarning(UserWarning):
    """Something about a journal that does not keep it from being used."""
