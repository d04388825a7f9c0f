"""Who waits, leads: the thread that wants an answer drives the engine's loop itself.

One thread at a time has the *lead*: it polls, reads, decides and writes, a turn at a time. Whoever
waits takes it, if it is free; otherwise they follow, asleep, until what they wait for has come, or
until the leader steps down and one of them is to lead. So an answer wakes nobody but the thread
that wants it, and mostly not even that.

When nobody waits, the *keeper* leads, a thread of the engine's own. It sleeps in an outer epoll,
which contains the loop's; a leader disarms it there by a single call, and so never competes with
it. It is armed again lazily: after somebody has led, the keeper only ticks, until a tick in which
nobody did. Otherwise it would be woken between every two waits.
"""

from __future__ import annotations

import os
import select
from _thread import allocate_lock, get_ident
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from processpool.system.epoll_loop import FOREVER, MAX_SLEEP, ring
from processpool.system.interrupts import INTERRUPTIBLE, SHIELD
from processpool.system.monitor import WAIT, must_not_wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.system.epoll_loop import Loop
    from processpool.system.monitor import Bell

TICK = 0.005
"""Seconds between two looks of the keeper whether anybody has led."""
SLOW_CONSUMER = 0.001
"""Seconds between two waits from which on the keeper is armed at once, if there is work to do."""


class Lead:
    """The lead of one engine's loop, and the line of those who would take it."""

    def __init__(
        self, loop: Loop, turn: Callable[[float | None], None], has_queue: Callable[[], bool]
    ) -> None:
        """Nobody leads yet.

        Args:
            loop: what is led.
            turn: one turn of the engine; given a time, it sleeps until then at most.
            has_queue: says whether work waits that somebody must hand out.

        Raises:
            OSError: no descriptor is left.
        """
        self._loop = loop
        self._turn = turn
        self._has_queue = has_queue
        self._is_attended = False
        """True once somebody who does not wait wants to be called."""
        self._lead = allocate_lock()
        self._leader = 0
        self._followers: dict[Bell, None] = {}
        self._waker = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        try:
            self._outer = select.epoll()
        except OSError:
            os.close(self._waker)
            raise
        self._outer.register(self._waker, select.EPOLLIN)
        self._outer.register(loop.fd, select.EPOLLIN)
        self._armed = True
        self._ticking = False
        self._led = self._led_before = 0
        self._left_at = 0.0
        self._is_slow = False
        """True if the last who led came back only after a while: the work goes on without them."""
        self._keeper_asleep_until = 0.0
        self._ended = False

    @property
    def is_mine(self) -> bool:
        """True on the thread that leads: others wait for it, so that it must not wait itself."""
        return self._leader == get_ident()

    # -- waiting ---------------------------------------------------------------------------------

    def wait(self, bell: Bell, deadline: float | None) -> bool:
        """Drive the loop, or follow who does, until the bell has rung; to be called uninterrupted.

        Returns:
            False if that time came before.

        Raises:
            BaseException: what the handler of a signal has raised meanwhile.
        """
        is_main = get_ident() == SHIELD.main
        if is_main:
            SHIELD.widen()  # before the lead is taken: nothing may raise while it is held
        has_followed = False
        try:
            while not bell.rung:
                if not self._ended and self._lead.acquire(False):
                    has_followed = False
                    self._drive(bell, deadline, is_main)
                else:
                    has_followed = True
                    self._follow(bell, deadline)
                if is_main and SHIELD.held:
                    with INTERRUPTIBLE:
                        pass
                if deadline is not None and not bell.rung and deadline <= monotonic():
                    return False
            return True
        finally:
            if has_followed and self._lead.acquire(False):  # it may just have been handed over
                self._step_down()

    def _drive(self, bell: Bell, deadline: float | None, is_main: bool) -> None:
        """With the lead: turn after turn, and step down."""
        me = self._leader = get_ident()
        must_not_wait.add(me)
        bell.wake = self._loop.wake  # before it is looked at, so that no ring is missed
        if is_main:
            SHIELD.wake = bell.wake
        try:
            self._take_over()
            turn, held = self._turn, SHIELD.held
            while not (bell.rung or self._ended):
                turn(deadline)
                if held and is_main:
                    return
                if deadline is not None and deadline <= monotonic():
                    return
        finally:
            bell.wake = None
            if is_main:
                SHIELD.wake = None
            must_not_wait.discard(me)
            self._step_down()

    def _follow(self, bell: Bell, deadline: float | None) -> None:
        """Sleep until the bell rings, or whoever leads steps down."""
        bell.prepare()  # whoever leads may step down, and nudge, before the sleep has begun
        self._followers[bell] = None
        try:
            if self._ended or self._lead.locked():  # otherwise who led has just left
                left = WAIT if deadline is None else max(deadline - monotonic(), 0)
                with INTERRUPTIBLE:
                    bell.sleep(min(left, WAIT))
        finally:
            self._followers.pop(bell, None)

    # -- the lead --------------------------------------------------------------------------------

    def _take_over(self) -> None:
        self._led += 1
        self._disarm()
        self._is_slow = monotonic() - self._left_at > SLOW_CONSUMER

    def _step_down(self) -> None:
        """Let go of the lead: to a follower, if there is one, or else to the keeper."""
        self._left_at = monotonic()
        self._leader = 0
        if not self._followers:
            if self._is_attended or (self._is_slow and self._has_queue()):
                self._arm()
                if self._loop.sleeps_until is not None:
                    self.wake_keeper()
            elif not (self._armed or self._ticking):
                self._ticking = True
                self.wake_keeper()
        self._lead.release()
        self._hand_over()

    def _hand_over(self) -> None:
        """If nobody leads, one of those who follow is to."""
        if self._followers and not self._lead.locked():
            with suppress(RuntimeError, StopIteration):  # the line is changed by another thread
                next(iter(self._followers)).nudge()

    def _arm(self) -> None:
        if not (self._armed or self._ended):
            self._outer.modify(self._loop.fd, select.EPOLLIN)
            self._armed = True

    def _disarm(self) -> None:
        if self._armed:
            self._outer.modify(self._loop.fd, 0)
            self._armed = False

    def attend(self) -> None:
        """Somebody wants to be called, and does not wait: the keeper is to lead from now on."""
        self._is_attended = True
        if not self._armed and self._lead.acquire(False):
            self._step_down()

    def plan(self, due: float | None) -> None:
        """The engine is to look again at that time; whoever would sleep for longer is woken.

        To be called under the lock that guards what `due` was computed from, so that no later
        change is missed.
        """
        self._loop.planned = due
        if due is None:
            return
        if due < self._loop.asleep_until:
            self._loop.wake()
        if self._armed and due < self._keeper_asleep_until:
            self.wake_keeper()

    # -- the keeper ------------------------------------------------------------------------------

    def keep(self, until: float | None) -> None:
        """One round of the keeper: sleep until nobody leads and something happens, and see to it.

        Args:
            until: return at this time at the latest.
        """
        self._keeper_asleep_until = FOREVER  # before it is looked at what is planned
        if self._ticking:
            timeout: float | None = TICK
        else:
            due = self._loop.sleeps_until if self._armed else None
            if until is not None and (due is None or until < due):
                due = until
            timeout = None
            if due is not None:
                self._keeper_asleep_until = due
                timeout = min(max(due - monotonic(), 0), MAX_SLEEP)
        found = [fd for fd, _ in self._outer.poll(timeout)]
        self._keeper_asleep_until = 0.0
        if self._waker in found:
            with suppress(BlockingIOError):
                os.eventfd_read(self._waker)
        if self._ticking and self._led != self._led_before:
            self._led_before = self._led
            return
        takes_lead = self._lead.acquire(False)
        if not takes_lead and self._loop.fd in found:  # who led is just stepping down, and would
            takes_lead = self._lead.acquire(True, TICK)  # be hindered if this looked again at once
        if not takes_lead:
            return
        self._leader = get_ident()
        try:
            self._ticking = self._is_attended = False  # only with the lead
            self._arm()
            self._turn(0.0)
        finally:
            self._leader = 0
            if self._followers:  # one of them goes on, and is not to find the lead taken again
                self._ticking, self._led_before = True, self._led
                self._disarm()
            self._lead.release()
            self._hand_over()

    def wake_keeper(self) -> None:
        """Have the keeper look around."""
        ring(self._waker)

    def end(self) -> None:
        """Nobody leads any more: those who wait only sleep. To be called by the keeper."""
        self._ended = True
        self._loop.wake()
        self._lead.acquire()
        for bell in list(self._followers):
            bell.nudge()

    def close(self) -> None:
        """Close the descriptors."""
        if self._waker >= 0:
            waker, self._waker = self._waker, -1
            os.close(waker)
            self._outer.close()
