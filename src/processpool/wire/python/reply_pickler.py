"""Pickling of answers by value: a class that returns to its origin is the original class there.

The pool finds its class by the number under which it was sent to the worker, and ignores the
attributes of the copy. Attributes are only set on classes that are new to the pool.
"""

from __future__ import annotations

from processpool.wire.python import classes, declarations
from processpool.wire.python.by_value import Pickler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class HomePickler(Pickler):
    """Like `by_value.Pickler`, for answers to the pool."""

    @staticmethod
    def fill_class(made: type, state: dict[str, Any]) -> None:
        """Set the attributes of a class, if it was just created by unpickling this answer."""
        if classes.is_new(made):
            classes.fill_class(made, state)

    @staticmethod
    def fill_declared(made: type, late: dict[str, Any]) -> None:
        """Set the globals of a class's methods, if it was just declared by this answer."""
        if classes.is_new(made):
            declarations.fill_declared(made, late)
