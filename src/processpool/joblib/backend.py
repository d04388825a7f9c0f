"""`ProcessPoolBackend`: joblib's tasks as items of a pool that all calls of `Parallel` share.

    Parallel ──batches──▶ backend ──submit──▶ executor ──▶ pool
        ◀──────callback─────────────────────────┘

Two rules hold here. Large arrays go to shared memory once for each call of `Parallel`, and arrive
read-only, as joblib has it. And a task whose worker ends fails with `WorkerDied`, the pool goes on.
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import Condition
from typing import TYPE_CHECKING, Any

from joblib.parallel import (
    FallbackToBackend,
    ParallelBackendBase,
    SequentialBackend,
)

from processpool.joblib.arrays import SharedArrays, nbytes_of
from processpool.joblib.reused import ReusedPool
from processpool.system.cpus import usable_cpus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

REUSED = ReusedPool()
"""The pool of this process, which the next call of `Parallel` finds with its workers ready."""
MIN_SECONDS, MAX_SECONDS = 0.02, 1.0
"""The times between which a batch should take."""
MAX_GROWTH = 4
"""By how much the next batch may be larger."""
_OF_PARALLEL = ("context", "mmap_mode", "prefer", "require", "temp_folder", "verbose")
"""Options of `Parallel` that it hands to every backend."""


class ProcessPoolBackend(ParallelBackendBase):  # type: ignore[misc]
    """Runs the tasks of `Parallel` in worker processes."""

    supports_retrieve_callback = True
    supports_inner_max_num_threads = True

    def __init__(self, **options: Any) -> None:
        """`options` are joblib's, and keywords of `ProcessPool` such as `limits` or `setup`."""
        super().__init__(**options)
        self._arrays: SharedArrays | None = None
        self._batches = BatchSize()
        self._running: set[Future[Any]] = set()
        """Batches whose callback has not returned; before it does, it may submit others."""
        self._has_failed = False
        self._changed = Condition()

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return the number of workers for `n_jobs`: -1 is all CPUs, -2 all but one, and so on.

        Raises:
            ValueError: it is 0.
        """
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None:
            return 1
        return n_jobs if n_jobs > 0 else max(usable_cpus() + 1 + n_jobs, 1)

    def configure(
        self, n_jobs: int = 1, parallel: Any = None, max_nbytes: Any = "1M", **options: Any
    ) -> int:
        """Get the pool ready, and return the number of workers."""
        n_jobs = self.effective_n_jobs(n_jobs)
        if n_jobs == 1:
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        self.parallel = parallel
        self._has_failed = False
        mapped = options.get("mmap_mode", "r") in ("r", "c")
        keywords = {**self.backend_kwargs, **options}
        for name in _OF_PARALLEL:
            keywords.pop(name, None)
        threads = self.inner_max_num_threads or max(usable_cpus() // n_jobs, 1)
        self._pool = REUSED.take(n_jobs, {"threads": threads, **keywords})
        self._executor = self._pool.executor(echo=True)
        self._arrays = SharedArrays(self._pool, nbytes_of(max_nbytes) if mapped else None)
        return n_jobs

    def compute_batch_size(self) -> int:
        """Return how many tasks travel together."""
        return self._batches.next()

    def batch_completed(self, batch_size: int, duration: float) -> None:
        """Learn from how long a batch took, in seconds."""
        self._batches.learn(batch_size, duration)

    def submit(
        self, func: Any, callback: Callable[[Future[Any]], object] | None = None
    ) -> Future[Any]:
        """Submit a batch of tasks; `callback` is called with its future once it has ended."""
        assert self._arrays is not None
        kept = self._arrays.replace(func)
        future = self._executor.submit(run_batch, func)
        with self._changed:
            self._running.add(future)

        def ended(future: Future[Any]) -> None:
            kept.clear()
            try:
                if callback is not None:
                    callback(future)
            finally:
                with self._changed:
                    self._running.discard(future)
                    self._has_failed |= future.cancelled() or future.exception() is not None
                    if self._has_failed or not self._running:
                        self._changed.notify_all()

        future.add_done_callback(ended)
        return future

    def retrieve_result_callback(self, out: Future[Any]) -> Any:
        """Return the values of a batch, or raise its error."""
        return out.result()

    @contextmanager
    def retrieval_context(self) -> Iterator[None]:
        """Wait for everything first, where that is wanted: joblib looks every 10 ms only."""
        if not self.parallel.return_generator and self.parallel.timeout is None:
            with self._changed:
                self._changed.wait_for(lambda: self._has_failed or not self._running)
        yield

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """End what is running for this call of `Parallel`; the pool goes on."""
        with self._changed:
            running = list(self._running)
        for future in running:
            future.kill()  # type: ignore[attr-defined]

    def terminate(self) -> None:
        """Release the shared memory of this call; the workers stay for the next one."""
        if self._arrays is not None:
            self._arrays.clear()
        self._arrays = None
        self._batches = BatchSize()


class BatchSize:
    """How many tasks travel together: as many as keep a worker busy for a while."""

    def __init__(self) -> None:
        self._size = 1
        self._seconds = 0.0
        """How long such a batch has taken; 0 if that is not known yet."""

    def learn(self, size: int, seconds: float) -> None:
        """Note that a batch of this size took so long."""
        if size == self._size:
            self._seconds = min(self._seconds or seconds, seconds)

    def next(self) -> int:
        """Return the size of the next batch."""
        seconds, size = self._seconds, self._size
        if 0 < seconds < MIN_SECONDS:
            self._size = min(MAX_GROWTH * size, 1 + int(size * MIN_SECONDS / seconds))
        elif seconds > MAX_SECONDS and size > 1:
            self._size = max(1, int(size * MIN_SECONDS / seconds))
        if size != self._size:
            self._seconds = 0.0
        return self._size


def run_batch(batch: Callable[[], list[Any]]) -> list[Any]:
    """Run a batch of tasks; in a worker."""
    return batch()
