"""What a map has spent its time on, in one word and a few sentences, with the figures for that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from processpool.report.words import percent, seconds

if TYPE_CHECKING:
    from processpool.core.run_record import RunRecord
    from processpool.core.run_totals import RunTotals

Kind = Literal["input", "pickling", "worker", "consumer", "tail", "nothing"]

LONG_TAIL = 0.2
"""The part of the time that the last items must take to be worth telling,"""
IDLE_IN_TAIL = 0.1
"""and the part of what all workers could have done that was lost by that."""
MOSTLY = 0.4
"""The part of the time of the calling thread that makes something the reason."""
IDLE = 0.25
"""How idle the workers must have been to say that something else held them up."""
SHORT = 20e-6
"""Seconds of an item below which its way to a worker and back counts for more."""
PICKLED = 0.25
"""Pickling here, as a part of the workers' time: they do about as much of it themselves."""

TITLES: dict[Kind, str] = {
    "input": "Input-bound",
    "pickling": "Pickling-bound",
    "worker": "Worker-bound",
    "consumer": "Consumer-bound",
    "tail": "Tail",
    "nothing": "Nothing ran",
}
"""The reasons in a word."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What held a map up."""

    kind: Kind
    why: str
    """A sentence with the figures that it rests on."""
    advice: str
    """What to do about it."""

    @property
    def title(self) -> str:
        """The reason, in a word."""
        return TITLES[self.kind]


class Shares:
    """Where the time of a map went, as parts of 1."""

    def __init__(self, record: RunRecord, totals: RunTotals) -> None:
        self.seconds = max(record.seconds, 1e-9)
        self.workers = max(min(record.slots, totals.items), len(totals.busy.rows), 1)
        """How many workers could have had something to do."""
        phases = record.phases
        self.reading = phases.reading / self.seconds
        self.pickling = (phases.packing + phases.loading) / self.seconds
        self.waiting = phases.waiting / self.seconds
        self.rest = max(1 - self.reading - self.pickling - self.waiting, 0.0)
        """Of the thread that called: what it did besides."""
        busy = sum(map(sum, totals.busy.rows.values()))
        self.busy_seconds = busy
        self.busy = min(busy / (self.workers * self.seconds), 1.0)
        end = max(totals.last_ends.values(), default=record.began)
        tail = end - totals.last_begin
        self.tail = tail / self.seconds
        """The part of the time after the last item had begun."""
        ends = [max(at, totals.last_begin) for at in totals.last_ends.values()]
        lost = sum(end - at for at in ends) + (self.workers - len(ends)) * tail
        self.tail_idle = lost / (self.workers * self.seconds)
        """What was lost by that, of all that the workers could have done."""


def judge(record: RunRecord, totals: RunTotals) -> Verdict:
    """Return what held a map up."""
    if not totals.items:
        return Verdict("nothing", "No worker has answered an item.", "See why it ended.")
    shares = Shares(record, totals)
    kind = _kind(record, totals, shares)
    return {
        "tail": _tail, "pickling": _pickling, "input": _input, "consumer": _consumer,
        "worker": _worker,
    }[kind](record, totals, shares)  # fmt: skip


def _kind(record: RunRecord, totals: RunTotals, shares: Shares) -> Kind:
    idle = 1 - shares.busy >= IDLE
    consuming = shares.rest if record.is_lazy else 0.0
    pickled = shares.pickling * shares.seconds
    if (
        totals.items > shares.workers > 1
        and shares.tail >= LONG_TAIL
        and shares.tail_idle >= IDLE_IN_TAIL
    ):
        return "tail"
    if shares.pickling >= MOSTLY or (pickled >= PICKLED * shares.busy_seconds and not idle):
        return "pickling"
    if shares.reading >= MOSTLY and idle and shares.reading >= consuming:
        return "input"
    if consuming >= MOSTLY and idle:
        return "consumer"
    reasons: dict[Kind, float] = {
        "worker": shares.busy, "input": shares.reading, "pickling": shares.pickling,
        "consumer": consuming,
    }  # fmt: skip
    return max(reasons, key=lambda kind: reasons[kind])


def _workers(shares: Shares) -> str:
    return f"the {shares.workers} workers were" if shares.workers > 1 else "the worker was"


def _tail(record: RunRecord, totals: RunTotals, shares: Shares) -> Verdict:
    end = max(totals.last_ends.values())
    worked = sum(max(at - totals.last_begin, 0.0) for at in totals.last_ends.values())
    tail = end - totals.last_begin
    busy = worked / tail if tail else 0.0
    why = (
        f"For the last {seconds(tail)}, {percent(shares.tail)} of the time, nothing was left to "
        f"begin, and {busy:.1f} of {shares.workers} workers were busy on average."
    )
    slowest = record.slowest()
    usual = totals.runs.percentile(50)
    if slowest and usual and slowest[0].seconds > 2 * usual:
        first = slowest[0]
        why += (
            f" The slowest item, {first.first}, took {seconds(first.seconds)}: "
            f"{first.seconds / usual:,.0f} times the median."
        )
    advice = "Put the long items first, or cut them into several: then all workers end together."
    return Verdict("tail", why, advice)


def _pickling(record: RunRecord, totals: RunTotals, shares: Shares) -> Verdict:
    each = shares.pickling * shares.seconds / totals.items
    phases = record.phases
    why = (
        f"This process spent {percent(shares.pickling)} of the time on pickling arguments "
        f"({seconds(phases.packing)}) and unpickling results ({seconds(phases.loading)}), "
        f"{seconds(each)} an item; the workers do as much on their side, of the "
        f"{seconds(totals.runs.mean)} that they had an item."
    )
    advice = (
        "Send less: the name of a file instead of what is in it, an array instead of a list, and "
        "what is the same for all items with pool.share()."
    )
    return Verdict("pickling", why, advice)


def _input(record: RunRecord, totals: RunTotals, shares: Shares) -> Verdict:
    why = (
        f"{percent(shares.reading)} of the time went by waiting for the next item of the input "
        f"({seconds(record.phases.reading / totals.items)} an item), and {_workers(shares)} busy "
        f"for {percent(shares.busy)} of it."
    )
    advice = (
        "More workers do not help. Make the input faster, or leave the slow part to the workers: "
        "pass names of files, for example, and let them read."
    )
    return Verdict("input", why, advice)


def _consumer(record: RunRecord, totals: RunTotals, shares: Shares) -> Verdict:
    each = shares.rest * shares.seconds / totals.items
    why = (
        f"{percent(shares.rest)} of the time went into the loop that takes the answers "
        f"({seconds(each)} an item), and {_workers(shares)} busy for {percent(shares.busy)} of it."
    )
    advice = "More workers do not help. Let them do what the loop does with each answer."
    return Verdict("consumer", why, advice)


def _worker(record: RunRecord, totals: RunTotals, shares: Shares) -> Verdict:
    why = (
        f"{_workers(shares)[0].upper()}{_workers(shares)[1:]} busy for {percent(shares.busy)} of "
        f"the time; they had an item for {seconds(totals.runs.percentile(50))} (median)."
    )
    if totals.runs.percentile(50) < SHORT:
        advice = (
            "The items are so short that most of this is their way to the workers and back: let an "
            "item be more work, such as a hundred of what it is now."
        )
    elif shares.busy >= 1 - IDLE:
        advice = (
            f"It becomes faster with more workers (size.max is {record.slots}), as long as there "
            "are CPUs for them, or with faster items."
        )
    else:
        advice = "No single reason stands out: see below where the time went."
    return Verdict("worker", why, advice)
