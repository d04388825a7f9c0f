"""The sections of a pool's declaration, as frozen models with every default filled in.

Two rules hold here. A model holds what is used, not what was written: seconds, bytes, absolute
paths, numbers of workers. And two keys that contradict each other are one problem, at the later
key.
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

from processpool.config.fields import (
    Count,
    Duration,
    Interpolatable,
    Listed,
    Name,
    Positive,
    PositiveDuration,
    PositiveSize,
    Workers,
)
from processpool.config.section import Section
from processpool.config.workers import Worker  # noqa: TC001 - pydantic evaluates it
from processpool.system.cpus import usable_cpus

_SPARE = 5
_DERIVED = object()
"""Stands for a default that depends on other keys."""


def _bound(words: str, other: str, value: int) -> PydanticCustomError:
    """Return the error of a value that contradicts the key `other`, which has `value`."""
    return PydanticCustomError("bound", "", {"words": words, "other": other, "value": value})


class SizeConfig(Section):
    """How many workers there are."""

    min: Workers = 1
    """Workers that are always there; they start with the pool."""
    max: Annotated[Workers, Field(ge=1)] = Field(
        default_factory=lambda: _DERIVED,
        validate_default=True,
        json_schema_extra={"default": "cpu"},
    )
    """The most workers there may be; cpu means as many as this process may use CPUs."""
    spare: Workers = Field(default_factory=lambda: _DERIVED, validate_default=True)
    """Idle workers that are kept after a burst; the default is min + 5, or max if that is less."""

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
        return min(least + _SPARE, info.data.get("max", least))

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
    """What waits for a worker."""

    max_pending: Positive = 10_000
    """The most items that wait for a worker."""
    when_full: Literal["wait", "raise"] = "wait"
    """What submitting to a full queue does: wait for room, or raise QueueFull."""


class TimeoutsConfig(Section):
    """How long things may take; in seconds once read."""

    start: PositiveDuration = 30.0
    """Until a worker that was started is ready."""
    request: PositiveDuration | None = None
    """Until a request is answered; then its worker is replaced. null: as long as it takes."""
    idle: Duration | None = 300.0
    """Until an idle worker above size.min is ended. null: never."""
    exit: Duration = 5.0
    """Until a worker that was told to exit is terminated."""


class RetryConfig(Section):
    """What happens to an item that failed."""

    attempts: Positive = 1
    """How often an item is tried, the first time included."""
    on: Annotated[tuple[Literal["crash", "timeout", "error"], ...], Listed] = ("crash",)
    """The failures after which it is tried again: crash, timeout, error."""

    @model_validator(mode="before")
    @classmethod
    def _heal_on(cls, value: object) -> object:
        # YAML 1.1, and so PyYAML, reads the key `on` as a boolean.
        if isinstance(value, dict) and True in value:
            return {"on" if key is True else key: found for key, found in value.items()}
        return value


class RecycleConfig(Section):
    """When a worker is replaced although nothing is wrong with it."""

    after_requests: Positive | None = None
    """After this many requests."""
    after: PositiveDuration | None = None
    """After this time."""
    above_memory: PositiveSize | None = None
    """When it uses more memory than this."""
    jitter: Annotated[float, Field(ge=0, le=1), Interpolatable] = 0.1
    """Share, from 0 to 1, by which the limits vary, so that not all are replaced at once."""


class LimitsConfig(Section):
    """What the operating system allows each worker."""

    memory: PositiveSize | None = None
    """Address space."""
    cpu_time: PositiveDuration | None = None
    """CPU time, over the worker's whole life."""
    open_files: Positive | None = None
    """Files open at once."""
    nice: Annotated[int, Field(ge=-20, le=19), Interpolatable] | None = None
    """How far a worker gives way to other processes: 0 to 19; below 0 needs privileges."""


def _in_order(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError("must name the shorter duration first")
    return value


def _two(value: object) -> object:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError("must be a list of two durations, such as [0.1s, 30s]")
    return tuple(value)


class RestartConfig(Section):
    """What happens when workers fail to start."""

    max_failures: Count = 5
    """With more failures than this within the time below, the pool is broken."""
    within: PositiveDuration = 10.0
    """The time in which failures are counted."""
    backoff: Annotated[
        tuple[Duration, Duration], BeforeValidator(_two), AfterValidator(_in_order)
    ] = (
        0.1,
        30.0,
    )
    """The first and the longest pause before a worker is started again."""


def _off(value: object) -> object:
    # YAML 1.1 reads an unquoted `off` as a boolean.
    return "off" if value is False else value


class PoolConfig(Section):
    """A pool of worker processes."""

    name: Name = "pool"
    """What the pool is called in logs and the widget."""
    worker: Worker
    """What a worker is: kind: command (any program) or kind: python (functions)."""
    size: SizeConfig = Field(default_factory=SizeConfig)
    """How many workers there are."""
    queue: QueueConfig = QueueConfig()
    """What waits for a worker."""
    timeouts: TimeoutsConfig = TimeoutsConfig()
    """How long things may take."""
    retry: RetryConfig = RetryConfig()
    """What happens to an item that failed."""
    recycle: RecycleConfig = RecycleConfig()
    """When a worker is replaced although nothing is wrong with it."""
    limits: LimitsConfig = LimitsConfig()
    """What the operating system allows each worker."""
    restart: RestartConfig = RestartConfig()
    """What happens when workers fail to start."""
    widget: Annotated[Literal["auto", "off"], BeforeValidator(_off)] = "auto"
    """Whether a notebook shows the live widget: auto or off."""

    if TYPE_CHECKING:
        # Sections may be given as mappings, which the signature made from the fields would refuse.
        def __init__(self, /, **data: Any) -> None: ...
