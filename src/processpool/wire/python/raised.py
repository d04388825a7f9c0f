"""Serialization of exceptions that items raise: the exception, if it can be pickled, and its text.

An exception is pickled as its class defines it. If that cannot be unpickled, or yields another one,
because `__init__` has other parameters than `args`, it is rebuilt without calling `__init__`, from
its arguments, attributes and fields. Those that cannot be pickled are replaced by their repr.
"""

from __future__ import annotations

from types import GetSetDescriptorType, MemberDescriptorType

from processpool.wire.in_text import in_text, message_of
from processpool.wire.python.pickling import WHOLE, loads, pack_answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Raised = tuple[bytes | None, str, str, str, bytes | None]

_OF_PYTHON = 1 << 9
"""The flag of a class that was created by Python code (`Py_TPFLAGS_HEAPTYPE`)."""
_FIELDS = (GetSetDescriptorType, MemberDescriptorType)
_DEPTH = 5
"""The deepest nesting of exceptions, in groups or attributes, that is preserved."""


def describe(error: BaseException, hidden: dict[str, object]) -> Raised:
    """Return an exception as (pickle, type, message, traceback, pickle of its cause).

    Args:
        error: the exception.
        hidden: the globals of the module whose frames are omitted from the traceback.
    """
    name, message, text = in_text(error, hidden)
    try:
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return _pickled(error), name, message, text, None if cause is None else _pickled(cause)
    except BaseException:  # its class has a mind of its own
        return None, name, message, text, None


def _pickled(error: BaseException) -> bytes | None:
    """Return the exception's pickle; None if it cannot be pickled or read again."""
    for portable in (error, _Portable(error)):
        try:
            stream: bytes = pack_answer(portable, WHOLE)[0]
            read = loads(stream)
            if type(read) is type(error) and (portable is not error or _is_alike(read, error)):
                return stream
        except BaseException:  # the exception's own code runs here, and may raise anything
            continue
    return None


def _is_alike(read: BaseException, error: BaseException) -> bool:
    """Return False if pickling an exception as its class defines it has lost something."""
    for kind in type(error).__mro__:
        names = vars(kind)
        if not kind.__flags__ & _OF_PYTHON:
            break
        if "__reduce__" in names or "__reduce_ex__" in names:
            return True
        if any(isinstance(found, MemberDescriptorType) for found in names.values()):
            return False
    if len(read.args) != len(error.args) or message_of(read) != message_of(error):
        return False
    pairs = zip(getattr(read, "exceptions", ()), getattr(error, "exceptions", ()), strict=False)
    return all(type(one) is type(other) and _is_alike(one, other) for one, other in pairs)


class _Portable:
    """A wrapper that is pickled as an exception to be rebuilt without calling `__init__`."""

    def __init__(self, error: BaseException, depth: int = 0) -> None:
        self._error = error
        self._depth = depth
        self._has_lost = False
        """True once a part of it was replaced."""

    def __reduce__(self) -> tuple[Any, ...]:
        error = self._error
        fields = {name: value for name, value in _fields(error) if value is not None}
        arguments = tuple(self._portable(argument) for argument in error.args)
        state = {name: self._portable(value) for name, value in vars(error).items()}
        fields = {name: self._portable(value) for name, value in fields.items()}
        if self._has_lost:
            state["__notes__"] = [*getattr(error, "__notes__", ()), _what_is_lost(error)]
        return make_exception, (type(error), arguments, state, fields)

    def _portable(self, value: Any) -> Any:
        """Return the value, or a replacement if it cannot be pickled."""
        is_error = isinstance(value, BaseException)
        is_list = isinstance(value, list | tuple)
        deep = self._depth >= _DEPTH
        if deep or not (is_list and any(isinstance(each, BaseException) for each in value)):
            try:
                read = loads(pack_answer(value, WHOLE)[0])
                if not is_error or (type(read) is type(value) and _is_alike(read, value)):
                    return value
            except BaseException:
                is_list = is_list and not deep
        if is_error and not deep:
            return _Portable(value, self._depth + 1)
        if is_list:
            return type(value)(map(self._portable, value))
        self._has_lost = True
        return repr(value)


def _what_is_lost(error: BaseException) -> str:
    from processpool.wire.python.unpicklable import find  # only here: workers start without it

    return f"what of it cannot be pickled has come as its repr: {find(error) or type(error)}"


def _fields(error: BaseException) -> list[tuple[str, Any]]:
    """Return an exception's attributes outside its `__dict__`: built-in fields, and slots."""
    return [
        (name, getattr(error, name, None))
        for kind in type(error).__mro__[:-1]
        for name, found in vars(kind).items()
        if isinstance(found, _FIELDS) and not name.startswith("__") and name != "args"
    ]


def make_exception(
    kind: type[BaseException],
    arguments: tuple[Any, ...],
    state: dict[str, Any],
    fields: dict[str, Any],
) -> BaseException:
    """Create an exception without calling its `__init__`."""
    try:
        error = kind.__new__(kind, *arguments)
    except TypeError:  # it has a `__new__` of its own
        built_in = next(each for each in kind.__mro__ if not each.__flags__ & _OF_PYTHON)
        error = built_in.__new__(kind, *arguments)
    error.args = arguments
    for name, value in fields.items():
        try:  # noqa: SIM105 - contextlib takes too long to import
            setattr(error, name, value)
        except (AttributeError, TypeError):
            pass  # a read-only field, computed from others
    error.__dict__.update(state)
    return error
