"""Functions on their way to the workers: pickled once, sent once to each worker.

A function that can be imported travels by its name. One from `__main__`, a notebook cell, a lambda
or a closure travels by value, with what it refers to. So before each use it is checked whether the
value is still the same; a function whose cell was edited and run again, or whose globals have
changed, is sent again. `watching` sees this without pickling where it can. Where only pickling
tells, and takes long, single calls do it now and then, and maps always.
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
from processpool.wire.python.layout import FULL
from processpool.wire.python.remote_errors import add_note
from processpool.wire.python.sources import Sources, sources_of
from processpool.wire.python.unpicklable import find
from processpool.wire.python.watching import Watch

if TYPE_CHECKING:
    from collections.abc import Callable

QUICK = 0.02
"""Seconds that pickling a function may take before every call."""
PAUSE, LONGEST_PAUSE = 10, 1.0
"""If it takes longer, it is not repeated for this many times as long; seconds, at most."""
LARGE = 1024 * 1024
"""Bytes that travel with a function from which on the user is told."""
DIGESTED = 64 * 1024
"""Bytes of a pickle of which only a digest is kept."""
RECHECK = 50e-6
"""Seconds for which a look at a source file is good."""
KEPT = 256
KEPT_SIZE = 64 * 1024 * 1024
"""Functions, and bytes of their pickles, that are kept for the next use."""
_CONSTANT = (int, float, str, bytes, bool, type(None))
_MISSING = object()
_UNCHANGING = (FunctionType, BuiltinFunctionType, type)
"""What is the same as long as its name and its `_state` are; others may change inside."""


class _Known:
    """A pickled function: what workers know it by, and how to see that it has changed."""

    __slots__ = ("_due", "_pause", "alive", "function", "seconds", "state", "watch")

    def __init__(
        self, alive: ref[Any], function: Function, state: tuple[Any, ...] | None, seconds: float
    ) -> None:
        """`state` is None if it travels by its name; pickling it has taken so many seconds."""
        self.alive = alive
        self.function = function
        self.state = state
        self.watch: Watch | None = None
        self.seconds = seconds
        self._pause = min(seconds * PAUSE, LONGEST_PAUSE)
        self._due = monotonic() + self._pause

    def is_as_it_was(self, function: Any, *, exactly: bool) -> bool:
        """True if it need not be pickled; unless `exactly`, a change inside may be seen late."""
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
        return watch.is_exact or (not due and self.seconds > QUICK)


class Function:
    """A function as workers know it: a number, and the parts of its pickle."""

    __slots__ = ("looked_at", "name", "number", "parts", "size", "sources", "task")

    def __init__(
        self, number: int, parts: list[Any], name: str, sources: tuple[str, ...] = ()
    ) -> None:
        self.number = number
        self.parts = parts
        self.name = name
        self.size = sum(len(part) for part in parts)
        """Bytes of its pickle."""
        self.sources = sources
        """Files that it runs the code of, besides what travels with it."""
        self.looked_at = 0.0
        """When its source was last found unchanged."""
        self.task = Task(self, FULL)
        """What is to be done with a single item."""

    def __repr__(self) -> str:
        return f"<Function {self.number} {self.name}>"


class Task(NamedTuple):
    """What is to be done with the items of a job: the function, and how an item is its argument."""

    function: Function
    style: int


Request = tuple[Any, Task | None]
"""One item, packed; and what is to be done with it, where workers must be told."""

HANDLER = Function(0, [], "handler")
"""The function that the pool's YAML names; every worker has it from its start."""


class Functions:
    """The functions that a pool has been given so far."""

    def __init__(
        self, sources: Sources | None = None, tell: Callable[[str], object] | None = None
    ) -> None:
        """`tell` takes what the user should know of them, in a sentence."""
        self._tell = tell
        self._numbers = count(1)
        self._known: dict[int, _Known] = {}
        self._told: set[str] = set()
        """Names of the functions that were reported as large."""
        self._by_value: dict[bytes, Function] = {}
        self._kept_size = 0
        self._adding = RLock()
        self.sources = sources or Sources()

    def get(self, function: Callable[..., Any], *, exactly: bool = False) -> Function:
        """Return the function as workers know it.

        Args:
            function: what is to be called.
            exactly: see also what was changed a moment ago within something large.

        Raises:
            Exception: it cannot be pickled.
        """
        known = self._known.get(id(function))
        if known is not None and known.is_as_it_was(function, exactly=exactly):
            return known.function
        return self._add(function)

    def changed_source(self, function: Function) -> bool:
        """True if the file of the function's module was changed since this was last asked."""
        now = monotonic()
        if now - function.looked_at < RECHECK:
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
        """Remember the function, so that it need not be pickled before its next use."""
        alive = ref(function, partial(self._forget, id(function)))
        state = _state(function) if by_value else None
        kept = self._known[id(function)] = _Known(alive, known, state, seconds)
        if state == ():
            kept.watch = Watch(function)
            if known.size >= LARGE and known.name not in self._told:
                self._told.add(known.name)
                if self._tell is not None:
                    self._tell(_size_in_words(known, kept.watch))

    def _make_room(self, size: int) -> None:
        """Drop the least recently used."""
        self._kept_size += size
        kept = self._by_value
        while kept and (len(kept) >= KEPT or self._kept_size > KEPT_SIZE):
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
    """What is the same only for the same pickle: that itself, or a digest."""
    if sum(len(part) for part in parts) < DIGESTED:
        return b"".join(bytes(part) for part in parts)
    from hashlib import blake2b

    digest = blake2b()
    for part in parts:
        digest.update(b"%d " % len(part))
        digest.update(part)
    return digest.digest()


def _size_in_words(function: Function, watch: Watch) -> str:
    """Say what makes a function so large."""
    largest, what = 0, "something"
    for name, value in watch.named:
        try:
            size = sum(len(part) for part in pickling.pack(value))
        except Exception:  # it is sent another way within the function
            continue
        largest, what = max((largest, what), (size, name))
    return (
        f"{function.name} refers to {what}, {(largest or function.size) / LARGE:.1f} MiB when "
        "pickled: it travels to each worker, and again when it has changed, which takes time; pass "
        "pool.share(...) of it to the items, or load it in worker.setup"
    )


def _travels_by_value(stream: bytes) -> bool:
    """True for what cloudpickle wrote; plain pickles of functions are a module and a name."""
    return not stream.startswith(PROTO) or b"cloudpickle" in stream


def _state(function: Any) -> tuple[Any, ...]:
    """Return what a function refers to, if it is all constant; else nothing: check it each time.

    Compared by equality: two empty results never count as the same.
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
    """Something that equals only the same value of the same type: 1, 1.0 and True are three."""
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
