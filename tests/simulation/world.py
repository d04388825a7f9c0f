"""One pool on the simulated machine: its engine, its programs, and the clients that use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processpool.api.futures import PoolFuture, SingleJob
from processpool.api.lease import Lease
from processpool.core.jobs import Batch, Job, Origin
from processpool.core.policy import Policy
from processpool.core.replies import has_failed
from processpool.engine.backend import NotBegun
from processpool.engine.local import Engine
from processpool.engine.workers.programs import command_worker
from processpool.errors import PoolBroken, PoolClosed, QueueFull, WorkerStartFailed
from processpool.system import monitor
from processpool.system.monitor import Bell
from processpool.wire.codecs import make_codec
from processpool.wire.framing.declaration import FRAMED, LINES
from processpool.wire.framing.declared import make_framing
from tests.simulation.auditor import Auditor, Item
from tests.simulation.kernel import kernel
from tests.simulation.machine import Fault, machine
from tests.simulation.programs import Process, Program

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from processpool.engine.workers.worker import Worker

TEXT = make_codec("text")
FRAMINGS = {declared: make_framing(declared) for declared in (LINES, FRAMED)}


class AuditedSingle(SingleJob):
    """The job of a future, under the auditor's eye."""

    __slots__ = ("_auditor", "_item")

    def __init__(
        self, future: PoolFuture[Any], timeout: float | None, item: Item, auditor: Auditor
    ) -> None:
        super().__init__(future, timeout)
        self._item = item
        self._auditor = auditor

    def begin(self) -> None:
        if self.cancelled or self._item.ended is not None:
            raise Fault(f"item {self._item.key} is said to begin: it has {self._item.ended}")
        super().begin()

    def deliver(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        _deliver(self._auditor, [self._item], answers)
        super().deliver(batch, answers, origin)

    def drop(self, batch: Batch, error: BaseException | None) -> None:
        if self._item.ended != "recalled":
            self._auditor.ends(self._item, "dropped")
        super().drop(batch, error)


class AuditedMap(Job):
    """A job of many items."""

    __slots__ = ("_auditor", "bells", "items", "left")

    def __init__(
        self, number: int, timeout: float | None, items: list[Item], auditor: Auditor
    ) -> None:
        super().__init__(timeout, number)
        self.items = items
        self.left = len(items)
        self.bells: list[Bell] = []
        self._auditor = auditor

    def begin(self) -> None:
        if self.cancelled:
            raise Fault(f"map {self.number} is said to begin an item, and was cancelled")

    def deliver(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        items = self.items[batch.start : batch.start + len(batch)]
        _deliver(self._auditor, items, answers)
        self._less(len(batch))

    def drop(self, batch: Batch, error: BaseException | None) -> None:
        for item in self.items[batch.start : batch.start + len(batch)]:
            self._auditor.ends(item, "dropped")
        self._less(len(batch))

    def refuse(self, start: int) -> None:
        """The items from there on were not taken."""
        for item in self.items[start:]:
            self._auditor.ends(item, "refused")
        self._less(len(self.items) - start)

    def _less(self, count: int) -> None:
        self.left -= count
        if not self.left:
            for bell in self.bells:
                bell.ring()


def _deliver(auditor: Auditor, items: list[Item], answers: list[Any]) -> None:
    if len(answers) != len(items):
        raise Fault(f"{len(answers)} answers are delivered to {len(items)} items")
    for item, answer in zip(items, answers, strict=True):
        if has_failed(answer):
            auditor.fails(item, getattr(answer, "error", None))
        else:
            auditor.answers(item, answer)


class _Environ:
    """What its workers inherit: nothing."""

    def freeze(self) -> None:
        """It opens."""


_environ: Any = _Environ()


class _Form:
    """How a lease encodes what it sends."""

    def __init__(self, encode: Callable[[bytes], tuple[bytes, ...]]) -> None:
        self._encode = encode

    def single(self, _: str, data: tuple[str], named: object) -> tuple[tuple[bytes, ...], None]:
        return self._encode(data[0].encode()), None

    def pack(self, call: tuple[tuple[bytes, ...], None]) -> tuple[tuple[bytes, ...], None]:
        return call


class World:
    """A pool, and what goes on around it."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.auditor = Auditor()
        self.programs: list[Program] = []
        self.futures: list[PoolFuture[Any]] = []
        self.maps: list[AuditedMap] = []
        self.start_fails = random.choice((0.0, 0.0, 0.0, 0.1))
        self._protocol = random.choice((LINES, LINES, FRAMED))
        self._encode = FRAMINGS[self._protocol].encode
        self.policy = policy = _random_policy(random)
        self._may_begin = policy.attempts if policy.retry_on else 1
        max_pending = random.choice((1, 3, 1000))
        self.engine = Engine(policy, self._launch, _environ, "program", max_pending, "pool")
        self._map_numbers = 0
        self.was_resized = False
        self._form: Any = _Form(self._encode)
        monitor.must_not_wait.clear()

    def _launch(self, number: int, place: int, mark: str) -> Worker:
        if self.random.random() < self.start_fails:
            raise WorkerStartFailed("there is no such program")
        policy = self.engine.policy
        fleet = self.engine._core.scheduler.fleet
        if fleet.alive > policy.max and not self.was_resized:
            raise Fault(f"worker {number} is one too many: {fleet.alive} of {policy.max}")
        program = Program(1000 + len(self.programs), self.auditor, framed=self._protocol is FRAMED)
        self.programs.append(program)
        self.auditor.programs.append(program)
        process: Any = Process(program)
        ready = kernel.open(program.told.reader)
        return command_worker(number, process, self._protocol, TEXT, ready)

    # -- what clients do, each on a thread of their own ------------------------------------------

    def start(self, client: Callable[[], object]) -> None:
        """Let a client do something."""
        machine.spawn(client, client.__name__)

    def submit(self) -> None:
        """Hand in one item, and perhaps wait for it."""
        future = self._new_future(self._timeout())
        wait = self.random.random() < 0.5
        if self._hand_in(future, wait=wait) and self.random.random() < 0.4:
            self._await(future, self.random.choice((None, 0.5)))

    def _new_future(self, timeout: float | None) -> PoolFuture[Any]:
        item = self.auditor.new_item(self._kind(), self._may_begin)
        future: PoolFuture[Any] = PoolFuture(self.engine, timeout)
        future._job = AuditedSingle(future, timeout, item, self.auditor)
        return future

    def _hand_in(self, future: PoolFuture[Any], *, wait: bool) -> bool:
        job: Any = future._job
        item = job._item
        batch = Batch(job, 0, (self._encode(item.key.encode()),), machine.now)
        try:
            self.engine.submit(batch, wait=wait)
        except (QueueFull, PoolClosed, PoolBroken):
            self.auditor.ends(item, "refused")
            return False
        self.futures.append(future)
        return True

    def _await(self, future: PoolFuture[Any], timeout: float | None) -> None:
        try:
            future.result(timeout)
        except BaseException as error:
            if isinstance(error, Fault) or _is_exit(error):
                raise
            if timeout is None and not future.done():
                raise Fault(f"a wait ended with {error!r} before the item did") from error
        else:
            if not future.done():
                raise Fault("a wait has ended before the item")

    def map(self) -> None:
        """Hand in many items, and perhaps wait for them."""
        random = self.random
        self._map_numbers += 1
        items = [
            self.auditor.new_item(self._kind(), self._may_begin)
            for _ in range(random.randint(2, 6))
        ]
        job = AuditedMap(self._map_numbers, self._timeout(), items, self.auditor)
        self.maps.append(job)
        middle = random.randint(1, len(items))
        for start, end in ((0, middle), (middle, len(items))):
            payloads = [self._encode(item.key.encode()) for item in items[start:end]]
            if not payloads:
                break
            try:
                self.engine.submit(Batch(job, start, payloads, machine.now))
            except (QueueFull, PoolClosed, PoolBroken):
                job.refuse(start)
                break
        if random.random() < 0.5 and job.left:
            bell = Bell()
            job.bells.append(bell)
            if job.left:
                self.engine.wait(bell, None)

    def cancel(self) -> None:
        """Take back something that was handed in."""
        random = self.random
        if self.futures and random.random() < 0.7:
            future = random.choice(self.futures)
            job: Any = future._job
            if random.random() < 0.6:
                if not future.cancelled() and future.cancel():
                    self._recalled(job._item)
            elif not future.cancelled() and future.kill() and future.cancelled():
                self._recalled(job._item)
        elif self.maps:
            self.engine.cancel(random.choice(self.maps), kill=random.random() < 0.5)

    def _recalled(self, item: Item) -> None:
        if item.ended not in ("dropped", "recalled"):
            self.auditor.ends(item, "recalled")

    def call(self) -> None:
        """One request on the client's own thread; through the queue, if no worker is free."""
        item = self.auditor.new_item(self._kind(), 1)
        timeout = self.random.choice((None, None, 0.3))
        try:
            value = self.engine.exchange((self._encode(item.key.encode()), None), timeout)
        except NotBegun:
            self.auditor.ends(item, "refused")
        except Fault:
            raise
        except Exception:
            self.auditor.ends(item, "failed")
        else:
            self.auditor.answers(item, value)

    def lease(self) -> None:
        """Take a worker, drive it by hand, and give it back."""
        random = self.random
        try:
            worker = self.engine.lease(random.choice((None, 0.0, 0.5)))
        except (PoolClosed, PoolBroken):
            return
        if worker is None:
            return
        lease = Lease(worker, self._form, 0.5)
        for _ in range(random.randint(0, 2)):
            item = self.auditor.new_item(random.choice("ooe"), 1)
            lease.send(item.key)
            try:
                if not lease.wait(random.choice((None, 0.5))) or not lease.has_stdout:
                    self.auditor.ends(item, "failed")
                    break
                self.auditor.answers(item, lease.read_stdout())
            except Fault:
                raise
            except Exception:
                self.auditor.ends(item, "failed")
                break
        lease.release()

    # -- what the owner does ---------------------------------------------------------------------

    def pause(self) -> None:
        self.engine.steering.pause()

    def resume(self) -> None:
        self.engine.steering.resume()

    def reset(self) -> None:
        self.engine.steering.reset()

    def resize(self) -> None:
        self.was_resized = True
        most = self.random.randint(1, 4)
        least = self.random.randint(0, most)
        self.engine.steering.resize(least, most, self.random.randint(least, most))

    def restart(self) -> None:
        numbers = list(self.engine._core.scheduler.slots)
        if numbers:
            try:
                self.engine.steering.restart(
                    self.random.choice(numbers), wait=self.random.random() < 0.5
                )
            except ValueError:  # it has ended in between
                return

    def renew(self) -> None:
        self.engine.steering.renew()

    def drain(self) -> None:
        self.engine.drain(self.random.choice((None, 1.0)))

    def wait_ready(self) -> None:
        try:
            self.engine.wait_ready(self.engine.policy.min, 5.0)
        except (WorkerStartFailed, PoolClosed, PoolBroken):
            return

    def look(self) -> None:
        self.engine.snapshot("pool", resources=False)

    def close(self) -> None:
        grace = self.random.choice((None, None, 0.0, 1.0))
        self.engine.close(grace)

    def kill(self) -> None:
        self.engine.kill()

    # -- chance ----------------------------------------------------------------------------------

    def _kind(self) -> str:
        """What becomes of an item: mostly it is answered, some are errors, some are deadly."""
        return "e" if (dice := self.random.random()) < 0.05 else "x" if dice < 0.08 else "o"

    def _timeout(self) -> float | None:
        return self.random.choice((None, None, None, 0.3))


def _is_exit(error: BaseException) -> bool:
    return not isinstance(error, Exception) and type(error).__name__ == "GreenletExit"


def _random_policy(random: Random) -> Policy:
    most = random.randint(1, 3)
    least = random.randint(0, most)
    attempts = random.choice((1, 1, 2, 3))
    retried = frozenset(what for what in ("crash", "timeout", "error") if random.random() < 0.6)
    return Policy(
        min=least,
        max=most,
        spare=random.randint(least, most),
        window=random.choice((1, 1, 2, 3)),
        start=random.choice((None, 1.0)),
        idle=random.choice((None, 0.5)),
        exit=random.choice((0.2, 2.0)),
        attempts=attempts,
        retry_on=retried if attempts > 1 else frozenset(),
        recycle_requests=random.choice((None, None, None, 1, 2, 5)),
        recycle_age=random.choice((None, None, None, None, 0.5)),
        max_failures=random.choice((1, 3)),
        backoff=(0.1, 1.0),
    )
