"""The ways to get many answers from a pool: maps, also under asyncio."""

from __future__ import annotations

import sys
from functools import cache

from processpool.api.asking import AskedPool
from processpool.api.late import late
from processpool.api.leaves import leaf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from dataclasses import replace
    from types import EllipsisType
    from typing import Any, Unpack

    from processpool.api.async_maps import AsyncMap
    from processpool.api.call_forms import Items
    from processpool.api.eager_map import EagerMap
    from processpool.api.followers import together
    from processpool.api.item_notes import Naming
    from processpool.api.journal_options import (
        JournalKeywords,
        JournalOptions,
        Path,
        journal_options,
    )
    from processpool.api.journaling import MapJournal
    from processpool.api.lazy_map import LazyMap
    from processpool.api.map_job import OnError, trimmed
    from processpool.api.maps import MapOptions, MapRun
    from processpool.api.names import name_of, secrets_of
    from processpool.api.outcomes import retrying
    from processpool.api.seconds import bounded
    from processpool.api.terms import terms_of
    from processpool.api.view import Follower
    from processpool.core.terms import Terms

late(
    globals(),
    {
        "dataclasses": "replace",
        "processpool.api.eager_map": "EagerMap",
        "processpool.api.followers": "together",
        "processpool.api.item_notes": "Naming",
        "processpool.api.journal_options": "journal_options",
        "processpool.api.lazy_map": "LazyMap",
        "processpool.api.map_job": "trimmed",
        "processpool.api.maps": "MapOptions MapRun",
        "processpool.api.names": "name_of secrets_of",
        "processpool.api.outcomes": "retrying",
        "processpool.api.seconds": "bounded",
        "processpool.api.terms": "terms_of",
    },
)

_NOTEBOOKS = ("ipykernel", "marimo")
"""Modules of which one is imported where cells are run."""


class MappedPool(AskedPool):
    """A pool that takes many requests at once, and gives their answers."""

    def map(
        self,
        *args: Any,
        timeout: float | str | EllipsisType | None = ...,
        on_error: OnError = "raise",
        progress: bool | str | None = None,
        details: bool = False,
        echo: bool = False,
        chunksize: int | None = None,
        priority: int | EllipsisType = ...,
        journal: Path | None = None,
        **keeping: Unpack[JournalKeywords],
    ) -> Any:
        """Send many requests, and wait for all answers.

            pool.map(function, *iterables)  # a pool of functions: called as by the built-in map
            pool.map(messages)              # a pool of a program, or with a handler

        Args:
            *args: a function and one iterable for each of its parameters; or the messages, as one
                iterable. A handler of several parameters takes as many iterables.
            timeout: seconds that one item may take, instead of `timeouts.request`; or a duration
                such as "30s".
            on_error: `raise` stops the map at the first error; `return` puts the error in the
                item's place; `skip` leaves the item out.
            progress: in a notebook, the cell shows how far the map is, and keeps its record: of
                maps that take a moment (None), of all (True, or a string as its label) or of none
                (False). Elsewhere, True and a string show a progress bar on stderr.
            details: `Outcomes` instead of values: a sequence of records.
            echo: show here, line by line, what the items print while they run; of a command what
                it wrote to stderr, when it has answered.
            chunksize: accepted, and of no effect: fast items travel together by themselves.
            priority: items with a higher one go first, also before what workers have not begun;
                0 where none is given.
            journal: a file that keeps the answers: what is in there already is not run again.
            **keeping: how the journal is kept; see `JournalKeywords`.

        Returns:
            The answers, in the order of the items.

        Raises:
            JournalError: the journal is damaged, in use, of something else, or cannot be written.
        """
        _note_chunks(chunksize)
        terms = self._terms_with(priority)
        options = MapOptions(
            self._seconds(timeout), on_error, progress, details, echo=echo, terms=terms
        )
        keep = journal_options("map", journal, keeping)
        items = self._form.many("map", args)
        self._engine.require_open()
        run = self._eager_map(items, options, keep, args)
        try:
            return run.collect(bar=self._has_bar(run))
        except BaseException as error:
            __tracebackhide__ = True
            run.abort(error)
            if not isinstance(error, Exception):
                raise
            raise trimmed(error)  # noqa: B904 - it is the same one

    def imap(
        self,
        *args: Any,
        timeout: float | str | EllipsisType | None = ...,
        on_error: OnError = "raise",
        progress: bool | str | None = None,
        details: bool = False,
        buffersize: int | None = None,
        echo: bool = False,
        chunksize: int | None = None,
        priority: int | EllipsisType = ...,
        journal: Path | None = None,
        **keeping: Unpack[JournalKeywords],
    ) -> Generator[Any]:
        """Like `map`, lazily: answers in order, as they come; the input may be endless.

            pool.imap(function, *iterables)
            pool.imap(messages)

        Args:
            *args: as of `map`.
            timeout: as in `map`.
            on_error: as in `map`; with `raise`, whatever item fails stops the map, and of those
                that have begun by then the first in order that fails is raised, in its turn.
            progress: as in `map`.
            details: as in `map`.
            buffersize: items read from the input beyond what was yielded; if not given, as many
                as keep the workers busy.
            echo: as in `map`; it is shown when the next answer is asked for.
            chunksize: as in `map`.
            priority: as in `map`.
            journal: as in `map`; an answer is in there before it is yielded.
            **keeping: as in `map`.
        """
        _note_chunks(chunksize)
        seconds = self._seconds(timeout)
        terms = self._terms_with(priority)
        options = MapOptions(
            seconds, on_error, progress, details, buffersize, echo=echo, terms=terms
        )
        return self._lazy_map("imap", args, options, journal_options("imap", journal, keeping))

    def imap_unordered(
        self,
        *args: Any,
        timeout: float | str | EllipsisType | None = ...,
        on_error: OnError = "raise",
        progress: bool | str | None = None,
        details: bool = False,
        buffersize: int | None = None,
        echo: bool = False,
        chunksize: int | None = None,
        priority: int | EllipsisType = ...,
        journal: Path | None = None,
        **keeping: Unpack[JournalKeywords],
    ) -> Generator[Any]:
        """Like `imap`, but each answer as soon as it is there, in any order."""
        _note_chunks(chunksize)
        seconds = self._seconds(timeout)
        terms = self._terms_with(priority)
        options = MapOptions(
            seconds, on_error, progress, details, buffersize, ordered=False, echo=echo, terms=terms
        )
        keep = journal_options("imap_unordered", journal, keeping)
        return self._lazy_map("imap_unordered", args, options, keep)

    def _eager_map(
        self, items: Items, options: MapOptions, keep: JournalOptions | None, args: tuple[Any, ...]
    ) -> EagerMap:
        options = self._complete(options, items, args)
        if keep is None:
            return EagerMap(self._engine, items, options)
        from processpool.api.journaled import JournaledEagerMap

        return JournaledEagerMap(self._engine, items, options, self._journal(keep, items, args))

    def _lazy_map(
        self,
        method: str,
        args: tuple[Any, ...],
        options: MapOptions,
        keep: JournalOptions | None,
    ) -> Generator[Any]:
        items = self._form.many(method, args)
        self._engine.require_open()
        options = self._complete(options, items, args)
        if keep is None:
            run = LazyMap(self._engine, items, options)
        else:
            from processpool.api.journaled import JournaledLazyMap

            run = JournaledLazyMap(self._engine, items, options, self._journal(keep, items, args))
        return run.results(bar=self._has_bar(run))

    def _complete(self, options: MapOptions, items: Items, args: tuple[Any, ...]) -> MapOptions:
        """Add what the items are called, and what runs them once more."""
        function = args[:1] if items.task_is_given else ()
        retry = retrying(self._viewed or self, function, options.timeout, options.terms)
        naming, follower = self._naming(items, options), self._follower(options)
        return replace(options, naming=naming, retry=retry, follower=follower)

    def _follower(self, options: MapOptions) -> Follower | None:
        """Return what follows a map; in a notebook, it is also shown in the running cell."""
        if options.progress is False or sys.modules.keys().isdisjoint(_NOTEBOOKS):
            return together(self._followers)
        shown = leaf("display").follower(self._viewed or self)
        return together([*self._followers, *([] if shown is None else [shown])])

    def _has_bar(self, run: MapRun) -> bool:
        """Return whether a map may have a progress bar: if nothing else shows it."""
        return not (run.is_followed or self._is_on_show)

    def _naming(self, items: Items, options: MapOptions) -> Naming:
        label = options.progress if isinstance(options.progress, str) else ""
        name = label or options.terms.name or name_of(self.config, items.task)
        return Naming(name, is_map=True, secrets=secrets_of(self.config))

    def _journal(self, keep: JournalOptions, items: Items, args: tuple[Any, ...]) -> MapJournal:
        from processpool.api.journaling import MapJournal, identity_of

        return MapJournal(keep, items, identity_of(self.config, args[0]))

    def aimap(
        self,
        *args: Any,
        timeout: float | str | EllipsisType | None = ...,
        on_error: OnError = "raise",
        progress: bool | str | None = None,
        details: bool = False,
        buffersize: int | None = None,
        chunksize: int | None = None,
        priority: int | EllipsisType = ...,
        journal: Path | None = None,
        **keeping: Unpack[JournalKeywords],
    ) -> AsyncGenerator[Any]:
        """Like `imap`, for asyncio: `async for answer in pool.aimap(...)`, in order.

        The input may be endless, and asynchronous. Leaving the loop early stops what has not
        started; cancelling the task ends running items as well.

        Args:
            *args: as of `imap`.
            timeout: as in `map`.
            on_error: as in `map`.
            progress: as in `map`.
            details: as in `map`.
            buffersize: as in `imap`.
            chunksize: as in `map`.
            priority: as in `map`.
            journal: as in `imap`.
            **keeping: as in `map`.
        """
        from processpool.api.async_maps import AsyncMap, aimap

        _note_chunks(chunksize)
        seconds = self._seconds(timeout)
        terms = self._terms_with(priority)
        options = MapOptions(seconds, on_error, progress, details, buffersize, terms=terms)
        keep = journal_options("aimap", journal, keeping)
        self._engine.require_open()

        def make_map(items: Items) -> AsyncMap:
            named = self._complete(options, items, args)
            if keep is None:
                return AsyncMap(self._engine, items, named)
            from processpool.api.journaled import JournaledAsyncMap

            kept = self._journal(keep, items, args)
            return JournaledAsyncMap(self._engine, items, named, kept)

        return aimap(self._form, args, make_map)

    def _seconds(self, timeout: float | str | EllipsisType | None) -> float | None:
        """What `timeout=` of a map means."""
        return self._timeout if timeout is ... else bounded(timeout, "timeout")

    def _terms_with(self, priority: int | EllipsisType) -> Terms:
        """What `priority=` of a map means."""
        return terms_of(self._terms, self.config.retry, priority=priority)


@cache
def _tell_of_chunks() -> None:
    import logging

    log = logging.getLogger("processpool")
    log.info("chunksize has no effect: fast items travel together by themselves")


def _note_chunks(chunksize: int | None) -> None:
    """Whoever comes from another pool may be used to give it."""
    if chunksize is not None:
        _tell_of_chunks()
