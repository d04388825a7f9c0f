"""The scheduler: what happened goes in, with the time; what is to be done comes out.

No process, no descriptor, no clock, no lock: whoever calls holds the pool's lock, and carries out
the commands after letting go of it. The queue, the slots and the lease waiters here are the pool's
entire mutable state.

    submit ─▶ queue ─▶ assign ─▶ slot.inflight ─▶ answered ─▶ deliveries
                         ▲                            │
                         └───── idle, or room ◀───────┘
"""

from __future__ import annotations

import heapq
from collections import deque
from itertools import count
from typing import TYPE_CHECKING

from processpool.core.commands import (
    Command,
    Drop,
    DumpStacks,
    Grant,
    Kill,
    LeaseWaiter,
    Lost,
    Retry,
    Send,
    Stop,
    TakeBack,
    Terminate,
)
from processpool.core.exit_reason import ExitReason
from processpool.core.restarts import Restarts
from processpool.core.slot import Slot
from processpool.core.states import (
    PoolEvent,
    PoolState,
    WorkerEvent,
    WorkerState,
    after,
    pool_after,
)
from processpool.core.work_queue import WorkQueue

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.core.jobs import Batch, Job
    from processpool.core.policy import Policy

TERM_GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL, at most; php-fpm waits as long."""
SURPLUS_LINGER = 1.0
"""Seconds that a worker beyond `spare` waits for the next burst before it is retired."""
DUMP_GRACE = 0.1
"""Seconds that a worker has to write down where its threads are."""


class Scheduler:
    """The decisions of one pool. Every method takes the time; most return commands."""

    def __init__(
        self, policy: Policy, is_unsent: Callable[[int, Batch], bool] = lambda *_: False
    ) -> None:
        """`is_unsent` says whether this batch is still to be written to that worker."""
        self.policy = policy
        self._is_unsent = is_unsent
        self.state = PoolState.NEW
        self.slots: dict[int, Slot] = {}
        self.counts = dict.fromkeys(WorkerState, 0)
        """How many workers are in each state."""
        self.running = 0
        """Items that workers have."""
        self.finished = 0
        self.failures = 0
        self._queue = WorkQueue()
        self._waiters: deque[LeaseWaiter] = deque()
        self._idle: dict[int, Slot] = {}
        self._roomy: dict[int, Slot] = {}
        self._ahead: dict[int, Slot] = {}
        """Workers that were given more than they work on; some may have done it by now."""
        self._timers: list[tuple[float, int]] = []
        self._numbers = count(1)
        self._restarts = Restarts()
        self._expiring = 0
        self._close_deadline: float | None = None
        self._overdue = False
        """True once it closes without finishing what is queued."""

    # -- reading ---------------------------------------------------------------------------------

    @property
    def alive(self) -> int:
        """Workers that count against `max`: all but those on their way out."""
        return len(self.slots) - self.counts[WorkerState.STOPPING] - self._expiring

    @property
    def starting(self) -> int:
        """Workers that are being started, or wanted."""
        return self.counts[WorkerState.STARTING] + max(self._lacking(), 0)

    @property
    def queued(self) -> int:
        """Items that wait for a worker, the cancelled ones left out."""
        return self._queue.items

    @property
    def forgives_kills(self) -> bool:
        """True if a worker that is killed while it starts says nothing about the next one."""
        return self._restarts.may_be_chance

    @property
    def has_work(self) -> bool:
        """True while an item waits or runs."""
        return self.queued > 0 or self.running > 0 or self._queue.has_delayed

    @property
    def wants_idle(self) -> bool:
        """True if a worker that comes free has something to do, or is not to be kept."""
        if self.state is not PoolState.OPEN or self.policy.recycles:
            return True
        return bool(self._queue) or bool(self._waiters)

    @property
    def next_deadline(self) -> float | None:
        """When `tick` is to be called next, if nothing happens before."""
        times = [self._timers[0][0]] if self._timers else []
        if self._close_deadline is not None:
            times.append(self._close_deadline)
        if self._queue.next_due is not None:
            times.append(self._queue.next_due)
        return min(times, default=None)

    @property
    def next_start(self) -> float | None:
        """When `spawn` is to be called next; None if no further worker is wanted."""
        return self._restarts.next_at if self._lacking() > 0 else None

    # -- work ------------------------------------------------------------------------------------

    def submit(self, batch: Batch, now: float) -> list[Command]:
        """Items have come in."""
        self._queue.append(batch)
        return self._assign(now)

    def take(self, now: float) -> Slot | None:
        """An idle worker for one `call`, if one is free and nobody waits before it."""
        if self._queue or self._waiters or self.state is not PoolState.OPEN:
            return None
        if not self._has_free_worker:
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

    def release(self, worker: int, handled: int, now: float, failed: int = 0) -> list[Command]:
        """A worker that was taken or leased comes back."""
        self.finished += handled
        self.failures += failed
        slot = self.slots.get(worker)
        if slot is None:  # the pool has ended it meanwhile
            return []
        slot.handled += handled
        slot.failed += failed
        if slot.state is not WorkerState.LEASED:
            return []
        self._move(slot, WorkerEvent.RELEASED)
        if len(self._idle) >= self.policy.spare and not (self._waiters or self._queue):
            return self._stop(slot, ExitReason.IDLE, now)
        return self._park(slot, now) + self._assign(now)

    def follow(self, slot: Slot, now: float) -> Batch | None:
        """The worker has answered its only item: let the next one follow at once, as is usual.

        This is `answered` and all that comes of it, for the case that nearly every item of a map is:
        nothing but the item changes.

        Returns:
            the next item, which is to be sent; None if this is not that case, or none waits: then
            nothing is decided yet.
        """
        queue, policy = self._queue, self.policy
        if slot.load != 1 or self._waiters or not queue or slot.retiring is not None:
            return None
        if self.state is not PoolState.OPEN or policy.renews or slot.state is not WorkerState.BUSY:
            return None
        job = queue.first.job
        if job.cancelled or slot.inflight[0].job.killed or (job.window or policy.window) != 1:
            return None
        batch = queue.take(1)
        if not job.begin():
            queue.put_back([batch])
            return None
        batch.sent_at = slot.since = now
        batch.attempts += 1
        slot.inflight[0] = batch
        slot.handled += 1
        self.finished += 1
        if job.timeout is None:
            slot.deadline = None
        else:
            self._set_timer(slot, now + job.timeout)
        return batch

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
        if slot.inflight and slot.inflight[0].job.killed:
            return done, self._kill(slot, ExitReason.CANCELLED)
        if slot.inflight:
            self._begin_item(slot, now)
            if slot.load * 2 <= self._window(slot.inflight[0]) and self._takes_more(slot):
                self._roomy[slot.id] = slot
            return done, self._assign(now)
        self._move(slot, WorkerEvent.FINISHED)
        return done, self._park(slot, now) + self._assign(now)

    def given_back(
        self, worker: int, now: float, *, keep: int = 0, singly: bool = False
    ) -> list[Command]:
        """The worker has not begun the rest of its first batch, and will not.

        Args:
            worker: its number.
            now: the time.
            keep: items of the batch that it has begun.
            singly: it could not even read the batch, so the items go one by one.
        """
        slot = self.slots[worker]
        if not slot.inflight:
            return []
        kept, batch = slot.inflight.popleft().split(keep)
        if keep:
            slot.inflight.appendleft(kept)
        self._queue.take_back(_singles(batch) if singly else [batch])
        return self._relieved(slot, len(batch), now)

    def can_share(self, worker: int) -> bool:
        """True if somebody is free to do what this worker has not begun."""
        return self.slots[worker].load > 1 and not self._queue and self._has_free_worker

    def taken_back(self, worker: int, batches: list[Batch], now: float) -> list[Command]:
        """These batches were taken from a worker that had not begun them."""
        slot = self.slots.get(worker)
        if slot is None:  # it has died meanwhile, and they were taken back with everything else
            return []
        taken = [batch for batch in slot.inflight if batch in batches]
        slot.inflight = deque(batch for batch in slot.inflight if batch not in batches)
        self._queue.take_back(taken)
        return self._relieved(slot, sum(map(len, taken)), now)

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
        out: list[Command] = [Drop(batch, self.state) for batch in self._queue.forget(job)]
        job.killed = job.killed or kill
        if kill:
            for slot in self.slots.values():
                if self._works_on(slot, job):
                    out += self._kill(slot, ExitReason.CANCELLED)
        elif self.policy.takes_back:
            for slot in self._ahead.values():
                if slot.state is WorkerState.BUSY and any(b.job is job for b in slot.inflight):
                    out.append(TakeBack(slot.id, read=True))
        return out

    def _works_on(self, slot: Slot, job: Job) -> bool:
        """True if the worker is in an item of this job, as far as is known.

        A single item that is not first, and could not be taken back, has begun all the same: what
        was before it is answered, and the answers are on their way.
        """
        if not slot.inflight:
            return False
        if slot.inflight[0].job is job:
            return True
        single = self.policy.takes_back and not job.number
        return single and any(batch.job is job for batch in slot.inflight)

    def keeps(self, job: Job) -> bool:
        """True if an item of this job waits in the queue, or to be tried again."""
        return job.queued > 0 or self._queue.delays(job)

    def sent(self, worker: int, batch: Batch, now: float) -> list[Command]:
        """It took a while to write this batch to the worker: its time begins only now."""
        slot = self.slots.get(worker)
        if slot is not None and slot.state is WorkerState.BUSY and slot.inflight[0] is batch:
            batch.sent_at = now
            self._begin_item(slot, now)
        return []

    def holder(self, job: Job) -> int | None:
        """The worker that was given the one item of this job, behind what it works on."""
        for slot in self._ahead.values():
            if any(batch.job is job for batch in slot.inflight):
                return slot.id
        return None

    # -- workers ---------------------------------------------------------------------------------

    def spawn(self, now: float) -> Slot | None:
        """A slot for one more worker, if one is wanted and its time has come."""
        if self._lacking() <= 0 or now < self._restarts.next_at:
            return None
        slot = Slot(next(self._numbers), now, self.policy)
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
        self._restarts.succeeded()
        if self.state is PoolState.BROKEN:
            self.change(PoolEvent.MENDED)
        self._move(slot, WorkerEvent.READY)
        out = self._park(slot, now)
        if self._expiring:
            out += self._replace_expiring(now)
        return out + self._assign(now)

    def ended(self, worker: int) -> None:
        """A worker's process is gone, and its last answers are to come: it gets nothing more."""
        slot = self.slots[worker]
        if slot.state in (WorkerState.IDLE, WorkerState.BUSY):
            slot.deadline = None
            self._leave(slot, None)

    def exited(
        self,
        worker: int,
        now: float,
        *,
        failed_start: bool = False,
        killed: bool = False,
        begun: bool = True,
        singly: bool = False,
    ) -> list[Command]:
        """A worker is gone. What it had not begun goes back to the queue.

        Args:
            worker: its number.
            now: the time.
            failed_start: it was never of any use: the next one starts later.
            killed: and that is because somebody has killed it, which may be chance.
            begun: it may have begun the first of its items.
            singly: its first batch killed it before any item of that began, so its items are to
                go one by one, which shows whose fault it is.
        """
        slot = self.slots.pop(worker)
        self.counts[slot.state] -= 1
        self._idle.pop(worker, None)
        self._roomy.pop(worker, None)
        self._ahead.pop(worker, None)
        if slot.expiring and slot.state is not WorkerState.STOPPING:
            self._expiring -= 1
        several = singly and bool(slot.inflight) and len(slot.inflight[0]) > 1
        if several:
            slot.inflight.extendleft(reversed(_singles(slot.inflight.popleft())))
        costs_item = slot.exit_reason is not None and slot.exit_reason.costs_item
        lost = begun or singly or costs_item
        out = self._give_up_items(slot, lost and not several, now)
        if self._overdue:
            out += self._drop_queue()
        if failed_start:
            out += self._note_failed_start(now, killed=killed)
        return out + self._assign(now)

    def retire(self, worker: int, exit_reason: ExitReason, now: float) -> list[Command]:
        """Let one worker finish what it has, then ask it to exit; nothing new goes to it."""
        slot = self.slots.get(worker)
        if slot is None or slot.state is WorkerState.STOPPING:
            return []
        if slot.state is WorkerState.IDLE:
            return self._stop(slot, exit_reason, now) + self._assign(now)
        slot.retiring = exit_reason
        self._roomy.pop(slot.id, None)
        return []

    def _stop(self, slot: Slot, exit_reason: ExitReason, now: float) -> list[Command]:
        self._leave(slot, exit_reason)
        self._set_timer(slot, now + self.policy.exit)
        return [Stop(slot.id)]

    def kill(
        self, worker: int, exit_reason: ExitReason, handled: int = 0, failed: int = 0
    ) -> list[Command]:
        """End one worker at once; the item it has is lost, for the reason `exit_reason`."""
        self.failures += failed
        slot = self.slots.get(worker)
        if slot is None:
            return []
        slot.handled += handled
        slot.failed += failed
        self.finished += handled
        return self._kill(slot, exit_reason)

    # -- the pool --------------------------------------------------------------------------------

    def change(self, event: PoolEvent) -> None:
        """Change the pool's state by the table of transitions."""
        self.state = pool_after(self.state, event)

    def opened(self, now: float) -> list[Command]:
        """The pool's thread runs; it may have been closed meanwhile."""
        if self.state is PoolState.OPENING:
            self.change(PoolEvent.OPENED)
        return self._assign(now)

    def resize(self, policy: Policy, now: float) -> list[Command]:
        """Other numbers hold from now on."""
        self.policy = policy
        out: list[Command] = []
        surplus = self.alive - policy.max
        for slot in list(self._idle.values())[: max(surplus, 0)]:
            out += self._stop(slot, ExitReason.RESIZED, now)
        for slot in self._idle.values():
            self._set_idle_timer(slot, now)
        return out + self._assign(now)

    def pause(self) -> None:
        """Hand out nothing until `resume`."""
        if self.state is PoolState.OPEN:
            self.change(PoolEvent.PAUSED)

    def resume(self, now: float) -> list[Command]:
        """Hand out work again."""
        if self.state is PoolState.PAUSED:
            self.change(PoolEvent.RESUMED)
        return self._assign(now)

    def reset(self, now: float) -> list[Command]:
        """Forget the failed starts of a broken pool, and try again."""
        self._restarts.reset()
        if self.state is PoolState.BROKEN:
            self.change(PoolEvent.MENDED)
        return self._assign(now)

    def close(self, deadline: float | None, now: float) -> list[Command]:
        """Take nothing more, finish what there is until `deadline`, then end every worker."""
        self.change(PoolEvent.CLOSING)
        self._close_deadline = deadline
        out = self._refuse_waiters()
        return out + self._assign(now)

    def kill_all(self) -> list[Command]:
        """End everything at once."""
        if self.state in (PoolState.CLOSED, PoolState.FORKED):
            return []
        self.change(PoolEvent.CLOSING)
        self._close_deadline = None
        self._overdue = True
        out = self._refuse_waiters() + self._drop_queue()
        for slot in self.slots.values():
            out += self._kill(slot, ExitReason.CLOSED)
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
                if not slot.rung:
                    out += self._hurry(slot, now)
        self._queue.wake(now)
        return out + self._assign(now)

    # -- inside ----------------------------------------------------------------------------------

    def _assign(self, now: float) -> list[Command]:
        out: list[Command] = []
        if self.state not in (PoolState.OPEN, PoolState.CLOSING):
            return out
        while self._waiters and self._has_free_worker:
            out.append(self._grant(now))
        while self._queue:
            if self._queue.first.job.cancelled:
                out.append(Drop(self._queue.take(len(self._queue.first)), self.state))
                continue
            slot = self._next_free()
            if slot is None:
                break
            self._hand_over(slot, now, out)
        if self.policy.takes_back and not self._queue and self._has_free_worker:
            out += self._take_back()
        if self.state is PoolState.CLOSING and not (self._queue or self._queue.has_delayed):
            for slot in list(self._idle.values()):
                out += self._stop(slot, ExitReason.CLOSED, now)
            for slot in list(self.slots.values()):
                if slot.state is WorkerState.STARTING:
                    out += self._kill(slot, ExitReason.CLOSED)
        return out

    def _take_back(self) -> list[Command]:
        """A worker has nothing to do while another has more than it works on."""
        for slot in list(self._ahead.values()):
            if slot.load < 2 or slot.state is not WorkerState.BUSY:
                del self._ahead[slot.id]
        ahead = [slot for slot in self._ahead.values() if len(slot.inflight) > 1]
        return [TakeBack(max(ahead, key=lambda slot: slot.load).id)] if ahead else []

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
        if self._has_free_worker:
            return next(reversed(self._idle.values()))
        return next(iter(self._roomy.values()), None)

    @property
    def _has_free_worker(self) -> bool:
        """True if one is idle, and may begin: a successor waits until its predecessor is done."""
        counts = self.counts
        working = counts[WorkerState.BUSY] + counts[WorkerState.LEASED]
        return bool(self._idle) and working < self.policy.max

    def _hand_over(self, slot: Slot, now: float, out: list[Command]) -> None:
        """Give a worker as much of the first batch as it may have."""
        window = self._window(self._queue.first)
        size = max(1, min(window - slot.load, self._fair_share()))
        if slot.remaining is not None:
            size = max(1, min(size, slot.remaining))
        batch = self._queue.take(size)
        if not batch.job.begin():
            out.append(Drop(batch, self.state))
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
        self._note_expiry(slot, now)
        if slot.load < window and self._takes_more(slot):
            self._roomy[slot.id] = slot  # behind the others, who have less
        if slot.load > 1:
            self._ahead[slot.id] = slot
        out.append(Send(slot.id, batch))

    def _takes_more(self, slot: Slot) -> bool:
        return slot.retiring is None and slot.remaining != 0

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
        self._note_expiry(slot, now)
        if slot.remaining is not None and slot.remaining <= 0:
            slot.retiring = ExitReason.RECYCLED
        elif self.alive > self.policy.max and not slot.expiring:
            slot.retiring = ExitReason.RESIZED
        if slot.retiring is not None:
            return self._stop(slot, slot.retiring, now)
        self._set_idle_timer(slot, now)
        return []

    def _set_idle_timer(self, slot: Slot, now: float) -> None:
        idle = self.policy.idle
        if len(self._idle) > self.policy.spare:
            idle = SURPLUS_LINGER if idle is None else min(idle, SURPLUS_LINGER)
        if len(self.slots) <= self.policy.min:
            idle = None
        times = [] if idle is None else [now + idle]
        if slot.max_age is not None and not slot.expiring:
            times.append(slot.started_at + slot.max_age)
        if times:
            self._set_timer(slot, min(times))
        else:
            slot.deadline = None

    # -- recycling -------------------------------------------------------------------------------

    def expire(self, worker: int, now: float) -> list[Command]:
        """A worker has grown too large: it is replaced as soon as its successor is ready."""
        slot = self.slots.get(worker)
        if slot is not None:
            self._mark_expiring(slot)
        return self._assign(now)

    def _note_expiry(self, slot: Slot, now: float) -> None:
        if not slot.expiring and slot.expires(now):
            self._mark_expiring(slot)

    def _mark_expiring(self, slot: Slot) -> None:
        if not slot.expiring and slot.state is not WorkerState.STOPPING:
            slot.expiring = True
            self._expiring += 1

    def _replace_expiring(self, now: float) -> list[Command]:
        """A successor is ready: the worker that expires longest goes, when it has done its work."""
        for slot in self.slots.values():
            if slot.expiring and slot.retiring is None and slot.state is not WorkerState.STOPPING:
                return self.retire(slot.id, ExitReason.RECYCLED, now)
        return []

    # -- timers and the exit ladder --------------------------------------------------------------

    def _set_timer(self, slot: Slot, when: float) -> None:
        slot.deadline = when
        if slot.timer is None or when < slot.timer:
            slot.timer = when
            heapq.heappush(self._timers, (when, slot.id))

    def _expired(self, slot: Slot, now: float) -> list[Command]:
        match slot.state:
            case WorkerState.STARTING:
                self._restarts.hold(self.policy, now)
                return self._kill(slot, ExitReason.START_TIMEOUT)
            case WorkerState.BUSY if self._is_unsent(slot.id, slot.inflight[0]):
                self._begin_item(slot, now)
                return []
            case WorkerState.BUSY:
                return self._out_of_time(slot, now)
            case WorkerState.IDLE:
                return self._retire_idle(slot, now)
            case _:
                return self._hurry(slot, now)

    def _retire_idle(self, slot: Slot, now: float) -> list[Command]:
        self._note_expiry(slot, now)
        if self.alive > self.policy.min and not slot.expiring:
            return self._stop(slot, ExitReason.IDLE, now)
        return []

    def _out_of_time(self, slot: Slot, now: float) -> list[Command]:
        if not self.policy.dumps_stacks:
            return self._kill(slot, ExitReason.TIMEOUT)
        self._leave(slot, ExitReason.TIMEOUT)
        slot.rung = 1  # the next is SIGKILL
        self._set_timer(slot, now + DUMP_GRACE)
        return [DumpStacks(slot.id)]

    def _hurry(self, slot: Slot, now: float) -> list[Command]:
        """The next rung of the exit ladder: SIGTERM, then SIGKILL."""
        if slot.state is not WorkerState.STOPPING:
            self._leave(slot, ExitReason.CLOSED)
        slot.rung += 1
        if slot.rung == 1:
            self._set_timer(slot, now + min(self.policy.exit, TERM_GRACE))
            return [Terminate(slot.id)]
        slot.deadline = None
        return [Kill(slot.id)]

    def _kill(self, slot: Slot, exit_reason: ExitReason) -> list[Command]:
        if slot.state is not WorkerState.STOPPING:
            self._leave(slot, exit_reason)
        slot.deadline = None
        return [Kill(slot.id)]

    def _leave(self, slot: Slot, exit_reason: ExitReason | None) -> None:
        self._move(slot, WorkerEvent.STOPPED)
        if slot.expiring:
            self._expiring -= 1
        slot.exit_reason = exit_reason
        self._idle.pop(slot.id, None)
        self._roomy.pop(slot.id, None)

    def _give_up_items(self, slot: Slot, begun: bool, now: float) -> list[Command]:
        """The worker is gone: its items go to others, but for the one that it had begun."""
        self.running -= slot.load
        if not begun:
            self._queue.take_back(slot.inflight)
        if not begun or not slot.inflight:
            return []
        running, rest = slot.inflight.popleft().split(1)
        slot.failed += 1
        if len(rest):
            slot.inflight.appendleft(rest)
        self._queue.take_back(slot.inflight)
        reason = {None: "crash", ExitReason.TIMEOUT: "timeout"}.get(slot.exit_reason)
        if reason and self.retry(running, reason, now):
            return [Retry(running, slot.exit_reason)]
        self.failures += 1
        return [Lost(running, slot.exit_reason)]

    def retry(self, batch: Batch, reason: str, now: float) -> bool:
        """An item failed, by crash, timeout or error; True if it will be tried again."""
        if batch.job.cancelled or not self.policy.retries(reason, batch.attempts):
            return False
        self._queue.delay(batch, now + self.policy.delay(batch.attempts - 1))
        return True

    def _note_failed_start(self, now: float, *, killed: bool) -> list[Command]:
        note = self._restarts.killed if killed else self._restarts.failed
        too_often = note(self.policy, now)
        healthy = self.alive - self.counts[WorkerState.STARTING]
        if not too_often or healthy > 0:
            return []
        if self.state is PoolState.CLOSING:
            return self._drop_queue()
        self.change(PoolEvent.BROKE)
        return self._refuse_waiters() + self._drop_queue()

    def _lacking(self) -> int:
        """How many more workers are wanted now."""
        if self.state is PoolState.BROKEN:
            return 0
        alive = self.alive
        waiting = self.queued + len(self._waiters)
        if self.policy.takes_back:  # what lies behind another item could be run by a new worker
            waiting += max(self.running - self.counts[WorkerState.BUSY], 0)
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
        return [Drop(batch, self.state) for batch in self._queue.clear()]


def _singles(batch: Batch) -> list[Batch]:
    """The items of a batch, each in a batch of its own."""
    singles = []
    while len(batch) > 1:
        single, batch = batch.split(1)
        singles.append(single)
    return [*singles, batch]
