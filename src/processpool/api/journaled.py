"""Maps that keep a journal: what is answered there already is not run again."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.api.async_maps import AsyncMap
from processpool.api.eager_map import EagerMap
from processpool.api.journaling import MapJournal, spans
from processpool.api.lazy_map import LazyMap
from processpool.api.map_job import MapJob
from processpool.api.map_state import Run
from processpool.api.maps import MapRun
from processpool.core.jobs import Batch, Origin
from processpool.core.replies import has_failed
from processpool.journal.recorded import is_plain

if TYPE_CHECKING:
    from processpool.api.call_forms import Items
    from processpool.api.map_input import InputChunk
    from processpool.api.map_state import Chunk
    from processpool.api.maps import MapOptions
    from processpool.engine.backend import Backend
    from processpool.errors import JournalError

REPLAYED = 1024
"""Items read ahead while they are answered already."""


class _Journaled(MapJob):
    """What maps with a journal have in common."""

    _journal: MapJournal
    _details: bool
    _replays = False
    """True if the items that were read last had their answers already."""

    def deliver(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        """Note answers, and take them."""
        self._journal.note_all(batch.start, answers, origin, cancelled=self.cancelled)
        self._journal.plan(self._engine, self._fail)
        super().deliver(batch, answers, origin)  # type: ignore[safe-super]

    def _ahead(self) -> int:
        ahead = super()._ahead()
        return max(ahead, REPLAYED) if self._replays and self._buffersize is None else ahead

    def _sort(self, start: int, chunk: InputChunk) -> list[Batch]:
        """Answer the items that are answered already, and return the others."""
        journal = self._journal
        keys = journal.keys_of(chunk)
        found = journal.look_up(keys)
        self._replays = found is not None
        now = monotonic()
        if found is None:
            journal.expect(start, keys)
            return [Batch(self, start, chunk.payloads, now)]
        batches = []
        for begin, end, is_done in spans(found):
            if is_done:
                self._replay(start + begin, found[begin:end], chunk.items[begin:end])
            else:
                journal.expect(start + begin, keys[begin:end])
                batches.append(Batch(self, start + begin, chunk.payloads[begin:end], now))
        return batches

    def _replay(self, start: int, answers: list[Any], items: list[Any]) -> None:
        """Items have these answers, from an earlier run."""
        plain = is_plain(answers)
        if plain and not self._details:
            self._put_back(start, answers)
            return
        now = monotonic()
        failed = 0 if plain else sum(map(has_failed, answers))
        origin = Origin(0, 0, now, now, plain=plain, failed=failed)
        batch = Batch(self, start, (None,) * len(answers), now)
        self._put_back(start, Run(batch, answers, origin, items))

    def _put_back(self, start: int, answers: Chunk) -> None:
        raise NotImplementedError

    def _fail(self, error: JournalError) -> None:
        """The journal cannot be written: that ends the map."""
        raise NotImplementedError

    def _vanish(self) -> None:
        super()._vanish()
        self._journal.close()


class _JournaledRun(_Journaled, MapRun):
    """A map that its consumer's thread runs."""

    def put(self, index: int, value: Any) -> None:
        """Note a value, and put it down."""
        self._journal.note(index, value)
        self._journal.plan(self._engine, self._fail)
        super().put(index, value)

    def _submit(self, start: int, chunk: InputChunk) -> None:
        for batch in self._sort(start, chunk):
            self._engine.submit(batch)

    def _put_back(self, start: int, answers: Chunk) -> None:
        with self._lock:
            if isinstance(answers, Run):
                self._state.record(answers)
            else:
                self._state.put_run(start, answers)
        if self._state.failure is not None and not self.cancelled:
            self._cancel_soon()

    def _fail(self, error: JournalError) -> None:
        with self._lock:
            self._state.stop(error)
            self._lock.notify_all()
        self._cancel_soon()

    def _next(self) -> list[Chunk] | None:
        found = super()._next()
        self._journal.flush()
        return found


class JournaledEagerMap(_JournaledRun, EagerMap):
    """`pool.map(..., journal=...)`."""

    def __init__(
        self, engine: Backend, items: Items, options: MapOptions, journal: MapJournal
    ) -> None:
        super().__init__(engine, items, options)
        self._journal = journal


class JournaledLazyMap(_JournaledRun, LazyMap):
    """`pool.imap(..., journal=...)`, and `imap_unordered`."""

    def __init__(
        self, engine: Backend, items: Items, options: MapOptions, journal: MapJournal
    ) -> None:
        super().__init__(engine, items, options)
        self._journal = journal


class JournaledAsyncMap(_Journaled, AsyncMap):
    """`pool.aimap(..., journal=...)`."""

    def __init__(
        self, engine: Backend, items: Items, options: MapOptions, journal: MapJournal
    ) -> None:
        super().__init__(engine, items, options)
        self._journal = journal
        self._details = options.details

    async def _submit_items(self, start: int, chunk: InputChunk) -> None:
        for batch in self._sort(start, chunk):
            await self._submit_batch(batch)

    def _put_back(self, start: int, answers: Chunk) -> None:
        with self._lock:
            if isinstance(answers, Run):
                self._state.record(answers)
            else:
                self._state.put_run(start, answers)
        self._news.set()

    def _fail(self, error: JournalError) -> None:
        with self._lock:
            self._state.stop(error)
        self._tell_consumer()
        self._cancel_soon()

    async def _next(self) -> list[Chunk] | None:
        found = await super()._next()
        self._journal.flush()
        return found
