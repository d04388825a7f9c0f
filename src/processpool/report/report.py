"""`Report`: what is told of a map, as a page, in a notebook, and in a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.report.page import fragment, whole_page

if TYPE_CHECKING:
    import os

    from processpool.report.told import Told


class Report:
    """The report of one map; a notebook shows it."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self.verdict = told.verdict.kind
        """What held the map up: `input`, `pickling`, `worker`, `consumer`, `tail` or `nothing`."""

    @property
    def html(self) -> str:
        """The page."""
        return whole_page(self._told)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file.

        Raises:
            OSError: it cannot be written.
        """
        with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(self.html)

    def _repr_html_(self) -> str:
        return fragment(self._told)

    def __repr__(self) -> str:
        told = self._told
        ok, failed, cancelled = told.parts
        return (
            f"<Report of {told.record.name!r}: {ok:,} ok, {failed:,} failed, {cancelled:,} "
            f"cancelled. {told.verdict.title}: {told.verdict.why}>"
        )
