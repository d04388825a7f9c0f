"""The other pools, and ours, behind one small interface: open, map, imap, call.

Every peer is driven by its own documented calls, with two workers. Without a `chunk` nothing is
passed but the function and the items; with one, many short items travel in chunks of that size,
which is what their documentation recommends. A chunk is one unit of work, and of failure, there.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.pools import function_pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Function = Callable[[Any], Any]

WORKERS = 2
_CHUNKS_PER_WORKER = 4


def large_chunk(items: int) -> int:
    """The rule of `multiprocessing.Pool.map`: so large that each worker gets four chunks."""
    return max(-(-items // (WORKERS * _CHUNKS_PER_WORKER)), 1)


@dataclass(frozen=True)
class Settings:
    """How a pool is opened: start method, chunk, and whether a worker takes one item only."""

    context: str = ""
    chunk: int | None = None
    one_item: bool = False

    def refuse_one_item(self, reason: str) -> None:
        """Raise for a peer that cannot do it."""
        if self.one_item:
            raise NotImplementedError(reason)


class Executor:
    """`concurrent.futures.ProcessPoolExecutor`, and loky's, which has the same methods."""

    def __init__(self, pool: Any, settings: Settings) -> None:
        self.pool = pool
        self.settings = settings

    def wait_ready(self) -> None:
        """Wait until every worker has started, where a pool can say so."""

    def map(self, function: Function, items: Sequence[Any]) -> list[Any]:
        """All the answers, in order."""
        return list(self.pool.map(function, items, chunksize=self.settings.chunk or 1))

    def imap(self, function: Function, items: Iterable[Any]) -> Any:
        """An iterator of the answers, in order, as lazy as the pool can be."""
        return iter(self.pool.map(function, items))

    def call(self, function: Function, item: Any) -> Any:
        """One answer, waited for."""
        return self.pool.submit(function, item).result()


class MultiprocessingMap(Executor):
    """`multiprocessing.Pool` by `map`, which cuts its input into chunks by itself."""

    def map(self, function: Function, items: Sequence[Any]) -> list[Any]:
        return list(self.pool.map(function, items, self.settings.chunk))

    def imap(self, function: Function, items: Iterable[Any]) -> Any:
        return iter(self.pool.imap(function, items))

    def call(self, function: Function, item: Any) -> Any:
        return self.pool.apply(function, (item,))


class MultiprocessingImap(MultiprocessingMap):
    """`multiprocessing.Pool` by `imap`, item by item."""

    def map(self, function: Function, items: Sequence[Any]) -> list[Any]:
        return list(self.pool.imap(function, items, self.settings.chunk or 1))


class Pebble(Executor):
    """`pebble.ProcessPool`."""

    def map(self, function: Function, items: Sequence[Any]) -> list[Any]:
        chunk = self.settings.chunk or 1
        return list(self.pool.map(function, items, chunksize=chunk).result())

    def imap(self, function: Function, items: Iterable[Any]) -> Any:
        return iter(self.pool.map(function, items).result())

    def call(self, function: Function, item: Any) -> Any:
        return self.pool.schedule(function, args=[item]).result()


class Mpire(Executor):
    """`mpire.WorkerPool`, its workers kept between calls."""

    def map(self, function: Function, items: Sequence[Any]) -> list[Any]:
        options: dict[str, Any] = {"chunk_size": self.settings.chunk}
        if self.settings.one_item:
            options = {"chunk_size": 1, "worker_lifespan": 1}
        return list(self.pool.map(function, items, concatenate_numpy_output=False, **options))

    def imap(self, function: Function, items: Iterable[Any]) -> Any:
        return iter(self.pool.imap(function, items))

    def call(self, function: Function, item: Any) -> Any:
        return self.pool.apply(function, (item,))


class Joblib(Executor):
    """`joblib.Parallel` with its default backend."""

    def map(self, function: Function, items: Sequence[Any]) -> list[Any]:
        return list(self.imap(function, items))

    def imap(self, function: Function, items: Iterable[Any]) -> Any:
        from joblib import delayed  # type: ignore[import-untyped]

        return iter(self.pool(delayed(function)(item) for item in items))

    def call(self, function: Function, item: Any) -> Any:
        (answer,) = self.map(function, [item])
        return answer


class Ours(Executor):
    """`processpool.ProcessPool`: it has nothing to tune."""

    def wait_ready(self) -> None:
        self.pool.wait_ready()

    def map(self, function: Function, items: Sequence[Any]) -> list[Any]:
        answers: list[Any] = self.pool.map(function, items)
        return answers

    def imap(self, function: Function, items: Iterable[Any]) -> Any:
        return iter(self.pool.imap(function, items))

    def call(self, function: Function, item: Any) -> Any:
        return self.pool.call(function, item)


class OursBySubmit(Ours):
    """`processpool.ProcessPool`, its calls by `submit().result()`."""

    def call(self, function: Function, item: Any) -> Any:
        return self.pool.submit(function, item).result()


@contextmanager
def open_peer(name: str, chunk: int | None = None, one_item: bool = False) -> Iterator[Executor]:
    """Open the pool called `name`; a start method may follow the name, as in `Pool.map spawn`."""
    kind, _, context = name.partition(" ")
    settings = Settings(context, chunk, one_item)
    make, adapter = _PEERS[kind]
    with ExitStack() as stack:
        yield adapter(stack.enter_context(make(settings)), settings)


def _make_executor(settings: Settings) -> Any:
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    tasks = 1 if settings.one_item else None
    context = get_context(settings.context or None)
    return ProcessPoolExecutor(WORKERS, context, max_tasks_per_child=tasks)


def _make_multiprocessing(settings: Settings) -> Any:
    from multiprocessing import get_context

    context: Any = get_context(settings.context or None)
    return context.Pool(WORKERS, maxtasksperchild=1 if settings.one_item else None)


def _make_loky(settings: Settings) -> Any:
    from loky import get_reusable_executor  # type: ignore[import-untyped]

    settings.refuse_one_item("loky has no limit on a worker's items")
    return get_reusable_executor(WORKERS)


def _make_pebble(settings: Settings) -> Any:
    from pebble import ProcessPool

    return ProcessPool(WORKERS, max_tasks=1 if settings.one_item else 0)


def _make_mpire(settings: Settings) -> Any:
    from mpire.pool import WorkerPool

    return WorkerPool(WORKERS, keep_alive=True)


def _make_joblib(settings: Settings) -> Any:
    from joblib import Parallel

    settings.refuse_one_item("joblib has no limit on a worker's items")
    way = settings.context or "list"
    if settings.chunk:
        batches = {"batch_size": settings.chunk, "pre_dispatch": "all"}
        return Parallel(WORKERS, return_as=way, **batches)
    return Parallel(WORKERS, return_as=way)


def make_ours(settings: Settings | None = None) -> Any:
    """Build, without opening it, a function pool of ours."""
    if settings and settings.one_item:
        return function_pool(WORKERS, recycle={"after_requests": 1, "jitter": 0})
    return function_pool(WORKERS)


def _make_drop_in(settings: Settings) -> Any:
    from processpool import ProcessPoolExecutor

    return ProcessPoolExecutor(WORKERS, max_tasks_per_child=1 if settings.one_item else None)


_PEERS: dict[str, tuple[Callable[[Settings], Any], Callable[[Any, Settings], Executor]]] = {
    "ProcessPoolExecutor": (_make_executor, Executor),
    "Pool.map": (_make_multiprocessing, MultiprocessingMap),
    "Pool.imap": (_make_multiprocessing, MultiprocessingImap),
    "loky": (_make_loky, Executor),
    "pebble": (_make_pebble, Pebble),
    "mpire": (_make_mpire, Mpire),
    "joblib": (_make_joblib, Joblib),
    "processpool": (make_ours, Ours),
    "processpool.submit": (make_ours, OursBySubmit),
    "processpool.ProcessPoolExecutor": (_make_drop_in, Executor),
}
"""First word of a peer's name → what builds the pool, and the adapter that drives it."""

MODULES = {
    "ProcessPoolExecutor": "concurrent.futures.process",
    "Pool.map": "multiprocessing.pool",
    "loky": "loky",
    "pebble": "pebble",
    "mpire": "mpire",
    "joblib": "joblib",
    "processpool": "processpool",
}
"""What a script imports to have the pool."""
