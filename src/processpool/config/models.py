"""The models of a pool's declaration, with every default filled in.

Two rules hold here. A model holds values ready for use, not what was written: seconds, bytes,
absolute paths, numbers of workers. And two keys that contradict each other are one problem,
reported at the later key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from processpool.config.backend import BackendSection, LocalBackendConfig
from processpool.config.fields import (
    Budget,
    Count,
    Duration,
    Interpolatable,
    Listed,
    Name,
    PerItem,
    Positive,
    PositiveDuration,
    PositiveSize,
    Workers,
)
from processpool.config.section import Section
from processpool.config.workers import Worker  # noqa: TC001 - pydantic evaluates it
from processpool.system.cpus import usable_cpus

_EXTRA_SPARES = 5
_DERIVED = object()
"""A placeholder for a default that depends on other keys."""


def _bound(words: str, other: str, value: int) -> PydanticCustomError:
    """Return the error for a value that contradicts the `value` of the key `other`."""
    return PydanticCustomError("bound", "", {"words": words, "other": other, "value": value})


class SizeConfig(Section):
    """The number of workers."""

    min: Workers = 1
    """The fewest workers; they start with the pool."""
    max: Annotated[Workers, Field(ge=1)] = Field(
        default_factory=lambda: _DERIVED,
        validate_default=True,
        json_schema_extra={"default": "cpu"},
    )
    """The most workers; cpu means the number of CPUs that this process may use."""
    spare: Workers = Field(default_factory=lambda: _DERIVED, validate_default=True)
    """Idle workers kept after a burst; by default min + 5, or max if that is less."""

    @field_validator("max", mode="before")
    @classmethod
    def _default_max(cls, value: object, info: ValidationInfo) -> object:
        return max(usable_cpus(), info.data.get("min", 1)) if value is _DERIVED else value

    @field_validator("spare", mode="before")
    @classmethod
    def _default_spare(cls, value: object, info: ValidationInfo) -> object:
        if value is not _DERIVED:
            return value
        least = info.data.get("min", 1)
        return min(least + _EXTRA_SPARES, info.data.get("max", least))

    @field_validator("max", "spare")
    @classmethod
    def _not_below_min(cls, value: int, info: ValidationInfo) -> int:
        if value < info.data.get("min", 0):
            raise _bound("at least", "min", info.data["min"])
        return value

    @field_validator("spare")
    @classmethod
    def _not_above_max(cls, value: int, info: ValidationInfo) -> int:
        if value > info.data.get("max", value):
            raise _bound("at most", "max", info.data["max"])
        return value


class QueueConfig(Section):
    """The queue of items that wait for a worker."""

    max_pending: Positive = 10_000
    """The most items that may wait in the queue."""
    when_full: Literal["wait", "raise"] = "wait"
    """What submitting to a full queue does: wait for room, or raise QueueFull."""


class TimeoutsConfig(Section):
    """Time limits, in seconds once they are read."""

    start: PositiveDuration = 30.0
    """How long a worker may take to become ready."""
    request: PositiveDuration | None = None
    """How long a request may take, before its worker is replaced. null: no limit."""
    idle: Duration | None = 300.0
    """How long a worker above size.min may be idle, before it is ended. null: no limit."""
    exit: Duration = 5.0
    """How long a worker may take to exit when asked to, before it is terminated."""


class RetryConfig(Section):
    """Retries of failed items."""

    attempts: Positive = 1
    """How often an item is tried, the first attempt included."""
    on: Annotated[tuple[Literal["crash", "timeout", "error"], ...], Listed] = ("crash",)
    """The failures that are retried: crash, timeout, error."""

    @model_validator(mode="before")
    @classmethod
    def _restore_on(cls, value: object) -> object:
        # YAML 1.1, and so PyYAML, reads the key `on` as a boolean.
        if isinstance(value, dict) and True in value:
            return {"on" if key is True else key: found for key, found in value.items()}
        return value


class RecycleConfig(Section):
    """The regular replacement of healthy workers."""

    after_requests: Positive | None = None
    """Replace a worker after this many requests."""
    after: PositiveDuration | None = None
    """Replace a worker at this age."""
    above_memory: PositiveSize | None = None
    """Replace a worker that uses more memory than this."""
    jitter: Annotated[float, Field(ge=0, le=1), Interpolatable] = 0.1
    """Fraction, from 0 to 1, by which these vary, so that not all are replaced at once."""


class MemoryConfig(Section):
    """The memory that all workers may use together."""

    budget: Budget = Field(default=0.8, json_schema_extra={"default": "80%"})
    """A share of the memory that this process's control group or machine has, or a size."""
    per_item: PerItem = "auto"
    """What a worker needs for an item; auto learns it from what the function has needed."""
    on_exceeded: Literal["retry", "error"] = "retry"
    """What becomes of the youngest item if more is used: it runs when there is room, or fails."""


class LimitsConfig(Section):
    """Limits on each worker that the operating system enforces."""

    memory: PositiveSize | None = None
    """The most address space."""
    cpu_time: PositiveDuration | None = None
    """The most CPU time, over the worker's whole life."""
    open_files: Positive | None = None
    """The most files open at once."""
    nice: Annotated[int, Field(ge=-20, le=19), Interpolatable] | None = None
    """Niceness: 1 to 19 gives way to other processes; below 0 needs privileges."""


def _in_order(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError("must name the shorter duration first")
    return value


def _pair(value: object) -> object:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError("must be a list of two durations, such as [0.1s, 30s]")
    return tuple(value)


class RestartConfig(Section):
    """What the pool does when workers fail to start."""

    max_failures: Count = 5
    """More failed starts than this, within the time below, break the pool."""
    within: PositiveDuration = 10.0
    """The time over which failed starts are counted."""
    backoff: Annotated[
        tuple[Duration, Duration], BeforeValidator(_pair), AfterValidator(_in_order)
    ] = (
        0.1,
        30.0,
    )
    """The shortest and longest delay before the next start; it doubles with each failure."""


class TelemetryConfig(Section):
    """What others are told of the pool's work."""

    otel: bool = False
    """Whether traces and metrics go to OpenTelemetry, through its global providers."""


def _off_as_text(value: object) -> object:
    # YAML 1.1 reads an unquoted `off` as a boolean.
    return "off" if value is False else value


class PoolConfig(Section):
    """A pool of worker processes."""

    name: Name = "pool"
    """The pool's name in logs and the widget."""
    worker: Worker
    """The workers: kind: command (any program) or kind: python (Python functions)."""
    size: SizeConfig = Field(default_factory=SizeConfig)
    """The number of workers."""
    queue: QueueConfig = QueueConfig()
    """The queue of items that wait for a worker."""
    timeouts: TimeoutsConfig = TimeoutsConfig()
    """Time limits."""
    retry: RetryConfig = RetryConfig()
    """Retries of failed items."""
    recycle: RecycleConfig = RecycleConfig()
    """The regular replacement of healthy workers."""
    memory: MemoryConfig | None = None
    """The memory that all workers may use together; nothing is watched without this section."""
    limits: LimitsConfig = LimitsConfig()
    """Limits on each worker that the operating system enforces."""
    restart: RestartConfig = RestartConfig()
    """What the pool does when workers fail to start."""
    backend: BackendSection = LocalBackendConfig()
    """Where the workers are: kind: local (this machine) or kind: dask (a cluster's nodes)."""
    telemetry: TelemetryConfig = TelemetryConfig()
    """What others are told of the pool's work."""
    inline: bool = False
    """Run the functions in this process, one after another, for a debugger or a profiler."""
    widget: Annotated[Literal["auto", "off"], BeforeValidator(_off_as_text)] = "auto"
    """Whether a notebook shows the live widget: auto or off."""

    @field_validator("inline")
    @classmethod
    def _runs_functions(cls, value: bool, info: ValidationInfo) -> bool:
        worker = info.data.get("worker")
        if value and worker is not None and worker.kind != "python":
            raise ValueError("must be false with a command: only Python functions can run here")
        return value

    if TYPE_CHECKING:
        # Sections may be given as mappings, which the signature from the fields does not allow.
        def __init__(self, /, **data: Any) -> None: ...
