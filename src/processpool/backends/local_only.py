"""What takes a worker on this machine, and is refused on a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processpool.engine.backend import NotBegun
from processpool.errors import NotOnCluster

if TYPE_CHECKING:
    from processpool.engine.backend import LeasedWorker
    from processpool.wire.python.functions import Request


NO_STREAMS = (
    "the parts of a stream cannot come from another machine, only whole answers: return a list, or "
    "use a pool without `backend: {kind: dask}`"
)
"""What is said to somebody who wants the parts of a stream."""


class LocalOnly:
    """The part of a `Backend` that an engine with workers elsewhere does not have."""

    def exchange(self, request: Request, timeout: float | None) -> Any:
        """Raise NotBegun: a request on the caller's thread needs a worker on this machine.

        Raises:
            NotBegun: always.
        """
        raise NotBegun

    def lease(self, timeout: float | None) -> LeasedWorker | None:
        """Refuse: only a worker on this machine can be driven by hand.

        Raises:
            NotOnCluster: always.
        """
        raise NotOnCluster(
            "a worker on another machine cannot be leased, as its pipes are there: use submit or "
            "map, or a pool without `backend: {kind: dask}`"
        )

    def require_streams(self) -> None:
        """Refuse: only whole answers travel.

        Raises:
            NotOnCluster: always.
        """
        raise NotOnCluster(NO_STREAMS)

    def require_shared_memory(self) -> None:
        """Refuse: memory is not shared between machines.

        Raises:
            NotOnCluster: always.
        """
        raise NotOnCluster(
            "an object cannot be shared with other machines, which have memory of their own: load "
            "it in worker.setup, once in each worker, or pass it to the items"
        )
