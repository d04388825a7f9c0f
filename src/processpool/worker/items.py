"""The items of a request, one after another: the loops that call the user's function.

`_singly` handles anything: it stores which item begins, checks what it has printed, and sends
answers while others are computed. `_fill` and `_append` answer a run of fast items that return
small values: there an item costs its call and one store. The items of a run check nothing. If the
pool wants some of them back, it removes their marks; and whatever is unusual cuts the run short, so
that the next store raises and that answer is given in the usual way.
"""

from __future__ import annotations

import marshal
from itertools import chain, compress
from time import monotonic_ns

from processpool.wire.in_text import RETIREMENT
from processpool.wire.python import layout
from processpool.wire.python.layout import SHORT_VERSION
from processpool.wire.python.pickling import dumps
from processpool.wire.python.raised import describe
from processpool.wire.python.unpacker import Unpacker
from processpool.worker.current import NO_ITEM
from processpool.worker.output import SLOW

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from processpool.wire.python.journal import Journal
    from processpool.worker.answers import Answers

    Run = tuple[int, int, Any]
    """How many answers are stored; VALUE or RAISED, if the item behind them has ended too, and
    its answer is not; what that is: its value, or what it has raised, as `describe` has it."""

FLUSH_AFTER, FEW, FLUSH_AT_LAST = 2_000_000, 3, 8_000_000
"""Nanoseconds that an answer waits to be sent, while others are made; as long as they are few, it
waits longer, since each time the pool wakes up takes CPU time from the workers."""
FIRST = 64
"""Items of each function that are checked for what C code has printed, however fast."""
ALWAYS = 1 << 60
WORTH_A_RUN = 8
"""Items in a request from which on they are answered in a run."""
LOOKED_AT = 8
"""Items of a request, at most, whose types are looked at before a run."""
ATTEMPTS = 16
"""Runs in one request: each begins with a look at all of its items."""
REST = 8
"""Requests that are answered singly, after one whose run was cut short by what an item did."""
VALUE, RAISED = 1, 2
_SIMPLE = frozenset({int, float, bool, str, bytes, type(None)})
"""What can be stored as it is: of these types exactly, as of a subclass the class would be lost."""
_COLUMNS = {int: layout.INTS, float: layout.FLOATS}
_TYPES = {layout.INTS: int, layout.FLOATS: float}
_STARTED, _LENGTH, _WANTED = layout.STARTED, layout.LENGTH, layout.WANTED


class Habit:
    """A function as its items call it, and what is known about these."""

    __slots__ = ("asked", "call", "each", "kind", "rest")

    def __init__(
        self,
        function: Callable[..., Any],
        style: int,
        drain: Callable[[Any], Any] | None = None,
    ) -> None:
        """`drain` is applied to what it returns."""
        self.call = _spread(function, style)
        if drain is not None:
            call, finish = self.call, drain
            self.call = lambda item: finish(call(item))
        """The function of one argument that an item is."""
        self.asked = FIRST
        """How many more items are checked for what C code has printed."""
        self.each = SLOW
        """Nanoseconds that a recent item took."""
        self.kind = 0
        """The kind of frame that suits recent values; 0 if they are not simple."""
        self.rest = 0
        """Requests that are still to be answered singly."""

    def suits_a_run(self, items: list[Any]) -> bool:
        """True if items are fast, and most likely return small values, and do nothing else.

        Of a run each item lives as long as the run, so they must be simple themselves.
        """
        if len(items) < WORTH_A_RUN or self.asked > 0 or self.each >= SLOW or not self.kind:
            return False
        if self.rest:
            self.rest -= 1
            return False
        some = items[:: -(-len(items) // LOOKED_AT)]
        if type(some[0]) is tuple:
            some = list(chain.from_iterable(item for item in some if type(item) is tuple))
        return _SIMPLE.issuperset(map(type, some))

    def learn(self, count: int, nanoseconds: int) -> None:
        """Learn that `count` items took `nanoseconds`."""
        self.each = nanoseconds // count
        self.asked -= count

    def returned(self, kind: type) -> None:
        """Learn that an item has returned a value of this type."""
        self.kind = _COLUMNS.get(kind, layout.SHORT) if kind in _SIMPLE else 0


class Items:
    """Answers the items of one worker."""

    def __init__(self, journal: Journal, answers: Answers) -> None:
        self.started = 0
        """The number of the last item that has begun."""
        self.at = 0, 1
        """The index in its map of the first item of the request, and which attempt this is."""
        self._journal = journal
        self._answers = answers
        self._batch = -1
        self.retired = False
        """True once an item has asked for another worker: nothing more begins here."""
        self._first = 0
        """The number of the request's first item; 0 between two requests."""

    def answer(self, habit: Habit, items: list[Any], batch: int, *, run: bool) -> None:
        """Answer the items of a request.

        Args:
            habit: what they call.
            items: their arguments; the list is emptied.
            batch: the number under which the pool may want them back; 0 for a call's one item.
            run: whether the pool can do without the time at which each of them begins.
        """
        self._batch = batch or -1
        self._first = self.started + 1
        if run and habit.suits_a_run(items):
            items = self._in_runs(habit, items)
        if items:
            self._singly(habit, items)
        self._first = 0

    def disown(self) -> None:
        """In a fork that an item made: it has no item."""
        self.current = lambda: NO_ITEM  # type: ignore[method-assign]

    def current(self) -> tuple[int | None, int | None]:
        """The index and the attempt of the item that is running, if one is; it ends a run."""
        if not self._first:
            return NO_ITEM
        index, attempt = self.at
        return index + self._journal.cut_short() - self._first, attempt

    # -- one by one ------------------------------------------------------------------------------

    def _singly(self, habit: Habit, items: list[Any]) -> None:
        journal, answers, clock = self._journal, self._answers, monotonic_ns
        call, flags = habit.call, answers.output.flags
        page, memory, limit = journal.page, journal.memory, len(journal.memory)
        started, batch = self.started, self._batch
        kind: type = object
        flushed_at = before = clock()
        items.reverse()  # taken from the end, so that no item outlives its call
        while items:
            self.started = started = started + 1
            page[_STARTED] = started
            if page[_WANTED] == batch:
                self._give_back(begun=1)
                return
            try:
                value = call(items.pop())
            except BaseException as error:
                raised = describe(error, globals())
                answers.reply(None, raised)
                if raised[1] == RETIREMENT:
                    self._retire(items)
                    return
                now = clock()
                del raised
            else:
                now = clock()
                kind = type(value)
                if flags[0] or (now - before > flags[1] and self._has_printed()):
                    answers.reply(value, None)
                elif kind in _SIMPLE:
                    body = dumps(value, 3)[2:-1]
                    end = journal.length + len(body)
                    if end <= limit and journal.kind == 1:
                        memory[journal.length : end] = body
                        page[_LENGTH] = journal.length = end
                        journal.count += 1
                    else:
                        answers.value(value, body)
                else:
                    answers.value(value)
                del value
            waited = now - flushed_at
            if waited > FLUSH_AFTER and (journal.count > FEW or waited > FLUSH_AT_LAST):
                journal.flush()
                now = flushed_at = clock()
            before = now
        habit.returned(kind)

    def _give_back(self, begun: int = 0) -> None:
        """The pool wants what has not begun; an item among it that was about to is not counted."""
        self.started -= begun
        self._journal.page[_STARTED] = self.started
        self._journal.flush()
        self._journal.send(layout.BACK, self._batch)

    def _retire(self, rest: list[Any]) -> None:
        """An item has asked for another worker, which is to have the rest of the request, too."""
        self.retired = True
        if rest:
            self._give_back()

    def _has_printed(self) -> bool:
        """Whether the item that has just ended has printed something, by whatever means."""
        self._answers.output.own(self.started)
        return self._answers.output.any()

    # -- in runs ---------------------------------------------------------------------------------

    def _in_runs(self, habit: Habit, items: list[Any]) -> list[Any]:
        """Answer items in as few runs as possible; those that are left are for `_singly`."""
        journal, page = self._journal, self._journal.page
        for _ in range(ATTEMPTS):
            if not items or self._answers.output.flags[0]:
                break
            some = items if len(items) <= layout.MARKS_SIZE else items[: layout.MARKS_SIZE]
            room, length = journal.begin_run(habit.kind, len(some))
            if page[_WANTED] == self._batch:
                journal.end_run(0, 0)
                self._give_back()
                return []
            began = monotonic_ns()
            if habit.kind == layout.SHORT:
                run = _append(habit.call, some, journal, room, length)
            else:
                run = _fill(habit.call, some, _TYPES[habit.kind], journal, room)
            answered, left, what = run
            begun = answered + bool(left)
            cut_short, wanted = journal.is_cut_short, begun < len(some) and not left
            journal.pace = (monotonic_ns() - began) // max(begun, 1)
            journal.end_run(answered, begun)
            self.started += begun
            del items[:begun]
            if left:
                self._answer_left(habit, left, what)
                if left == RAISED and what[1] == RETIREMENT:
                    self._retire(items)
                    return []
            elif wanted and page[_WANTED] == self._batch:
                self._give_back()
                return []
            if cut_short or not habit.kind:
                habit.rest = REST
                break
        return items

    def _answer_left(self, habit: Habit, left: int, what: Any) -> None:
        """Answer the item that a run has stopped at."""
        if left == RAISED:
            self._answers.reply(None, what)
            return
        habit.kind = layout.SHORT if type(what) in _SIMPLE else 0
        if self._answers.output.flags[0]:
            self._answers.reply(what, None)
        else:
            self._answers.value(what)


def _fill(
    call: Callable[[Any], Any], items: list[Any], kind: type, journal: Journal, cells: Any
) -> Run:
    """Answer items whose values are of this type, each by its cell in a column."""
    n = -1
    try:
        # `compress` looks at the mark of an item when that is about to begin, and no sooner.
        for n, item in enumerate(compress(items, journal.marks)):
            value = call(item)
            if type(value) is not kind:
                return n, VALUE, value
            try:  # costs nothing unless it raises, which tells `call` and store apart
                cells[n] = value
            except ValueError:  # more than 64 bits, or the run was cut short
                return n, VALUE, value
    except BaseException as error:
        if n < 0 or not journal.is_blank(n):  # a handler of signals, between two items
            raise
        return n, RAISED, describe(error, globals())
    return n + 1, 0, None


def _append(
    call: Callable[[Any], Any],
    items: list[Any],
    journal: Journal,
    memory: memoryview,
    length: memoryview,
) -> Run:
    """Answer items whose values are simple and small, one behind the other."""
    dumps, simple = marshal.dumps, _SIMPLE
    n = answered = -1
    end = 0
    try:
        for n, item in enumerate(compress(items, journal.marks)):
            value = call(item)
            if type(value) not in simple:
                return n, VALUE, value
            body = dumps(value, SHORT_VERSION)
            begin, end = end, end + len(body)
            try:
                memory[begin:end] = body
                length[0] = end
            except ValueError:  # no room is left, or the run was cut short
                return n, VALUE, value
            answered = n
    except BaseException as error:
        if n == answered:  # a handler of signals, between two items
            raise
        return n, RAISED, describe(error, globals())
    return n + 1, 0, None


def _spread(function: Callable[..., Any], style: int) -> Callable[[Any], Any]:
    """The function of one argument that an item is."""
    call: Callable[[Any], Any] = function
    if style & 3 == layout.STAR:
        call = lambda item: function(*item)  # noqa: E731
    elif style & 3 == layout.FULL:
        call = lambda item: function(*item[0], **item[1])  # noqa: E731
    if not style & layout.PICKLED:
        return call
    unpack = Unpacker().unpack
    return lambda item: call(unpack(item))
