"""What an item raised, ready to travel: the exception if it can be pickled, its text always."""

from __future__ import annotations

from processpool.wire.python.pickling import WHOLE, loads, pack_answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    Raised = tuple[bytes | None, str, str, str, bytes | None]


class RefusedError(Exception):
    """Stands for an item that could not be sent; the pool knows why."""


def describe(error: BaseException, hidden: dict[str, object]) -> Raised:
    """An exception as (pickle, type, message, traceback, pickle of its cause).

    Args:
        error: what was raised.
        hidden: globals of the module whose frames are left out of the traceback.
    """
    try:
        return _describe(error, hidden)
    except BaseException as trouble:  # its class has a mind of its own
        name = type.__dict__["__qualname__"].__get__(type(error))
        text = f"{name} (it cannot be shown: {type(trouble).__name__})"
        return None, name, "(its message cannot be shown)", f"{text}\n", None


def _describe(error: BaseException, hidden: dict[str, object]) -> Raised:
    import traceback

    trace = error.__traceback__
    while trace is not None and _is_hidden(trace.tb_frame.f_globals, hidden):
        trace = trace.tb_next
    shown = error.with_traceback(trace)
    try:
        text = "".join(traceback.format_exception(shown))
    except BaseException as trouble:  # a __str__ or a __notes__ that raises
        text = f"{type(error).__name__} (its traceback cannot be shown: {type(trouble).__name__})\n"
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    return _pickled(error), name, _text(error), text, None if cause is None else _pickled(cause)


def _is_hidden(names: dict[str, object], hidden: dict[str, object]) -> bool:
    return names is hidden or names.get("__name__") == "processpool.worker.fresh_copy"


def _pickled(error: BaseException) -> bytes | None:
    """The exception's pickle, if it can be read again."""
    try:
        stream: bytes = pack_answer(error, WHOLE)[0]
        again = loads(stream)
    except BaseException:  # its own code runs here: nothing that it does may harm the worker
        return None
    return stream if type(again) is type(error) else None


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:
        return "(its message cannot be shown)"
