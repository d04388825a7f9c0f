"""The auditor: keeps books of its own, and compares them with the engine's after every step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processpool.core.states import ExitStep, PoolState, WorkerState
from processpool.errors import WorkerDied
from tests.simulation.kernel import kernel
from tests.simulation.machine import Fault, machine

if TYPE_CHECKING:
    from processpool.core.scheduler import Scheduler
    from processpool.core.slot import Slot
    from processpool.engine.local import Engine
    from tests.simulation.programs import Program

GIVES_OUT = (PoolState.OPEN, PoolState.CLOSING)
_IDLE, _BUSY, _STOPPING = WorkerState.IDLE, WorkerState.BUSY, WorkerState.STOPPING


class Item:
    """One item, as its owner knows it."""

    __slots__ = ("begun", "ended", "key", "may_begin", "name")

    def __init__(self, key: str, may_begin: int) -> None:
        self.key = key
        self.may_begin = may_begin
        """How often it may be begun, given what the pool retries."""
        self.begun = 0
        self.ended: str | None = None
        """How: ok, failed, dropped, recalled, refused."""


class Auditor:
    """Knows every item and every process of one history."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.programs: list[Program] = []
        self.ok = self.failed = self.cancelled = 0
        self.asked = 0

    # -- what is told ----------------------------------------------------------------------------

    def new_item(self, kind: str, may_begin: int) -> Item:
        """An item is about to be handed in."""
        item = Item(f"{len(self.items)}{kind}", may_begin)
        self.items[item.key] = item
        return item

    def begins(self, key: str, pid: int) -> None:
        """A program has begun an item."""
        item = self.items[key]
        item.begun += 1
        if item.ended is not None and item.ended != "failed":
            raise Fault(f"item {key} is begun by {pid}, and has ended before: {item.ended}")
        if item.begun > item.may_begin:
            raise Fault(f"item {key} is begun {item.begun} times")

    def ends(self, item: Item, how: str) -> None:
        """An item has ended; that may be said once."""
        if item.ended is not None:
            raise Fault(f"item {item.key} has ended twice: {item.ended}, then {how}")
        item.ended = how
        if how == "ok":
            self.ok += 1
        elif how == "failed":
            self.failed += 1
        elif how != "refused":
            self.cancelled += 1
        if how in ("recalled", "refused") and item.begun:
            raise Fault(f"item {item.key} was {how}, and had begun")

    def fails(self, item: Item, error: BaseException | None) -> None:
        """An item has failed: if its worker died, then that had something of it at least."""
        key = item.key.encode()
        died = isinstance(error, WorkerDied) and "cancel" not in str(error)
        if died and not any(key in program.stdin.passed for program in self.programs):
            raise Fault(f"item {item.key} failed by {error}, and was never written")
        self.ends(item, "failed")

    def answers(self, item: Item, value: object) -> None:
        """An item has this value."""
        if value != f"={item.key}":
            raise Fault(f"item {item.key} has the value {value!r}")
        if not item.begun:
            raise Fault(f"item {item.key} has a value, and never began")
        if item.key[-1] in "ex":
            raise Fault(f"item {item.key} was to fail")
        self.ends(item, "ok")

    # -- what is looked at -----------------------------------------------------------------------

    def check(self, engine: Engine) -> None:
        """Recompute what the scheduler keeps, and compare."""
        scheduler = engine._core.scheduler
        fleet = scheduler.fleet
        slots = scheduler.slots
        counts = dict.fromkeys(WorkerState, 0)
        running = 0
        queued: dict[object, set[int]] = {}
        for batch in scheduler.queue:
            self._add(queued, batch.job, batch.start, len(batch))
        for _, _, batch in scheduler.queue._delayed:
            self._add(queued, batch.job, batch.start, len(batch))
        for slot in slots.values():
            counts[slot.state] += 1
            running += slot.load
            self._check_slot(slot, scheduler)
            for batch in slot.inflight:
                self._add(queued, batch.job, batch.start, len(batch))
        if counts != fleet.counts:
            raise Fault(f"workers by state: {fleet.counts}, truly {counts}")
        if running != fleet.running:
            raise Fault(f"{fleet.running} items are said to run, truly {running}")
        idle = {number for number, slot in slots.items() if slot.state is _IDLE}
        if idle != fleet.idle.keys():
            raise Fault(f"idle are {idle}, noted are {list(fleet.idle)}")
        expiring = sum(s.expiring and s.state is not _STOPPING for s in slots.values())
        if expiring != fleet.expiring:
            raise Fault(f"{fleet.expiring} workers expire, truly {expiring}")
        self._check_queue(scheduler)

    def _add(self, seen: dict[object, set[int]], job: object, start: int, size: int) -> None:
        indexes = seen.setdefault(job, set())
        for index in range(start, start + size):
            if index in indexes:
                raise Fault(f"item {index} of {job} is in two places at once")
            indexes.add(index)

    def _check_slot(self, slot: Slot, scheduler: Scheduler) -> None:
        load = sum(map(len, slot.inflight))
        if slot.load != load:
            raise Fault(f"worker {slot.id} has {load} items, {slot.load} are noted")
        if load > scheduler.policy.window:
            raise Fault(f"worker {slot.id} has {load} items, more than a window")
        state = slot.state
        if (load > 0) != (state is _BUSY) and state is not _STOPPING:
            raise Fault(f"worker {slot.id} is {state}, and has {load} items")
        if slot.id in scheduler.fleet.has_capacity and (
            state is not _BUSY or load >= scheduler.policy.window or slot.retiring is not None
        ):
            raise Fault(f"worker {slot.id} is {state} with {load} items, and said to have room")
        deadline = slot.deadline
        if deadline is not None:
            if slot.timer is None or slot.timer > deadline:
                raise Fault(f"nobody will look at worker {slot.id} in time")
        elif state is _BUSY and slot.inflight[0].job.timeout is not None:
            raise Fault(f"the time of worker {slot.id} does not run")

    def _check_queue(self, scheduler: Scheduler) -> None:
        waiting = 0
        for batch in scheduler.queue:
            waiting += 0 if batch.job.cancelled else len(batch)
        if waiting != scheduler.queued:
            raise Fault(f"{scheduler.queued} items are said to wait, truly {waiting}")
        gone = any(slot.exit_step is ExitStep.GONE for slot in scheduler.slots.values())
        if scheduler.state in GIVES_OUT and not gone:  # else its end is just being seen to
            free = scheduler.fleet.has_free_worker
            if waiting and (free or scheduler.fleet.has_capacity):
                raise Fault("an item waits, though a worker is free")
            if free and scheduler.assignment.waiters:
                raise Fault("a lease waits, though a worker is free")

    def check_quiet(self, engine: Engine) -> None:
        """No thread can go on: whoever waits is to wait for something that is still to come."""
        core = engine._core
        if not core.is_open or engine._life._closed or core.lead._ended:
            return
        tick = machine.now + 0.006
        due = core.loop.sleeps_until
        epoll: Any = core.loop._epoll
        if epoll.is_ready():
            due = machine.now
        start = core.scheduler.next_start
        if start is not None and (due is None or start < due):
            due = start
        if due is None:
            return
        first = min((t.deadline for t in machine.tasks if t.deadline is not None), default=None)
        if first is None or first > max(due + 0.001, tick):
            raise Fault(f"something is due at {due:.3f}, and nobody looks before {first}")

    def check_end(self, engine: Engine) -> None:
        """The pool is closed: nothing may be left."""
        scheduler = engine._core.scheduler
        for item in self.items.values():
            if item.ended is None:
                raise Fault(f"item {item.key} has never ended")
        accepted = sum(item.ended != "refused" for item in self.items.values())
        if self.ok + self.failed + self.cancelled != accepted:
            raise Fault("ok + failed + cancelled is not the total")
        if scheduler.state is not PoolState.CLOSED:
            raise Fault(f"the pool is {scheduler.state} at its end")
        if scheduler.slots or scheduler.queued or scheduler.running or engine._core.workers:
            raise Fault(f"at the end there are {scheduler.slots} {engine._core.workers}")
        alive = [program.pid for program in self.programs if program.status is None]
        if alive:
            raise Fault(f"processes {alive} run on")
        if kernel.files:
            raise Fault(f"descriptors are left open: {kernel.files}")
        groups = engine._life._spawner.guard.groups  # type: ignore[attr-defined]
        if groups:
            raise Fault(f"the guard still knows {groups}")
