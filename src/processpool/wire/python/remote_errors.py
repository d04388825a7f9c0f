"""Reconstruction of exceptions that items raised in their workers."""

from __future__ import annotations

from pickle import loads
from threading import current_thread, main_thread
from typing import TYPE_CHECKING

from processpool.errors import RemoteError, Retire
from processpool.system.interrupts import SHIELD
from processpool.system.text import escape_control
from processpool.wire.in_text import RETIREMENT

if TYPE_CHECKING:
    from processpool.wire.python.raised import Raised


class RemoteTraceback(Exception):
    """The worker's traceback, as the cause of an exception that was raised there."""

    def __init__(self, text: str) -> None:
        text = escape_control(text)
        super().__init__(text)
        self.tb = text
        """The traceback's text."""

    def __str__(self) -> str:
        return f'\n"""\n{self.tb}"""'


def format_error(error: BaseException) -> str:
    """Return an error's class and message."""
    try:
        return f"{type(error).__name__}: {error}"
    except BaseException:  # its own code runs here
        return f"{type(error).__name__} (its message cannot be shown)"


def ends_the_program(error: BaseException) -> bool:
    """True for `SystemExit`, `KeyboardInterrupt` and the like on the main thread."""
    return not isinstance(error, Exception) and current_thread() is main_thread()


def wants_another_worker(raised: Raised | BaseException | None) -> bool:
    """True if what an item has raised asks for another worker to do it."""
    if isinstance(raised, tuple):
        return raised[1] == RETIREMENT
    named = isinstance(raised, RemoteError) and raised.type_name == RETIREMENT
    return named or isinstance(raised, Retire)


def add_note(error: BaseException, note: str) -> None:
    """Add a note to an exception, unless its class prevents that."""
    try:
        error.add_note(note)
    except BaseException as trouble:
        if SHIELD.has_raised(trouble):
            raise


def rebuild(raised: Raised) -> BaseException:
    """Return the exception, or a `RemoteError` that describes it; its cause is the traceback."""
    pickled, name, message, text, cause = raised
    error = _load(pickled)
    if error is None:
        error = RemoteError(escape_control(f"{name}: {message}"))
    if isinstance(error, RemoteError):
        error.type_name, error.traceback = name, escape_control(text)
    try:
        error.__context__ = _load(cause)
        error.__cause__ = RemoteTraceback(text)
    except BaseException as trouble:  # its class does not allow setting attributes
        if SHIELD.has_raised(trouble):
            raise
        return rebuild((None, name, message, text, cause))
    return error


def _load(pickled: bytes | None) -> BaseException | None:
    if pickled is None:
        return None
    try:
        error = loads(pickled)
    except BaseException as trouble:  # the exception's own code runs here, and may raise anything
        if SHIELD.has_raised(trouble):
            raise
        return None
    return error if isinstance(error, BaseException) else None
