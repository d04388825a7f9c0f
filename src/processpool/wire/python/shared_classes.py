"""The classes that a pickled item refers to by number, while it is read."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_classes: Sequence[type] = ()


def use(classes: Sequence[type]) -> None:
    """Have the numbers in the pickle that is read next mean these."""
    global _classes
    _classes = classes


def shared_class(number: int) -> type:
    """The class of this number."""
    return _classes[number]
