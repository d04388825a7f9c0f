"""A pool as its displays, recorders and controls see it: the public interface, and no more.

The command line, the widget, traces and executors take a `PoolView`. The pool knows nothing about
them: they attach themselves, or subscribe to its events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Self

    from processpool.config import PoolConfig
    from processpool.core.events import Event
    from processpool.core.snapshot import PoolSnapshot
    from processpool.core.states import PoolState


class Viewer(Protocol):
    """Something that shows a pool for as long as the pool is open."""

    @property
    def live(self) -> bool:
        """True while it shows what happens, the progress of maps included."""

    def closing(self) -> AbstractContextManager[None]:
        """Entered when the pool is about to be closed, left when it is."""


class PoolView(Protocol):
    """A pool's state and events, and its controls, as `ProcessPool` has them.

    Each member is described there.
    """

    config: PoolConfig

    @property
    def name(self) -> str:
        """The pool's name."""

    @property
    def state(self) -> PoolState:
        """Where the pool is in its life."""

    def snapshot(self, *, resources: bool | Collection[int] = True) -> PoolSnapshot:
        """Return the pool at this moment."""

    def events(
        self, callback: Callable[[Event], None], *, quick: bool = False
    ) -> Callable[[], None]:
        """Call `callback` with every event from now on; the result unsubscribes it."""

    def attach(self, viewer: Viewer) -> None:
        """Tell `viewer` when the pool is closed, and draw no progress bars while it is live."""

    def pause(self) -> None:
        """Hand out no more work."""

    def resume(self) -> None:
        """Hand out work again."""

    def resize(
        self, *, min: int | None = None, max: int | None = None, spare: int | None = None
    ) -> None:
        """Change the sizes; those not given stay as they are."""

    def restart_worker(self, worker_id: int, *, wait: bool = False) -> None:
        """Replace a worker by a new one."""

    def stop_map(self, map_id: int) -> None:
        """End a map in progress."""

    def reset(self) -> None:
        """Have a broken pool try again to start workers."""


class Picture(Protocol):
    """A figure of a recording, which a notebook shows."""

    svg: str

    def _repr_svg_(self) -> str: ...

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it into a file."""


class Recording(Protocol):
    """A recording of what happens in a pool: `ProcessPool.trace` returns one."""

    path: str | None
    """The file it is written into; None if it is kept in memory only."""
    dropped: int
    """Events that were lost because too many came at a time."""

    def stop(self) -> None:
        """Record no more, and finish the file."""

    def plot(self) -> Picture:
        """Draw what was recorded last."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
