"""All that follow a map, as one: what shows it, and whoever else wants to know."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processpool.api.view import Followed, Follower


class Followers:
    """Several followers, told one after another."""

    def __init__(self, several: Sequence[Follower]) -> None:
        self._several = several
        self.shows = any(one.shows for one in several)

    def began(self, run: Followed) -> None:
        """A map has begun."""
        for one in self._several:
            one.began(run)

    def ended(self, run: Followed) -> None:
        """A map has ended."""
        for one in self._several:
            one.ended(run)

    def left(self, run: Followed) -> None:
        """A map was left early."""
        for one in self._several:
            one.left(run)


def together(several: Sequence[Follower]) -> Follower | None:
    """Return followers as one; None if there are none."""
    if len(several) > 1:
        return Followers(several)
    return several[0] if several else None
