"""Who gets what: the decisions of a pool, and nothing else.

What happened goes in, with the time; what is to be done comes out, as a list of commands. No
process, no descriptor, no clock, no lock: whoever calls holds the pool's lock, and carries out the
commands after letting go of it. The queue, the slots and the lease waiters here are the pool's
entire mutable state.

    submit ─▶ queue ─▶ assign ─▶ slot.inflight ─▶ answered ─▶ deliveries
                         ▲                            │
                         └───── idle, or room ◀───────┘
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from processpool.states import PoolState, WorkerEvent, WorkerState, after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from processpool.jobs import Batch, Job

TERM_GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL, at most; php-fpm waits as long."""
SURPLUS_LINGER = 1.0
"""Seconds that a worker beyond `spare` waits for the next burst before it is retired."""
_MAX_DOUBLINGS = 60
"""Of the first back-off: beyond this any of them is over the longest."""


@dataclass(frozen=True)
class Policy:
    """The numbers that the decisions depend on. Times are in seconds; None means no limit."""

    min: int
    max: int
    spare: int
    window: int = 1
    """Items that a worker may have at a time, unless their job says otherwise."""
    takes_back: bool = False
    """Whether what a worker has not begun can be taken back."""
    start: float | None = 30.0
    idle: float | None = 300.0
    exit: float = 5.0
    max_failures: int = 5
    failures_within: float = 10.0
    backoff: tuple[float, float] = (0.1, 30.0)
    jitter: Callable[[], float] = field(default=lambda: 1.0)
    """A factor near 1, drawn for each back-off."""


class Send(NamedTuple):
    """Write this batch to the worker."""

    worker: int
    batch: Batch


class Stop(NamedTuple):
    """Ask the worker to exit: its exit message, then the end of its input."""

    worker: int


class Terminate(NamedTuple):
    """Send SIGTERM to the worker's process group."""

    worker: int


class Kill(NamedTuple):
    """Send SIGKILL to the worker's process group."""

    worker: int


class Grant(NamedTuple):
    """The worker belongs to this waiter from now on."""

    worker: int
    waiter: LeaseWaiter


class TakeBack(NamedTuple):
    """Take back from the worker what it has not begun: another one has nothing to do."""

    worker: int


class Lost(NamedTuple):
    """The worker ended while it had this one item; `fate` says why, if the pool ended it."""

    batch: Batch
    fate: str | None


class Drop(NamedTuple):
    """These items will not be started; `state` is the pool's at that moment."""

    batch: Batch
    state: PoolState


Command = Send | Stop | Terminate | Kill | Grant | TakeBack | Lost | Drop


class LeaseWaiter:
    """A place in the line for a worker of one's own."""

    __slots__ = ("granted", "pool_state")

    def __init__(self) -> None:
        self.granted: int | None = None
        """The worker, once there is one."""
        self.pool_state: PoolState | None = None
        """Set when the pool will never grant it."""


class Slot:
    """What the scheduler knows of one worker. Its one timer means what its state says."""

    __slots__ = (
        "deadline", "failed", "fate", "handled", "id", "inflight", "load", "retiring", "rung",
        "since", "started_at", "state", "timer",
    )  # fmt: skip

    def __init__(self, number: int, now: float) -> None:
        self.id = number
        self.state = WorkerState.STARTING
        self.inflight: deque[Batch] = deque()
        self.load = 0
        """Items in `inflight`."""
        self.since = now
        """Since when it is idle, or has its current item."""
        self.started_at = now
        self.deadline: float | None = None
        self.timer: float | None = None
        """The earliest entry of this slot in the heap of timers."""
        self.handled = 0
        self.failed = 0
        self.fate: str | None = None
        """Why the pool ended it; None while it lives, or if it ended by itself."""
        self.retiring: str | None = None
        """Why it is to be stopped as soon as it has nothing to do."""
        self.rung = 0
        """How far it is on the exit ladder."""


class Scheduler:
    """The decisions of one pool. Every method takes the time; most return commands."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.state = PoolState.OPEN
        self.slots: dict[int, Slot] = {}
        self.counts = dict.fromkeys(WorkerState, 0)
        """How many workers are in each state."""
        self.queued = 0
        """Items in the queue, the cancelled ones left out."""
        self.running = 0
        """Items that workers have."""
        self.finished = 0
        self.failures = 0
        self._queue: deque[Batch] = deque()
        self._waiters: deque[LeaseWaiter] = deque()
        self._idle: dict[int, Slot] = {}
        self._roomy: dict[int, Slot] = {}
        self._timers: list[tuple[float, int]] = []
        self._numbers = count(1)
        self._failed_starts: deque[float] = deque()
        self._consecutive_failures = 0
        self._next_spawn_at = 0.0
        self._close_deadline: float | None = None
        self._overdue = False
        """True once it closes without finishing what is queued."""

    # -- reading ---------------------------------------------------------------------------------

    @property
    def alive(self) -> int:
        """Workers that count against `max`: all but those on their way out."""
        return len(self.slots) - self.counts[WorkerState.STOPPING]

    @property
    def has_work(self) -> bool:
        """True while an item waits or runs."""
        return self.queued > 0 or self.running > 0

    @property
    def next_deadline(self) -> float | None:
        """When `tick` is to be called next, if nothing happens before."""
        times = [self._timers[0][0]] if self._timers else []
        if self._close_deadline is not None:
            times.append(self._close_deadline)
        if self._lacking() > 0:
            times.append(self._next_spawn_at)
        return min(times, default=None)

    # -- work ------------------------------------------------------------------------------------

    def submit(self, batch: Batch, now: float) -> list[Command]:
        """Items have come in."""
        self._enqueue(batch)
        return self._assign(now)

    def take(self, now: float) -> Slot | None:
        """An idle worker for one `call`, if one is free and nobody waits before it."""
        if self._queue or self._waiters or not self._idle or self.state is not PoolState.OPEN:
            return None
        _, slot = self._idle.popitem()
        self._move(slot, WorkerEvent.TAKEN)
        slot.since = now
        slot.deadline = None
        return slot

    def lease(self, waiter: LeaseWaiter, now: float) -> list[Command]:
        """Somebody wants a worker of their own, and waits for it."""
        self._waiters.append(waiter)
        return self._assign(now)

    def abandon(self, waiter: LeaseWaiter) -> bool:
        """The waiter gives up; False if a worker was granted before, which must be released."""
        if waiter.granted is not None:
            return False
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        return True

    def release(self, worker: int, handled: int, now: float) -> list[Command]:
        """A worker that was taken or leased comes back."""
        self.finished += handled
        slot = self.slots.get(worker)
        if slot is None:  # the pool has ended it meanwhile
            return []
        slot.handled += handled
        if slot.state is not WorkerState.LEASED:
            return []
        self._move(slot, WorkerEvent.RELEASED)
        return self._park(slot, now) + self._assign(now)

    def answered(
        self, worker: int, items: int, now: float, failed: int = 0
    ) -> tuple[list[Batch], list[Command]]:
        """The worker has answered its next `items` items; the batches they make up come back."""
        slot = self.slots[worker]
        slot.failed += failed
        self.failures += failed
        done: list[Batch] = []
        left = min(items, slot.load)
        slot.load -= left
        self.running -= left
        slot.handled += left
        self.finished += left
        while left:
            batch = slot.inflight.popleft()
            if len(batch) > left:
                batch, rest = batch.split(left)
                slot.inflight.appendleft(rest)
            left -= len(batch)
            done.append(batch)
        if slot.state is not WorkerState.BUSY:
            return done, []
        if slot.inflight:
            self._begin_item(slot, now)
            if slot.load * 2 <= self._window(slot.inflight[0]) and slot.retiring is None:
                self._roomy[slot.id] = slot
            return done, self._assign(now)
        self._move(slot, WorkerEvent.FINISHED)
        return done, self._park(slot, now) + self._assign(now)

    def send_singly(self, worker: int, now: float) -> list[Command]:
        """The worker could not read its first batch: the items of that go one by one."""
        slot = self.slots[worker]
        if not slot.inflight:
            return []
        batch = slot.inflight.popleft()
        self._requeue(_singles(batch))
        return self._relieved(slot, len(batch), now)

    def taken_back(self, worker: int, batches: list[Batch], now: float) -> list[Command]:
        """These batches were taken from a worker that had not begun them."""
        slot = self.slots[worker]
        kept = [batch for batch in slot.inflight if batch not in batches]
        self._requeue(batch for batch in slot.inflight if batch in batches)
        slot.inflight = deque(kept)
        return self._relieved(slot, sum(map(len, batches)), now)

    def _relieved(self, slot: Slot, items: int, now: float) -> list[Command]:
        """A worker has fewer items, without having answered them."""
        slot.load -= items
        self.running -= items
        if slot.inflight or slot.state is not WorkerState.BUSY:
            return self._assign(now)
        self._move(slot, WorkerEvent.FINISHED)
        return self._park(slot, now) + self._assign(now)

    def cancel(self, job: Job, *, kill: bool) -> list[Command]:
        """Nothing more of this job starts; with `kill`, the workers that run it are replaced."""
        self.queued -= job.queued
        job.queued = 0
        job.cancelled = True
        if not kill:
            return []
        return [
            command
            for slot in self.slots.values()
            if slot.inflight and slot.inflight[0].job is job
            for command in self._kill(slot, "cancelled")
        ]

    # -- workers ---------------------------------------------------------------------------------

    def spawn(self, now: float) -> Slot | None:
        """A slot for one more worker, if one is wanted and its time has come."""
        if self._lacking() <= 0 or now < self._next_spawn_at:
            return None
        slot = Slot(next(self._numbers), now)
        self.slots[slot.id] = slot
        self.counts[slot.state] += 1
        if self.policy.start is not None:
            self._set_timer(slot, now + self.policy.start)
        return slot

    def ready(self, worker: int, now: float) -> list[Command]:
        """A worker has started and takes requests."""
        slot = self.slots[worker]
        if slot.state is not WorkerState.STARTING:
            return []
        self._consecutive_failures = 0
        if self.state is PoolState.BROKEN:
            self.state = PoolState.OPEN
        self._move(slot, WorkerEvent.READY)
        return self._park(slot, now) + self._assign(now)

    def exited(
        self,
        worker: int,
        now: float,
        *,
        failed_start: bool = False,
        begun: bool = True,
        singly: bool = False,
    ) -> list[Command]:
        """A worker is gone. What it had not begun goes back to the queue.

        Args:
            worker: its number.
            now: the time.
            failed_start: it was never of any use: the next one starts later.
            begun: it may have begun the first of its items.
            singly: its first batch killed it before any item of that began, so its items are to
                go one by one, which shows whose fault it is.
        """
        slot = self.slots.pop(worker)
        self.counts[slot.state] -= 1
        self._idle.pop(worker, None)
        self._roomy.pop(worker, None)
        if singly and slot.inflight and len(slot.inflight[0]) > 1:
            slot.inflight.extendleft(reversed(_singles(slot.inflight.popleft())))
        elif singly:
            begun = True
        out = self._give_up_items(slot, begun)
        if self._overdue:
            out += self._drop_queue()
        if failed_start:
            out += self._note_failed_start(now)
        return out + self._assign(now)

    def retire(self, worker: int, fate: str, now: float) -> list[Command]:
        """Let one worker finish what it has, then ask it to exit; nothing new goes to it."""
        slot = self.slots.get(worker)
        if slot is None or slot.state is WorkerState.STOPPING:
            return []
        if slot.state is WorkerState.IDLE:
            return self._stop(slot, fate, now) + self._assign(now)
        slot.retiring = fate
        self._roomy.pop(slot.id, None)
        return []

    def _stop(self, slot: Slot, fate: str, now: float) -> list[Command]:
        self._leave(slot, fate)
        self._set_timer(slot, now + self.policy.exit)
        return [Stop(slot.id)]

    def kill(self, worker: int, fate: str, handled: int = 0) -> list[Command]:
        """End one worker at once; the item it has is lost, for the reason `fate`."""
        slot = self.slots.get(worker)
        if slot is None:
            return []
        slot.handled += handled
        self.finished += handled
        return self._kill(slot, fate)

    # -- the pool --------------------------------------------------------------------------------

    def resize(self, policy: Policy, now: float) -> list[Command]:
        """Other numbers hold from now on."""
        self.policy = policy
        out: list[Command] = []
        surplus = self.alive - policy.max
        for slot in list(self._idle.values())[: max(surplus, 0)]:
            out += self._stop(slot, "resized", now)
        for slot in self._idle.values():
            self._set_idle_timer(slot, now)
        return out + self._assign(now)

    def pause(self) -> None:
        """Hand out nothing until `resume`."""
        if self.state is PoolState.OPEN:
            self.state = PoolState.PAUSED

    def resume(self, now: float) -> list[Command]:
        """Hand out work again."""
        if self.state is PoolState.PAUSED:
            self.state = PoolState.OPEN
        return self._assign(now)

    def reset(self, now: float) -> list[Command]:
        """Forget the failed starts of a broken pool, and try again."""
        self._failed_starts.clear()
        self._consecutive_failures = 0
        self._next_spawn_at = 0.0
        if self.state is PoolState.BROKEN:
            self.state = PoolState.OPEN
        return self._assign(now)

    def close(self, deadline: float | None, now: float) -> list[Command]:
        """Take nothing more, finish what there is until `deadline`, then end every worker."""
        self.state = PoolState.CLOSING
        self._close_deadline = deadline
        out = self._refuse_waiters()
        return out + self._assign(now)

    def kill_all(self) -> list[Command]:
        """End everything at once."""
        self.state = PoolState.CLOSING
        self._close_deadline = None
        self._overdue = True
        out = self._refuse_waiters() + self._drop_queue()
        for slot in self.slots.values():
            out += self._kill(slot, "closed")
        return out

    def tick(self, now: float) -> list[Command]:
        """The time has come that `next_deadline` named."""
        out: list[Command] = []
        while self._timers and self._timers[0][0] <= now:
            when, worker = heapq.heappop(self._timers)
            slot = self.slots.get(worker)
            if slot is None or slot.timer != when:
                continue
            slot.timer = None
            if slot.deadline is not None and slot.deadline > now:
                self._set_timer(slot, slot.deadline)
            elif slot.deadline is not None:
                slot.deadline = None
                out += self._expired(slot, now)
        if self._close_deadline is not None and self._close_deadline <= now:
            self._close_deadline = None
            self._overdue = True
            out += self._drop_queue()
            for slot in list(self.slots.values()):
                out += self._hurry(slot, now)
        return out + self._assign(now)

    # -- inside ----------------------------------------------------------------------------------

    def _enqueue(self, batch: Batch) -> None:
        self._queue.append(batch)
        self.queued += len(batch)
        batch.job.queued += len(batch)

    def _requeue(self, batches: Iterable[Batch]) -> None:
        for batch in reversed(list(batches)):
            self._queue.appendleft(batch)
            if not batch.job.cancelled:
                self.queued += len(batch)
                batch.job.queued += len(batch)

    def _assign(self, now: float) -> list[Command]:
        out: list[Command] = []
        if self.state not in (PoolState.OPEN, PoolState.CLOSING):
            return out
        while self._waiters and self._idle:
            out.append(self._grant(now))
        while self._queue:
            if self._queue[0].job.cancelled:
                self._discard(self._queue.popleft(), out)
                continue
            slot = self._next_free()
            if slot is None:
                break
            self._hand_over(slot, now, out)
        if self._idle and self.policy.takes_back and not self._queue:
            out += self._take_back()
        if self.state is PoolState.CLOSING and not self._queue:
            for slot in list(self._idle.values()):
                out += self._stop(slot, "closed", now)
            for slot in list(self.slots.values()):
                if slot.state is WorkerState.STARTING:
                    out += self._kill(slot, "closed")
        return out

    def _take_back(self) -> list[Command]:
        """A worker has nothing to do while another has more than it works on."""
        loaded = [slot for slot in self._roomy.values() if len(slot.inflight) > 1]
        return [TakeBack(max(loaded, key=lambda slot: slot.load).id)] if loaded else []

    def _discard(self, batch: Batch, out: list[Command]) -> None:
        out.append(Drop(batch, self.state))

    def _grant(self, now: float) -> Grant:
        waiter = self._waiters.popleft()
        _, slot = self._idle.popitem()
        self._move(slot, WorkerEvent.TAKEN)
        slot.since = now
        slot.deadline = None
        waiter.granted = slot.id
        return Grant(slot.id, waiter)

    def _next_free(self) -> Slot | None:
        """The worker that was busy last, as its caches are warm; else one with room."""
        if self._idle:
            return next(reversed(self._idle.values()))
        return next(iter(self._roomy.values()), None)

    def _hand_over(self, slot: Slot, now: float, out: list[Command]) -> None:
        batch = self._queue.popleft()
        window = self._window(batch)
        size = max(1, min(window - slot.load, self._fair_share()))
        if len(batch) > size:
            batch, rest = batch.split(size)
            self._queue.appendleft(rest)
        self.queued -= len(batch)
        batch.job.queued -= len(batch)
        if not batch.job.begin():
            self._discard(batch, out)
            return
        batch.sent_at = now
        batch.attempts += 1
        slot.inflight.append(batch)
        slot.load += len(batch)
        self.running += len(batch)
        if slot.load == len(batch):
            self._begin_item(slot, now)
        self._move(slot, WorkerEvent.ASSIGNED)
        self._idle.pop(slot.id, None)
        self._roomy.pop(slot.id, None)
        if slot.load < window and slot.retiring is None:
            self._roomy[slot.id] = slot  # behind the others, who have less
        out.append(Send(slot.id, batch))

    def _window(self, batch: Batch) -> int:
        """How many items a worker may have at a time, if they are such as in this batch."""
        return batch.job.window or self.policy.window

    def _fair_share(self) -> int:
        """How many items one worker gets now, so that the others get as many."""
        takers = len(self._idle) or self.counts[WorkerState.BUSY]
        return max(1, -(-self.queued // (takers + self.counts[WorkerState.STARTING])))

    def _begin_item(self, slot: Slot, now: float) -> None:
        slot.since = now
        timeout = slot.inflight[0].job.timeout
        if timeout is None:
            slot.deadline = None
        else:
            self._set_timer(slot, now + timeout)

    def _park(self, slot: Slot, now: float) -> list[Command]:
        """The worker has nothing to do: it waits for more, or is one too many."""
        slot.since = now
        self._roomy.pop(slot.id, None)
        self._idle[slot.id] = slot
        if self.alive > self.policy.max:
            slot.retiring = "resized"
        if slot.retiring is not None:
            return self._stop(slot, slot.retiring, now)
        self._set_idle_timer(slot, now)
        return []

    def _set_idle_timer(self, slot: Slot, now: float) -> None:
        idle = self.policy.idle
        if len(self._idle) > self.policy.spare:
            idle = SURPLUS_LINGER if idle is None else min(idle, SURPLUS_LINGER)
        if idle is None or len(self.slots) <= self.policy.min:
            slot.deadline = None
        else:
            self._set_timer(slot, now + idle)

    def _set_timer(self, slot: Slot, when: float) -> None:
        slot.deadline = when
        if slot.timer is None or when < slot.timer:
            slot.timer = when
            heapq.heappush(self._timers, (when, slot.id))

    def _expired(self, slot: Slot, now: float) -> list[Command]:
        match slot.state:
            case WorkerState.STARTING:
                return self._kill(slot, "start timeout")
            case WorkerState.BUSY:
                return self._kill(slot, "timeout")
            case WorkerState.IDLE:
                return self._retire_idle(slot, now)
            case _:
                return self._hurry(slot, now)

    def _retire_idle(self, slot: Slot, now: float) -> list[Command]:
        if self.alive > self.policy.min:
            return self._stop(slot, "idle", now)
        return []

    def _hurry(self, slot: Slot, now: float) -> list[Command]:
        """The next rung of the exit ladder: SIGTERM, then SIGKILL."""
        if slot.state is not WorkerState.STOPPING:
            self._leave(slot, "closed")
        slot.rung += 1
        if slot.rung == 1:
            self._set_timer(slot, now + min(self.policy.exit, TERM_GRACE))
            return [Terminate(slot.id)]
        slot.deadline = None
        return [Kill(slot.id)]

    def _kill(self, slot: Slot, fate: str) -> list[Command]:
        if slot.state is not WorkerState.STOPPING:
            self._leave(slot, fate)
        slot.deadline = None
        return [Kill(slot.id)]

    def _leave(self, slot: Slot, fate: str) -> None:
        self._move(slot, WorkerEvent.STOPPED)
        slot.fate = fate
        self._idle.pop(slot.id, None)
        self._roomy.pop(slot.id, None)

    def _give_up_items(self, slot: Slot, begun: bool) -> list[Command]:
        self.running -= slot.load
        if not begun:
            self._requeue(slot.inflight)
        if not begun or not slot.inflight:
            return []
        first = slot.inflight.popleft()
        running, rest = first.split(1)
        slot.failed += 1
        self.failures += 1
        if len(rest):
            slot.inflight.appendleft(rest)
        self._requeue(slot.inflight)
        return [Lost(running, slot.fate)]

    def _note_failed_start(self, now: float) -> list[Command]:
        policy = self.policy
        self._failed_starts.append(now)
        while self._failed_starts[0] < now - policy.failures_within:
            self._failed_starts.popleft()
        first, last = policy.backoff
        doublings = min(self._consecutive_failures, _MAX_DOUBLINGS)
        delay = min(first * 2**doublings, last) * policy.jitter()
        self._consecutive_failures += 1
        self._next_spawn_at = now + delay
        healthy = self.alive - self.counts[WorkerState.STARTING]
        if len(self._failed_starts) <= policy.max_failures or healthy:
            return []
        if self.state is PoolState.CLOSING:
            return self._drop_queue()
        self.state = PoolState.BROKEN
        return self._refuse_waiters() + self._drop_queue()

    def _lacking(self) -> int:
        """How many more workers are wanted now."""
        if self.state is PoolState.BROKEN:
            return 0
        alive = self.alive
        waiting = self.queued + len(self._waiters)
        wanted = waiting - self.counts[WorkerState.STARTING] - len(self._idle)
        if self.state is not PoolState.CLOSING:
            wanted = max(wanted, self.policy.min - alive)
        return min(wanted, self.policy.max - alive)

    def _move(self, slot: Slot, event: WorkerEvent) -> None:
        """Change a worker's state by the table of transitions."""
        self.counts[slot.state] -= 1
        slot.state = after(slot.state, event)
        self.counts[slot.state] += 1

    def _refuse_waiters(self) -> list[Command]:
        for waiter in self._waiters:
            waiter.pool_state = self.state
        self._waiters.clear()
        return []

    def _drop_queue(self) -> list[Command]:
        dropped: list[Command] = []
        for batch in self._queue:
            batch.job.queued = 0
            dropped.append(Drop(batch, self.state))
        self._queue.clear()
        self.queued = 0
        return dropped


def _singles(batch: Batch) -> list[Batch]:
    """The items of a batch, each in a batch of its own."""
    singles = []
    while len(batch) > 1:
        single, batch = batch.split(1)
        singles.append(single)
    return [*singles, batch]


def resized(policy: Policy, least: int | None, most: int | None, spare: int | None) -> Policy:
    """The policy with other sizes; None leaves one as it is.

    Raises:
        ValueError: the sizes contradict each other.
    """
    least = policy.min if least is None else least
    most = max(policy.max, least) if most is None else most
    if spare is None:
        spare = min(max(policy.spare, least), most)
    if least < 0 or most < 1 or least > most:
        raise ValueError(f"size.max must be at least 1 and at least size.min ({least}), got {most}")
    if not least <= spare <= most:
        raise ValueError(
            f"size.spare must be between size.min ({least}) and size.max ({most}), got {spare}"
        )
    return replace(policy, min=least, max=most, spare=spare)
