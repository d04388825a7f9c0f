"""The progress bar of a map: a line on stderr, or a widget in a notebook.

Showing it is no part of the work: if that fails, the bar is gone and the map goes on.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self


class Bar:
    """Shows how many items are done; to be used in a `with`."""

    def __init__(self, total: int | None, label: str | None) -> None:
        self.done = 0
        self._bar: Any = None
        with suppress(Exception):
            from tqdm.auto import tqdm

            self._bar = tqdm(total=total, desc=label)

    def reach(self, done: int) -> None:
        """So many items are done."""
        more, self.done = done - self.done, done
        if self._bar is not None:
            try:
                self._bar.update(more)
            except Exception:  # it is closed, nobody reads it, or it takes no such characters
                self._bar = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            with suppress(Exception):
                self._bar.close()
