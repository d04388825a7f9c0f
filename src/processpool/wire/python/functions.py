"""The functions that a pool sends to its workers: pickled once, and sent once to each worker.

A function that can be imported is sent by name. One from `__main__` or a notebook cell, a lambda or
a closure is sent by value, with everything it refers to. So before each use it is checked for
changes: if its cell was edited and run again, or a global has another value, it is sent again.
`watching` detects most changes without pickling. If only pickling can tell, and takes long, single
calls check now and then, and maps always.
"""

from __future__ import annotations

from functools import partial
from itertools import count
from pickle import PROTO
from threading import RLock
from time import monotonic
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import ref

from processpool.system.interrupts import PICKLING, uninterrupted
from processpool.wire.python import pickling, unfindable
from processpool.wire.python.layout import CARRIER, FULL, STREAMED
from processpool.wire.python.remote_errors import add_note
from processpool.wire.python.sources import Sources, sources_of
from processpool.wire.python.unpicklable import find
from processpool.wire.python.watching import Watch

if TYPE_CHECKING:
    from collections.abc import Callable

QUICK_PICKLING = 0.02
"""The seconds up to which pickling a function is repeated before every call."""
PAUSE_FACTOR, MAX_PAUSE = 10, 1.0
"""Slower pickling pauses for this multiple of its duration, and for at most this many seconds."""
LARGE_FUNCTION = 1024 * 1024
"""The size of a function's pickle, in bytes, from which it is reported to the user."""
MIN_DIGESTED = 64 * 1024
"""The size of a pickle, in bytes, from which only its digest is kept."""
RECHECK_INTERVAL = 50e-6
"""The seconds for which a check of a source file remains valid."""
MAX_CACHED = 256
MAX_CACHED_SIZE = 64 * 1024 * 1024
"""The most functions, and the most bytes of their pickles, that are cached."""
UNKNOWN = -1
"""A number that no worker knows."""
_CONSTANT = (int, float, str, bytes, bool, type(None))
_MISSING = object()
_UNCHANGING = (FunctionType, BuiltinFunctionType, type)
"""Types of callables whose changes are all in their name and `_state`; others have inner state."""


class _Known:
    """A cached pickle of a function, with the means to detect that the function has changed."""

    __slots__ = ("_due", "_pause", "alive", "function", "seconds", "state", "watch")

    def __init__(
        self, alive: ref[Any], function: Function, state: tuple[Any, ...] | None, seconds: float
    ) -> None:
        """`state` is None if the function is sent by name; `seconds` is how long pickling took."""
        self.alive = alive
        self.function = function
        self.state = state
        self.watch: Watch | None = None
        self.seconds = seconds
        self._pause = min(seconds * PAUSE_FACTOR, MAX_PAUSE)
        self._due = monotonic() + self._pause

    def is_as_it_was(self, function: Any, *, exactly: bool) -> bool:
        """True if it need not be pickled again; unless `exactly`, some changes are noticed late."""
        if self.alive() is not function:
            return False
        state = self.state
        if state is None or (state and state == _state(function)):
            return True
        watch = self.watch
        due = exactly or monotonic() >= self._due
        if watch is None or watch.changed(exactly=due):
            return False
        if due:
            self._due = monotonic() + self._pause
        return watch.is_exact or (not due and self.seconds > QUICK_PICKLING)


class Function:
    """A pickled function, with the number by which workers know it."""

    __slots__ = ("looked_at", "name", "number", "parts", "size", "sources", "streamed", "task")

    def __init__(
        self, number: int, parts: list[Any], name: str, sources: tuple[str, ...] = ()
    ) -> None:
        self.number = number
        self.parts = parts
        self.name = name
        self.size = sum(len(part) for part in parts)
        """The size of its pickle in bytes."""
        self.sources = sources
        """The source files of the code that it calls by name."""
        self.looked_at = 0.0
        """When these were last checked for changes."""
        self.task = Task(self, FULL)
        """The task of single calls."""
        self.streamed = Task(self, FULL | STREAMED)
        """The same, where parts may be read before the end."""

    @property
    def real(self) -> Function:
        """The function that workers know: this one."""
        return self

    def __repr__(self) -> str:
        return f"<Function {self.number} {self.name}>"


def short_name(function: Function) -> str:
    """Return the qualified name of a function, without that of the function around it."""
    return function.name.rpartition("<locals>.")[2]


class Within(Function):
    """A function whose items are a part of a trace.

    Its number is one that no worker knows, so that whoever sends it looks at it.
    """

    __slots__ = ("_real", "prefix")

    def __init__(self, real: Function, carrier: bytes) -> None:
        """`carrier` names the trace, for workers."""
        super().__init__(UNKNOWN, real.parts, real.name, real.sources)
        self._real = real
        self.prefix = CARRIER.pack(len(carrier)) + carrier
        """What comes before the payload of a packet."""

    @property
    def real(self) -> Function:
        """The function that workers know."""
        return self._real


class Task(NamedTuple):
    """What workers do with the items of a job: the function, and how items are its arguments."""

    function: Function
    style: int

    def within(self, carrier: bytes) -> Task:
        """Return the task whose items are a part of a trace."""
        return Task(Within(self.function.real, carrier), self.style)


Request = tuple[Any, Task | None]
"""The payload of one item, and its task; None for programs."""

HANDLER = Function(0, [], "handler")
"""The function that the pool's YAML names, which every worker has from its start."""


class Functions:
    """The cache of the functions that a pool was given."""

    def __init__(
        self, sources: Sources | None = None, tell: Callable[[str], object] | None = None
    ) -> None:
        """`tell` is called with warnings for the user, such as about large functions."""
        self._tell = tell
        self._numbers = count(1)
        self._known: dict[int, _Known] = {}
        self._told: set[str] = set()
        """The names of functions that were reported as large."""
        self._by_value: dict[bytes, Function] = {}
        self._kept_size = 0
        self._adding = RLock()
        self.sources = sources or Sources()

    def get(self, function: Callable[..., Any], *, exactly: bool = False) -> Function:
        """Return the pickled function; from the cache, if it has not changed.

        Args:
            function: the callable.
            exactly: notice recent changes inside large objects as well.

        Raises:
            Exception: it cannot be pickled.
        """
        known = self._known.get(id(function))
        if known is not None and known.is_as_it_was(function, exactly=exactly):
            return known.function
        return self._add(function)

    def named(self, name: str) -> list[Callable[..., Any]]:
        """Return the functions in the cache that still exist and have this name.

        It is the qualified one, or what is left of that without the function around it.
        """
        with self._adding:
            known = list(self._known.values())
        alive = [one.alive() for one in known if short_name(one.function) == name]
        return [one for one in alive if one is not None]

    def changed_source(self, function: Function) -> bool:
        """Return whether a source file of the function was changed since the last call."""
        now = monotonic()
        if now - function.looked_at < RECHECK_INTERVAL:
            return False
        function.looked_at = now
        return self.sources.changed(function.sources)

    @uninterrupted
    def _add(self, function: Callable[..., Any]) -> Function:
        began = monotonic()
        with PICKLING:
            parts = _packed(function)
        by_value = _travels_by_value(parts[0])
        key = _key(parts)
        seconds = monotonic() - began
        with self._adding:
            known = self._by_value.pop(key, None)
            if known is None:
                name = getattr(function, "__qualname__", type(function).__qualname__)
                sources = sources_of(function, by_value=by_value)
                self.sources.look_around()
                known = Function(next(self._numbers), parts, name, sources)
                self._make_room(known.size)
            self._by_value[key] = known
        if type(function) in _UNCHANGING or (by_value and type(function) is partial):
            self._keep(function, known, seconds, by_value=by_value)
        return known

    def _keep(self, function: Any, known: Function, seconds: float, *, by_value: bool) -> None:
        """Cache the function, so that it need not be pickled before its next use."""
        alive = ref(function, partial(self._forget, id(function)))
        state = _state(function) if by_value else None
        kept = self._known[id(function)] = _Known(alive, known, state, seconds)
        if state == ():
            kept.watch = Watch(function)
            if known.size >= LARGE_FUNCTION and known.name not in self._told:
                self._told.add(known.name)
                if self._tell is not None:
                    self._tell(_size_in_words(known, kept.watch))

    def _make_room(self, size: int) -> None:
        """Make room for `size` bytes by dropping the least recently used pickles."""
        self._kept_size += size
        kept = self._by_value
        while kept and (len(kept) >= MAX_CACHED or self._kept_size > MAX_CACHED_SIZE):
            self._kept_size -= kept.pop(next(iter(kept))).size

    def _forget(self, number: int, gone: ref[Any]) -> None:
        known = self._known.get(number)
        if known is not None and known.alive is gone:
            del self._known[number]


def _packed(function: Any) -> list[Any]:
    unfindable.note_module_of(function)
    unfindable.look_around()
    try:
        return pickling.pack(function)
    except Exception as error:
        place = find(function)
        if place is not None:
            add_note(error, f"The function cannot be sent to a worker:{place}.")
        raise


def _key(parts: list[Any]) -> bytes:
    """Return a key that identifies a pickle: the pickle itself, or a digest."""
    if sum(len(part) for part in parts) < MIN_DIGESTED:
        return b"".join(bytes(part) for part in parts)
    from hashlib import blake2b

    digest = blake2b()
    for part in parts:
        digest.update(b"%d " % len(part))
        digest.update(part)
    return digest.digest()


def _size_in_words(function: Function, watch: Watch) -> str:
    """Return the warning about a large function, with the name of its largest part."""
    largest, what = 0, "something"
    for name, value in watch.named:
        try:
            size = sum(len(part) for part in pickling.pack(value))
        except Exception:  # within the function, it is pickled in another way
            continue
        largest, what = max((largest, what), (size, name))
    return (
        f"{function.name} refers to {what}, {(largest or function.size) / 2**20:.1f} MiB when "
        "pickled: it travels to each worker, and again when it has changed, which takes time; pass "
        "pool.share(...) of it to the items, or load it in worker.setup"
    )


def _travels_by_value(stream: bytes) -> bool:
    """True for cloudpickle's output; a plain pickle of a function is its module and name."""
    return not stream.startswith(PROTO) or b"cloudpickle" in stream


def _state(function: Any) -> tuple[Any, ...]:
    """Return the values that a function refers to, if all are constants; otherwise ().

    States are compared by equality, except that () means unknown, and never counts as equal.
    """
    code = getattr(function, "__code__", None)
    if code is None or any(map(_is_code, code.co_consts)):
        return ()
    values = [function.__globals__.get(name, _MISSING) for name in code.co_names]
    values += [cell.cell_contents for cell in function.__closure__ or () if _filled(cell)]
    values += [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    if not all(map(_is_constant, values)):
        return ()
    return code, function.__defaults__ is None, *map(_distinct, values)


def _distinct(value: Any) -> Any:
    """Return a key that equals only that of the same value and type: 1, 1.0 and True differ."""
    return type(value), repr(value) if type(value) is float else value


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _is_constant(value: Any) -> bool:
    return type(value) in _CONSTANT or value is _MISSING or type(value) is ModuleType


def _is_code(value: Any) -> bool:
    return type(value) is CodeType
