"""Answers by value: a class that comes back to where it was defined is that class, untouched.

cloudpickle finds such a class again by a number that it was given on its way here, but then
overwrites its attributes with those of the copy. Here only a class that is new to the process which
reads it gets them.
"""

from __future__ import annotations

from _weakrefset import WeakSet

from cloudpickle import cloudpickle

from processpool.wire.python.by_value import Pickler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_new: WeakSet[type] = WeakSet()
"""Classes that were made here, and have no attributes yet."""


class HomePickler(Pickler):
    """As `by_value.Pickler`, for a value on its way back to the pool."""

    def reducer_override(self, obj: Any) -> Any:
        """Have a class found or made, and filled only then."""
        reduced = super().reducer_override(obj)
        if isinstance(obj, type) and type(reduced) is tuple and len(reduced) == 6:
            make, arguments, state, _, _, set_state = reduced
            return make_class, (make, *arguments), (set_state, state), None, None, fill_class
        return reduced


def make_class(make: Callable[..., type], *arguments: Any) -> type:
    """The class of this process that cloudpickle has numbered so; otherwise a new, empty one."""
    known: type | None = cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID.get(arguments[-2])
    if known is not None:
        return known
    made = make(*arguments)
    _new.add(made)
    return made


def fill_class(made: type, state: tuple[Callable[[type, Any], object], Any]) -> None:
    """Give a class that was made here its attributes, once."""
    if made in _new:
        _new.discard(made)
        set_state, attributes = state
        set_state(made, attributes)
