"""The interface of a pool for displays, recorders and controls: part of its public methods.

The widget and traces use a `PoolView`. The pool does not know them: they attach themselves, or
subscribe to its events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Self

    from processpool.config import PoolConfig
    from processpool.core.events import Event
    from processpool.core.failed_item import FailedItem
    from processpool.core.outcome import Outcome
    from processpool.core.run_record import RunRecord
    from processpool.core.snapshot import MapSnapshot, PoolSnapshot
    from processpool.core.states import PoolState
    from processpool.core.terms import Terms


class Viewer(Protocol):
    """A display of a pool while the pool is open."""

    @property
    def live(self) -> bool:
        """True while it shows the pool, including the progress of maps."""

    def closing(self) -> AbstractContextManager[None]:
        """Return a context that is entered before the pool is closed, and left after it."""


class Followed(Protocol):
    """A map, as those who follow it know it."""

    number: int
    task: Any
    """What workers do with its items; None where they know."""
    terms: Terms
    """The terms on which they are run."""
    label: str
    """What it is called."""

    @property
    def is_over(self) -> bool:
        """True once it has ended."""

    @property
    def is_wanted(self) -> bool:
        """True if its user has asked to see it."""

    def snapshot(self) -> MapSnapshot:
        """Return how far it is."""

    def look(self) -> RunRecord:
        """Return how it has run so far."""


class Follower(Protocol):
    """Follows maps from their beginning to their end, such as to show them."""

    shows: bool
    """True if it shows them, in place of progress bars."""

    def began(self, run: Followed) -> None:
        """A map has begun, on this thread."""

    def ended(self, run: Followed) -> None:
        """A map has ended, on this thread."""

    def left(self, run: Followed) -> None:
        """A map was left early, perhaps by the garbage collector: take no lock."""


class PoolView(Protocol):
    """The state, events and controls of a pool; `ProcessPool` documents each member."""

    config: PoolConfig

    @property
    def name(self) -> str:
        """The pool's name."""

    @property
    def state(self) -> PoolState:
        """The state of the pool."""

    def snapshot(self, *, resources: bool | Collection[int] = True) -> PoolSnapshot:
        """Return a snapshot of the pool."""

    def records(self) -> tuple[RunRecord, ...]:
        """Return how the last few maps have run, then how those run that are in progress."""

    def events(
        self, callback: Callable[[Event], None], *, quick: bool = False, items: bool = True
    ) -> Callable[[], None]:
        """Call `callback` with every event from now on; return a function that unsubscribes it."""

    def follow(self, follower: Follower) -> None:
        """Add what is told of every map from now on."""

    def attach(self, viewer: Viewer) -> None:
        """Add a display: it is notified when the pool is closed, and replaces progress bars."""

    def pause(self) -> None:
        """Assign no more work to workers."""

    def resume(self) -> None:
        """Assign work again."""

    def resize(
        self, *, min: int | None = None, max: int | None = None, spare: int | None = None
    ) -> None:
        """Change the sizes that are not None."""

    def restart_worker(self, worker_id: int, *, wait: bool = False) -> None:
        """Replace a worker by a new one."""

    def stop_map(self, map_id: int) -> None:
        """Stop a running map."""

    def reset(self) -> None:
        """Have a broken pool start workers again."""

    def failures(self) -> list[Outcome]:
        """Return the records of the last items that have failed."""

    def failed_items(self, key: str | None = None) -> list[FailedItem]:
        """Return the last items that have failed: of the errors like this one, or all."""


class Picture(Protocol):
    """A figure of a recording, which notebooks display."""

    svg: str

    def _repr_html_(self) -> str: ...

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the figure to a file."""


class Report(Protocol):
    """The report of a map, which notebooks display."""

    verdict: str
    """What held the map up: `input`, `pickling`, `worker`, `consumer`, `tail` or `nothing`."""

    @property
    def html(self) -> str:
        """The page."""

    def _repr_html_(self) -> str: ...

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file."""


class Recording(Protocol):
    """A recording of a pool's events: `ProcessPool.trace` returns one."""

    path: str | None
    """The file that is written; None if the recording is kept in memory only."""
    dropped: int
    """The number of events that were dropped because too many came at a time."""

    def stop(self) -> None:
        """Stop recording, and finish the file."""

    def plot(self) -> Picture:
        """Return a figure of the latest part of the recording."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
