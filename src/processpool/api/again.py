"""Runs single requests of a pool once more, for whoever looks at those that have failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

from processpool.errors import PoolClosed

if TYPE_CHECKING:
    from processpool.wire.python.functions import Task


class Again:
    """Runs requests of one pool again, which is not kept alive for that."""

    def __init__(self, pool: Any) -> None:
        self._pool = ref(pool)

    def run(self, task: Task | None, rows: list[tuple[Any, ...]]) -> None:
        """Run requests again, and wait until they have ended; errors are the pool's to show.

        Args:
            task: what is done with them; None for programs.
            rows: the arguments of each.

        Raises:
            PoolClosed: the pool takes no work any more.
        """
        pool = self._pool()
        if pool is None:
            raise PoolClosed("the pool of these requests is gone; open another one")
        futures = [pool.ask_again(task, row) for row in rows]
        for future in futures:
            future.exception()
