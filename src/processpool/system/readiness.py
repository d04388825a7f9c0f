"""Finds out when a program that does not say so awaits a request, at its start and later.

It does when it is blocked in a read from its input, and nothing is left in that. A program that
polls, or cannot be looked at, does once it has slept for a while. One that sleeps in a call that no
input ends, or never sleeps for long but does little else, is given longer, and then counts as one
that does not care: it may look now and then. A program that works does neither.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from processpool.system.awaiting import Stance, inode_of, is_working, look_at
from processpool.system.pipes import unread

if TYPE_CHECKING:
    from processpool.system.process import Process

FIRST = 0.001
LAST = 0.032
"""Seconds between two looks: doubling from the first to the last."""
ASLEEP = 0.1
"""Seconds of sleep after which a program that polls counts as awaiting a request."""
UNCONCERNED = 2.0
"""The same for one that sleeps in a call that no input ends."""
IDLING = 0.2
"""The share of a CPU up to which a program only looks for input again and again, with short sleeps
between. It awaits requests, too, after `UNCONCERNED` seconds of that."""
STARVED = 0.9
"""The share of looks that may find such a program running; one that lacks a CPU always runs."""
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

SILENCE = (
    "it has read its request and awaits input: either it holds its output back (use its own option "
    "against that, put stdbuf -oL in front of the command, or set worker.stdout: pty), or the "
    "request is not finished for it (is a semicolon or a last line missing in "
    "worker.protocol.request?)"
)
"""Why a program that waits for more has not answered."""


class Probe:
    """Looks at one process and its children now and then.

    Attributes:
        next_at: when to look again.
        stance: what was seen last.
    """

    def __init__(self, process: Process, now: float) -> None:
        self.next_at = now + FIRST
        self.stance = Stance.RUNS
        self._process = process
        self._pipe = inode_of(process.stdin) if process.stdin >= 0 else 0
        self._interval = FIRST
        self._ticks = -1
        self._asleep_since = now
        self._watched_since, self._ticks_then = now, -1
        self._looks = self._found_running = 0

    def is_ready(self, now: float) -> bool:
        """True if the process awaits a request; otherwise `next_at` says when to look again."""
        if self._awaits(now):
            return True
        self._interval = min(self._interval * 2, LAST)
        self.next_at = now + self._interval
        return False

    def _awaits(self, now: float) -> bool:
        has_input = bool(unread(self._process.stdin))  # before the look: it may read meanwhile
        self.stance, ticks = look_at(self._process.pid, self._pipe)
        self._looks += 1
        self._found_running += self.stance is Stance.RUNS
        if self.stance is Stance.READS:
            return not has_input
        if self.stance is Stance.RUNS or ticks != self._ticks:
            self._ticks = ticks
            self._asleep_since = now
            return self._idles(now, ticks)
        if self.stance is Stance.GONE:  # its end will be seen
            return False
        patience = UNCONCERNED if self.stance is Stance.SLEEPS else ASLEEP
        return now - self._asleep_since >= patience

    def _idles(self, now: float, ticks: int) -> bool:
        """True if it used little of a CPU for long, though it never slept for long at a time."""
        if self._ticks_then < 0:
            self._ticks_then = ticks
        seconds = now - self._watched_since
        if seconds < UNCONCERNED:
            return False
        used = (ticks - self._ticks_then) / _TICKS_PER_SECOND
        idles = used < IDLING * seconds and self._found_running < STARVED * self._looks
        self._watched_since, self._ticks_then = now, ticks
        self._looks = self._found_running = 0
        return idles


def reason_of_silence(process: Process) -> str | None:
    """Why a program that has a request says nothing; None if it may just be at work."""
    if process.stdin < 0:
        return None
    has_input = bool(unread(process.stdin))
    stance = look_at(process.pid, inode_of(process.stdin)).stance
    if stance is Stance.READS and not has_input:
        return None if is_working(process.pid) else SILENCE  # a thread reads, others compute
    if stance is Stance.POLLS:
        return None if has_input else SILENCE
    if has_input and stance is Stance.SLEEPS:
        return "it has not read all of its request, and sleeps"
    return None


def ticks_of(process: Process) -> int:
    """The CPU time that a process and its children have used, in clock ticks."""
    return look_at(process.pid, 0).ticks
