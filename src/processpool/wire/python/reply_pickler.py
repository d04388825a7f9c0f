"""Answers by value: a class that comes back to where it was defined is that class, untouched.

Such a class is found again by the number that it was given on its way here. Its attributes stay
those of the process that defined it, not those of the copy that comes back: only a class that is
new to the reading process is given any.
"""

from __future__ import annotations

from processpool.wire.python import classes, declarations
from processpool.wire.python.by_value import Pickler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class HomePickler(Pickler):
    """Like `by_value.Pickler`, for a value on its way back to the pool."""

    @staticmethod
    def fill_class(made: type, state: dict[str, Any]) -> None:
        """Give a class that was made here its attributes, once."""
        if classes.is_new(made):
            classes.fill_class(made, state)

    @staticmethod
    def fill_declared(made: type, late: dict[str, Any]) -> None:
        """Give the methods of a class that was declared here what they use, once."""
        if classes.is_new(made):
            declarations.fill_declared(made, late)
