"""The policy of a pool: the sizes, times and limits that decisions depend on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from processpool.core.terms import Retries

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DOUBLINGS = 60
"""The most doublings of the first back-off: beyond these it exceeds any upper limit."""


def _one() -> float:
    return 1.0


class MemoryPolicy(NamedTuple):
    """The memory that all workers of a pool may use together, in bytes."""

    budget: int
    per_item: int | None = None
    """What a worker needs for an item; None to learn it."""
    retries: bool = True
    """Whether an item that had to give way is run again."""


@dataclass(frozen=True)
class Policy:
    """Sizes, times and limits. Times are in seconds, memory in bytes; None means no limit."""

    min: int
    max: int
    spare: int
    window: int = 1
    """The most items that a worker may have at a time, unless their job has its own window."""
    ahead: int = 1
    """The same for workers that say which item they have begun, and so can give the others back;
    if it is more than `window`, they have so many only while items are quick."""
    paced: bool = False
    """Whether `window` is `ahead`, and thus holds for such workers and for quick items only."""
    takes_back: bool = False
    """Whether items that a worker has not begun can be recalled."""
    exclusive: bool = False
    """Whether a worker must have ended before its replacement starts, as they share a resource."""
    trial: int = 0
    """Items that each worker has one by one before it may have several, unless it has said that it
    speaks its protocol."""
    single_use: bool = False
    """Whether a worker has one item in its life, and answers by its end."""
    dumps_stacks: bool = False
    """Whether a worker can dump its stacks before it is killed for a timeout."""
    target: float | None = None
    """Seconds of work that should wait at a worker, whatever it is; None for the usual on one
    machine, where only Python workers have more than they ask for."""
    start: float | None = 30.0
    idle: float | None = 300.0
    exit: float = 5.0
    attempts: int = 1
    """How often an item is tried, the first attempt included."""
    retry_on: frozenset[str] = frozenset()
    """The failures that are retried: crash, timeout, error."""
    memory: MemoryPolicy | None = None
    """The memory that the workers may use; None for no limit on it."""
    recycle_requests: int | None = None
    recycle_age: float | None = None
    recycle_memory: int | None = None
    recycle_jitter: Callable[[], float] = field(default=_one)
    """Returns a factor near 1, by which a worker's recycling limits are multiplied."""
    max_failures: int = 5
    failures_within: float = 10.0
    backoff: tuple[float, float] = (0.1, 30.0)
    jitter: Callable[[], float] = field(default=_one)
    """Returns a factor near 1, by which a back-off is multiplied."""
    recycles: bool = field(init=False)
    """Whether workers are recycled after a number of items, or at an age."""
    retries: Retries = field(init=False)
    """Attempts and failures of items whose job has no terms of its own."""
    renews: bool = field(init=False)
    """Whether workers are recycled for any reason, memory included, or have a budget of it: then
    nothing is decided the short way."""

    def __post_init__(self) -> None:
        """Precompute what is read for every item."""
        by_number = self.single_use or self.recycle_requests is not None
        recycles = by_number or self.recycle_age is not None
        object.__setattr__(self, "recycles", recycles)
        object.__setattr__(self, "retries", Retries(self.attempts, self.retry_on))
        weighs = self.recycle_memory is not None or self.memory is not None
        object.__setattr__(self, "renews", recycles or weighs)

    def delay(self, earlier: int) -> float:
        """Return the back-off in seconds after a failure that follows `earlier` others."""
        first, last = self.backoff
        doubled: float = first * 2 ** min(earlier, MAX_DOUBLINGS)
        return min(doubled, last) * self.jitter()


def resized(policy: Policy, least: int | None, most: int | None, spare: int | None) -> Policy:
    """Return the policy with the sizes changed that are not None.

    Raises:
        ValueError: the sizes contradict each other.
    """
    for key, size in (("min", least), ("max", most), ("spare", spare)):
        if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
            raise ValueError(f"size.{key} must be a whole number of workers, got {size!r}")
    least = policy.min if least is None else least
    most = max(policy.max, least) if most is None else most
    if spare is None:
        spare = min(max(policy.spare, least), most)
    if least < 0 or most < 1 or least > most:
        raise ValueError(f"size.max must be at least 1 and at least size.min ({least}), got {most}")
    if not least <= spare <= most:
        raise ValueError(
            f"size.spare must be between size.min ({least}) and size.max ({most}), got {spare}"
        )
    return replace(policy, min=least, max=most, spare=spare)
