"""An exception as text: what it was, what it said, and the worker's traceback.

For both kinds of worker. Nothing is imported before there is an exception.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    Texts = tuple[str, str, str]
    """The name of its type, its message, its traceback."""

RETIREMENT = "processpool.errors.Retire"
"""The name of the exception by which an item asks for another worker, and of all that derive."""
_NO_TERMINAL = (
    "Items have no terminal to read from: to debug the function, or to have it ask, call it in the "
    "process that opened the pool."
)


def in_text(error: BaseException, hidden: dict[str, object]) -> Texts:
    """Return the name of an exception's type, its message, and its traceback.

    Args:
        error: what was raised.
        hidden: globals of the module whose frames are left out of the traceback.
    """
    try:
        return _in_text(error, hidden)
    except BaseException as trouble:  # its class has a mind of its own
        name = type.__dict__["__qualname__"].__get__(type(error))
        text = f"{name} (it cannot be shown: {type(trouble).__name__})"
        return name, "(its message cannot be shown)", f"{text}\n"


def asks_to_retire(error: BaseException) -> bool:
    """True if an exception is `Retire`, or derives from it; without importing it."""
    return any(
        kind.__name__ == "Retire" and kind.__module__ == "processpool.errors"
        for kind in type(error).__mro__
    )


def _in_text(error: BaseException, hidden: dict[str, object]) -> Texts:
    import traceback

    trace = error.__traceback__
    while trace is not None and _is_hidden(trace.tb_frame.f_globals, hidden):
        trace = trace.tb_next
    shown = error.with_traceback(trace)
    if type(error).__name__ == "BdbQuit" or type(error) is EOFError:
        _hint(error)
    try:
        text = "".join(traceback.format_exception(shown))
    except BaseException as trouble:  # a __str__ or a __notes__ that raises
        text = f"{type(error).__name__} (its traceback cannot be shown: {type(trouble).__name__})\n"
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    return RETIREMENT if asks_to_retire(error) else name, message_of(error), text


def _is_hidden(names: dict[str, object], hidden: dict[str, object]) -> bool:
    return names is hidden or names.get("__name__") == "processpool.worker.fresh_copy"


def _hint(error: BaseException) -> None:
    """Add a note about what `breakpoint()` and `input()` lack in a worker."""
    names: tuple[str, ...] = ()
    trace = error.__traceback__
    while trace is not None:
        names = trace.tb_frame.f_code.co_names
        trace = trace.tb_next
    if "input" in names or type(error).__name__ == "BdbQuit":
        error.add_note(_NO_TERMINAL)


def message_of(error: BaseException) -> str:
    """Return what an exception says, even if its class cannot."""
    try:
        return str(error)
    except BaseException:
        return "(its message cannot be shown)"
