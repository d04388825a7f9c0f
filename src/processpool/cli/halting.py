"""`--halt`: so many failures, or such a share of them, are too many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from processpool.errors import ConfigError

FEWEST = 20
"""Items that have ended before a share of them says anything, where it is not known how many
there are."""


@dataclass(frozen=True, slots=True)
class Halt:
    """When a run stops."""

    count: int | None = None
    """At so many failures."""
    share: float | None = None
    """At this share of them."""

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """Read what the command line says.

        Raises:
            ConfigError: it is neither a number nor a percentage.
        """
        if text is None:
            return cls()
        number = text.removesuffix("%")
        try:
            if text.endswith("%"):
                if 0 < float(number) <= 100:
                    return cls(share=float(number) / 100)
            elif int(number) > 0:
                return cls(count=int(number))
        except ValueError:
            pass
        raise ConfigError(f"--halt takes a number of failures, such as 3 or 5%, not {text!r}")

    def is_due(self, failed: int, ended: int, total: int | None) -> bool:
        """True if so many failures of those that have ended are too many.

        Args:
            failed: items that have failed.
            ended: items that have ended.
            total: items in all, if that is known.
        """
        if not failed:
            return False
        if self.count is not None:
            return failed >= self.count
        if self.share is None:
            return False
        return failed >= self.share * (max(ended, FEWEST) if total is None else total)
