"""An engine that runs Python functions in this process, on the thread that submits them.

It is for debuggers, profilers and whatever else wants to see the functions at work: `inline: true`.
It differs from a fake in these ways: it prepares itself as a worker does (preloads, `setup`, folder
and environment), each thread runs its own items, an error keeps its traceback, and there are no
time limits, since somebody may be looking at an item.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from threading import RLock
from typing import TYPE_CHECKING, Any

from processpool.core.replies import Reply
from processpool.engine.fake import FakeBackend
from processpool.engine.fake_requests import call
from processpool.engine.fake_work import FakeWork
from processpool.engine.fake_workers import FakeWorker, Roster
from processpool.errors import WorkerStartFailed
from processpool.system.interrupts import USERS_CODE
from processpool.worker import current
from processpool.worker.targets import prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from processpool.core.jobs import Batch
    from processpool.core.policy import Policy
    from processpool.engine.fake_workers import Handler
    from processpool.engine.identity import Identity
    from processpool.wire.python.functions import Task


class InlineSetting:
    """What a worker of the pool would find around it: its functions, folder and environment."""

    def __init__(
        self,
        orders: Mapping[str, Any],
        folder: str,
        environment: Callable[[], dict[str, str]],
        identity: Identity,
    ) -> None:
        """`orders` has what `worker.targets.prepare` takes, and `path`."""
        self.identity = identity
        self.handler: Callable[..., Any] | None = None
        self._teardown: Callable[..., Any] | None = None
        self._orders = dict(orders)
        self._folder = folder
        self._environment = environment

    def prepare(self) -> None:
        """Do what a worker does before its first item.

        Raises:
            WorkerStartFailed: the user's code failed.
        """
        path = [one for one in self._orders["path"] if one not in sys.path]
        sys.path[:0] = path
        try:
            with self.around(1, 0), USERS_CODE:
                self.handler, self._teardown = prepare(self._orders)
        except Exception as error:
            raise WorkerStartFailed(
                f"the pool runs in this process (inline), and could not be set up: "
                f"{type(error).__name__}: {error}"
            ) from error

    def end(self) -> None:
        """Do what a worker does when it is told to exit."""
        teardown, self._teardown = self._teardown, None
        if teardown is not None:
            with self.around(1, 0), USERS_CODE:
                teardown()

    @contextmanager
    def around(self, number: int, place: int) -> Iterator[None]:
        """Be in the folder and the environment of a worker."""
        folder, before = os.getcwd(), {}
        own = {**self._environment(), **self.identity.variables(number, place)}
        try:
            for name, value in own.items():
                before[name] = os.environ.get(name)
                os.environ[name] = value
            if folder != self._folder:
                os.chdir(self._folder)
            yield
        finally:
            if os.getcwd() != folder:
                os.chdir(folder)
            for name, former in before.items():
                if former is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = former


class InlineWorker(FakeWorker):
    """A worker that is this process."""

    def __init__(self, number: int, place: int, setting: InlineSetting) -> None:
        super().__init__(number, place)
        self._setting = setting

    def perform(self, handler: Handler, payload: Any, task: Task | None) -> Reply:
        """Call the function; leaving a debugger by `q` ends whatever waits for it."""
        reply, out, err = Reply(), Captured(sys.stdout), Captured(sys.stderr)
        setting = self._setting
        try:
            with ExitStack() as stack:
                stack.enter_context(setting.around(self.id, self.place))
                stack.enter_context(self._acting())
                stack.enter_context(redirect_stdout(out))
                stack.enter_context(redirect_stderr(err))
                stack.enter_context(USERS_CODE)
                reply.value = handler(payload, task)
        except SystemExit as end:
            reply.error = self.died(end)
        except Exception as error:
            if type(error).__name__ == "BdbQuit":
                raise
            reply.error = error
        self.keep_output(reply, out.getvalue(), err.getvalue())
        return reply

    @contextmanager
    def _acting(self) -> Iterator[None]:
        """Have `processpool.current_worker` answer as in a worker."""
        item = self.item, None if self.item is None else self.attempt
        identity = self.place, self.id, self._setting.identity.pool
        before = current.swap(identity, lambda: item)
        try:
            yield
        finally:
            current.swap(*before)


class Captured(io.StringIO):
    """Keeps what an item writes; while a debugger is at work, shows it as well."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self._stream = stream

    def write(self, text: str) -> int:
        """Keep a text."""
        if _is_debugged() and self._stream is not None:
            self._stream.write(text)
        return super().write(text)

    def flush(self) -> None:
        """Show it."""
        if _is_debugged() and self._stream is not None:
            self._stream.flush()


def _is_debugged() -> bool:
    """True if a debugger such as pdb follows this thread."""
    bdb = sys.modules.get("bdb")
    return bdb is not None and isinstance(getattr(sys.gettrace(), "__self__", None), bdb.Bdb)


class InlineWork(FakeWork):
    """The queue of an inline pool."""

    def limit(self, timeout: float | None) -> float | None:
        """Return None: an item may take as long as it likes."""
        return None


class InlineBackend(FakeBackend):
    """A `Backend` that runs the functions of a pool in this process."""

    def __init__(self, policy: Policy, max_pending: int, name: str, setting: InlineSetting) -> None:
        """`setting` is what a worker would find around it."""
        self._setting = setting
        roster = Roster(policy, lambda number, place: InlineWorker(number, place, setting))
        super().__init__(InlineWork(self._perform, roster, max_pending), name)
        self._turn = RLock()
        """Held by the thread that runs items, so that none runs those of another."""

    def _perform(self, item: Any, task: Task | None) -> Any:
        return call(self._setting.handler, item, task)

    def open(self, wanted: int, grace: float) -> None:
        """Prepare for items as a worker does, and open the pool.

        Raises:
            WorkerStartFailed: the user's code failed.
        """
        self._setting.prepare()
        super().open(wanted, grace)

    def submit(self, batch: Batch, *, wait: bool = True, limit: bool = True) -> None:
        """Run these items, once no other thread runs any; while the pool is paused, queue them.

        Raises:
            QueueFull: the queue is full, and `wait` is False.
            PoolClosed: the pool is not open.
        """
        with self._turn:
            super().submit(batch, wait=wait, limit=limit)

    def close(self, grace: float | None, *, wait: bool = True) -> None:
        """Run what is queued, and close the pool."""
        super().close(grace, wait=wait)
        self._setting.end()
