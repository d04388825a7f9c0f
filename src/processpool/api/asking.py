"""The ways to get single answers from a pool, also under asyncio."""

from __future__ import annotations

from contextlib import aclosing
from functools import cached_property
from time import monotonic

from processpool.api.late import late
from processpool.api.watched import WatchedPool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from dataclasses import replace
    from typing import Any

    from processpool.api.again import Again
    from processpool.api.call_forms import Call
    from processpool.api.futures import PoolFuture
    from processpool.api.item_notes import Naming
    from processpool.api.map_job import trimmed
    from processpool.api.names import name_of, secrets_of
    from processpool.api.notebook_errors import beautify
    from processpool.core.jobs import Batch, attach
    from processpool.core.outcome import Outcome
    from processpool.core.terms import Terms
    from processpool.engine.backend import NotBegun
    from processpool.errors import ProcessPoolError
    from processpool.wire.python.arguments import Unsendable
    from processpool.wire.python.functions import Request, Task
    from processpool.wire.python.remote_errors import add_note, format_error

late(
    globals(),
    {
        "dataclasses": "replace",
        "processpool.api.again": "Again",
        "processpool.api.futures": "PoolFuture",
        "processpool.api.item_notes": "Naming",
        "processpool.api.map_job": "trimmed",
        "processpool.api.names": "name_of secrets_of",
        "processpool.api.notebook_errors": "beautify",
        "processpool.core.jobs": "Batch attach",
        "processpool.core.outcome": "Outcome",
        "processpool.engine.backend": "NotBegun",
        "processpool.errors": "ProcessPoolError",
        "processpool.wire.python.arguments": "Unsendable",
        "processpool.wire.python.remote_errors": "add_note format_error",
    },
)


class AskedPool(WatchedPool):
    """A pool that takes single requests, and gives answers."""

    def call(self, /, *args: Any, **kwargs: Any) -> Any:
        """Send one request and wait for its answer, on this thread: the fastest path.

            pool.call(function, *args, **kwargs)  # a pool of functions
            pool.call(message)                    # a pool of a program, or with a handler

        Raises:
            WorkerDied: the worker ended while it had the request.
            RequestTimeout: it took longer than `timeouts.request`.
            ProtocolError: the message cannot be sent, or the answer is none.
            PoolClosed, PoolBroken: the pool takes no work.
        """
        asked = self._form.single("call", args, kwargs)
        request = self._packed(asked)
        if not self._retries:
            try:
                return self._engine.exchange(request, self._timeout)
            except NotBegun:
                pass  # no worker is free, or it had ended: the request gets in line
            except Exception as error:
                __tracebackhide__ = True
                raise self._named(error, asked, request[1])  # noqa: B904 - it is the same one
        self._engine.require_open()
        future = self._submit(request, asked)
        try:
            return future.result()
        except Exception as error:
            __tracebackhide__ = True
            raise trimmed(error)  # noqa: B904 - it is the same one
        except BaseException:  # interrupted: it runs for nobody
            future.kill()
            raise

    def submit(self, /, *args: Any, **kwargs: Any) -> PoolFuture[Any]:
        """Send one request; return the future of its answer.

            pool.submit(function, *args, **kwargs)  # a pool of functions
            pool.submit(message)                    # a pool of a program, or with a handler

        Raises:
            QueueFull: the queue is full, and the pool declares `queue.when_full: raise`.
            PoolClosed, PoolBroken: the pool takes no work.
        """
        call = self._form.single("submit", args, kwargs)
        self._engine.require_open()
        try:
            request = self._form.pack(call)
        except (ProcessPoolError, Unsendable) as trouble:
            future: PoolFuture[Any] = PoolFuture(self._engine, None)
            future._job.refuse(trouble.error if isinstance(trouble, Unsendable) else trouble)
            return future
        if request[1] is not None:
            request = request[0], request[1].function.streamed
        return self._submit(request, call, streamed=True)

    def stream(self, /, *args: Any, **kwargs: Any) -> Generator[Any]:
        """Send one request, and yield what its generator yields, as soon as it does.

            for part in pool.stream(fn, x): ...

        The worker runs ahead by a few parts, and then waits. Leaving the loop stops this item only:
        its generator is closed, and the worker lives. The time limit of an item holds for each
        part, and not while the worker waits for the reader.

        Raises:
            Exception: what the generator has raised, after the parts that came before.
            WorkerDied: its worker has ended; it is not begun anew once a part has come.
        """
        return self.submit(*args, **kwargs).parts()

    async def astream(self, /, *args: Any, **kwargs: Any) -> AsyncGenerator[Any]:
        """Like `stream`, for asyncio: `async for part in pool.astream(fn, x)`."""
        future = self.submit(*args, **kwargs)
        async with aclosing(future._streamed().aread(future, future._job)) as parts:
            async for part in parts:
                yield part

    def broadcast(self, /, *args: Any, **kwargs: Any) -> list[Any]:
        """Run a call once on every worker, also on those that come later, before anything else.

            pool.broadcast(load_model, "model.bin")

        It waits until the current workers have done it; for busy ones, that is after the items
        that they have. What has failed in one of them is not run in later ones. In a worker that
        comes later, an error is logged, and the worker is used all the same.

        Returns:
            What the current workers have returned, in the order in which they were started.

        Raises:
            Exception: what it has raised in one of the current workers.
            WorkerDied: it has ended one of them.
            PoolClosed, PoolBroken: the pool takes no work.
        """
        from processpool.api.broadcasting import BroadcastJob

        if self._engine.policy.single_use:
            raise TypeError("nothing can be broadcast here: a worker has one message in its life")
        request = self._packed(self._form.single("broadcast", args, kwargs))
        self._engine.require_open()
        self._engine.require_calm()
        self._engine.wait_ready(self._engine.policy.min, None)
        name = name_of(self.config, request[1])
        job = BroadcastJob(self._engine, request, self._timeout, self._terms, name)
        try:
            return job.run()
        except Exception as error:
            __tracebackhide__ = True
            raise trimmed(error)  # noqa: B904 - it is the same one

    def _packed(self, call: Call) -> Request:
        """Return an item as it travels; the error of one that cannot be sent carries its record."""
        try:
            return self._form.pack(call)
        except (ProcessPoolError, Unsendable) as trouble:
            error = trouble.error if isinstance(trouble, Unsendable) else trouble
        attach(Outcome(index=0, error=error, attempts=0))
        raise error

    @cached_property
    def _naming_of_calls(self) -> Naming:
        """What single requests are called, unless their function or their caller has a name."""
        name, again = name_of(self.config, None), Again(self._viewed or self)
        return Naming(name, is_map=False, secrets=secrets_of(self.config), again=again)

    def ask_again(self, task: Task | None, args: tuple[Any, ...]) -> PoolFuture[Any]:
        """Send a request that has failed once more; for displays, which know no function."""
        call = tuple(args), getattr(args, "keywords", {}), task
        return self._submit(self._packed(call), call)

    def _named(self, error: Exception, asked: Call, task: Task | None) -> BaseException:
        """Say on an error of a call what was called, and in its record."""
        record = getattr(error, "record", None)
        if isinstance(record, Outcome) and not record.args:
            name = self._terms.name or name_of(self.config, task)
            naming = Naming(name, is_map=False, secrets=secrets_of(self.config))
            args, keywords, _ = asked
            add_note(error, naming.note(0, args))
            beautify(error)
            record = replace(record, args=args, kwargs=dict(keywords), name=naming.name)
            attach(record)
            self._engine.maps.failures.count_single()
            retry = self._naming_of_calls.retry(task)
            self._engine.maps.failures.add(format_error(error), record, naming.name, retry)
        return trimmed(error)

    def _submit(
        self, request: Request, call: Call, *, streamed: bool = False, terms: Terms | None = None
    ) -> PoolFuture[Any]:
        payload, task = request
        terms = terms or self._terms
        future: PoolFuture[Any] = PoolFuture(self._engine, self._timeout, task, terms)
        future._job.wants_parts = streamed
        future._job.usual = self._naming_of_calls
        if task is None:
            future._job.asked = call[0]
        batch = Batch(future._job, 0, (payload,), monotonic())
        try:
            self._engine.submit(batch, wait=self.config.queue.when_full == "wait")
        except Exception:
            raise
        except BaseException:  # interrupted: nobody will know of it
            future.kill()
            raise
        return future

    async def acall(self, /, *args: Any, **kwargs: Any) -> Any:
        """Like `call`, for asyncio: awaits the answer, and never blocks the event loop.

        When the awaiting task is cancelled, the item is too; if it runs, its worker is replaced.
        """
        from processpool.api.async_calls import acall

        call = self._form.single("acall", args, kwargs)
        request = self._packed(call)
        self._engine.require_open()
        wait = self.config.queue.when_full == "wait"
        named = self._naming_of_calls, () if request[1] is not None else call[0]
        return await acall(self._engine, request, self._timeout, self._terms, named, wait=wait)
