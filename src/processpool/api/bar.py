"""The progress bar of a map: a line on stderr, or a widget in a notebook.

If drawing it fails, the bar is dropped and the map continues.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self


class Bar:
    """A progress bar of items, used in a `with` statement."""

    def __init__(self, total: int | None, label: str | None, *, shown: bool = True) -> None:
        self.done = 0
        self._bar: Any = None
        if not shown or sys.stderr is None:
            return
        with suppress(Exception):
            from tqdm.auto import tqdm

            self._bar = tqdm(total=total, desc=label)

    def reach(self, done: int) -> None:
        """Update the bar: `done` items are done."""
        more, self.done = done - self.done, done
        if self._bar is not None:
            try:
                self._bar.update(more)
            except Exception:  # stderr is closed, has no reader, or lacks the bar's characters
                self._bar = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            with suppress(Exception):
                self._bar.close()
