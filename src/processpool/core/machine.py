"""A state machine that is a table of transitions.

The table maps every possible pair of state and event to the next state. Any other pair raises, and
changes nothing. `state` is a plain attribute, since it is read on the path of every item.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

State = TypeVar("State")
Event = TypeVar("Event")


class IllegalTransition(RuntimeError):
    """An event was applied in a state in which it is impossible: a bug in this package."""


class Machine(Generic[State, Event]):
    """A state, and the table by which it changes."""

    __slots__ = ("_subject", "_table", "state")

    def __init__(
        self, subject: str, table: Mapping[tuple[State, Event], State], state: State
    ) -> None:
        """Begin in `state`; `subject` names its owner in errors."""
        self._subject = subject
        self._table = table
        self.state = state

    def on(self, event: Event) -> None:
        """Change to the state that follows `event`.

        Raises:
            IllegalTransition: the event is impossible in this state.
        """
        try:
            self.state = self._table[self.state, event]
        except KeyError:
            raise IllegalTransition(
                f"{self._subject} that is {self.state} cannot be {event}"
            ) from None
