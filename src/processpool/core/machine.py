"""A state that changes by a table, and by nothing else.

A machine has its states, its events, and a table with every pair of them that is possible and the
state that follows. What is not in the table raises, and changes nothing. Whoever only wants to know
reads `state`, which is an attribute, since the ways that every item goes look at it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

State = TypeVar("State")
Event = TypeVar("Event")


class IllegalTransition(RuntimeError):
    """An event that cannot happen in that state: a bug in this package."""


class Machine(Generic[State, Event]):
    """One state, and the table by which it changes."""

    __slots__ = ("_subject", "_table", "state")

    def __init__(
        self, subject: str, table: Mapping[tuple[State, Event], State], state: State
    ) -> None:
        """Begin in this state; `subject` is what has it, as an error names it."""
        self._subject = subject
        self._table = table
        self.state = state

    def on(self, event: Event) -> None:
        """Go on to the state that follows an event.

        Raises:
            IllegalTransition: the event is impossible in this state.
        """
        try:
            self.state = self._table[self.state, event]
        except KeyError:
            raise IllegalTransition(
                f"{self._subject} that is {self.state} cannot be {event}"
            ) from None
