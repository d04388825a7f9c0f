"""What an item raised in its worker, raised again here."""

from __future__ import annotations

from pickle import loads
from threading import current_thread, main_thread
from typing import TYPE_CHECKING

from processpool.errors import RemoteError
from processpool.system.interrupts import SHIELD
from processpool.system.text import escape_control

if TYPE_CHECKING:
    from processpool.wire.python.raised import Raised


class RemoteTraceback(Exception):
    """The traceback of the worker, as the cause of an exception that came from there."""

    def __init__(self, text: str) -> None:
        text = escape_control(text)
        super().__init__(text)
        self.tb = text
        """Pickle it, as the standard library does."""

    def __str__(self) -> str:
        return f'\n"""\n{self.tb}"""'


def in_words(error: BaseException) -> str:
    """Return an error's class and message."""
    try:
        return f"{type(error).__name__}: {error}"
    except BaseException:  # its own code runs here
        return f"{type(error).__name__} (its message cannot be shown)"


def ends_the_program(error: BaseException) -> bool:
    """True for `sys.exit()` and Ctrl-C on the user's main thread; elsewhere they do no harm."""
    return not isinstance(error, Exception) and current_thread() is main_thread()


def add_note(error: BaseException, note: str) -> None:
    """Add a note to an exception, if its class lets it."""
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
        error.type_name = name
    try:
        error.__context__ = _load(cause)
        error.__cause__ = RemoteTraceback(text)
    except BaseException as trouble:  # its class lets nothing be set
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
