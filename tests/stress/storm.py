"""A storm over one pool: clients that ask for everything it can do, and somebody who kills.

Each client counts what became of every item that it has sent, and the workers count what they have
run. At the end the two must agree: every item ended exactly once, with its value, with an error
that it may have, or cancelled; nothing ran twice, nothing ran after it was cancelled, nothing was
made up; and nothing of the pool is left.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter
from concurrent.futures import CancelledError
from contextlib import suppress
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from processpool import (
    Outcome,
    PoolExhausted,
    ProcessPool,
    RemoteError,
    UnexpectedEOF,
    WorkerDied,
)
from processpool.core import events
from processpool.core.states import WorkerState
from tests.process.support import eventually, is_gone, states
from tests.stress.ledger import LEDGER_VARIABLE, answer_to, read_runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.api.futures import PoolFuture

ROOT = Path(__file__).parent.parent.parent
CLIENTS = 4
HARMLESS = ("ok", "ok", "ok", "ok", "ok", "slow", "print")
DEADLY = ("exit", "kill", "segv")
ENDS_IN_ERROR = ("raise", *DEADLY)
WORKERS: dict[str, dict[str, Any]] = {
    "function": {"kind": "python", "handler": "tests.stress.work:handle", "path": [str(ROOT)]},
    "serve": {
        "kind": "command",
        "command": ["python", "-m", "tests.stress.work"],
        "protocol": {"kind": "framed", "pipeline": 4},
        "cwd": str(ROOT),
    },
}
"""Kind → declaration of the worker."""


STARTING = WorkerState.STARTING


class Item:
    """One item: what it is to do, and what has become of it."""

    __slots__ = ("act", "ends", "number")

    def __init__(self, number: int, act: str) -> None:
        self.number = number
        self.act = act
        self.ends: list[str] = []
        """`value`, `error`, `died`, `cancelled`, `stopped`; one of them, in the end."""

    @property
    def message(self) -> str:
        """What is sent."""
        return f"{self.number} {self.act}"

    def note_value(self, value: object) -> None:
        """It was answered."""
        assert value == answer_to(self.message), (self.message, value)
        self.ends.append("value")

    def note_error(self, error: BaseException) -> None:
        """It failed; by its own doing, or because somebody has killed its worker."""
        if isinstance(error, CancelledError):
            self.ends.append("cancelled")
        elif isinstance(error, WorkerDied | UnexpectedEOF):
            self.ends.append("died")
        else:
            assert isinstance(error, ValueError | RemoteError), repr(error)
            assert str(self.number) in str(error), repr(error)
            self.ends.append("error")


class Storm:
    """Random work, and random trouble, over one pool; the seed decides what is done."""

    def __init__(self, kind: str, seed: int, rounds: int, ledger: Path) -> None:
        """`rounds` is how often each client does something; an item count of some 50 each."""
        self.rounds = rounds
        self.items: list[Item] = []
        self.kills = 0
        """How often somebody from outside has ended a worker that may have had an item."""
        self.done: Counter[str] = Counter()
        """What was done, how often."""
        self._ledger = ledger
        self._seeds = random.Random(seed)
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._pids: set[int] = set()
        self._failures: list[BaseException] = []
        ledger.touch()
        self.pool = ProcessPool.from_dict(
            {
                "name": f"storm-{kind}",
                "worker": WORKERS[kind] | {"env": {LEDGER_VARIABLE: str(ledger)}},
                "size": {"min": 2, "max": 3},
                "restart": {"max_failures": 1_000_000},
                "recycle": {"after_requests": 300, "jitter": 0.5},
            }
        )

    def run(self) -> None:
        """Let it rage, then check that nothing was lost, repeated, invented or left."""
        self.pool.events(self._note_start)
        with self.pool as pool:
            clients = [
                threading.Thread(target=self._watched, args=(self._client, self._random()))
                for _ in range(CLIENTS)
            ]
            over = threading.Event()
            trouble = threading.Thread(
                target=self._watched, args=(lambda rng: self._trouble(rng, over), self._random())
            )
            for thread in (*clients, trouble):
                thread.start()
            for thread in clients:
                thread.join()
            over.set()
            trouble.join()
            pool.resize(min=2, max=2)
            pool.drain()
            assert not self._failures, self._failures
            eventually(lambda: states(pool) == ["idle", "idle"], "the pool is not at full strength")
            assert pool.call(self._new("ok").message)
        self.items.pop()
        assert all(is_gone(pid) for pid in self._pids)
        self._check()

    def _note_start(self, event: object) -> None:
        if isinstance(event, events.WorkerStarted):
            self._pids.add(event.pid)

    def _random(self) -> random.Random:
        return random.Random(self._seeds.random())

    def _watched(self, action: Callable[[random.Random], None], rng: random.Random) -> None:
        try:
            action(rng)
        except BaseException as error:
            self._failures.append(error)

    # -- what clients do -------------------------------------------------------------------------

    def _client(self, rng: random.Random) -> None:
        actions = [
            self._submit, self._submit_and_cancel, self._submit_from_callbacks, self._map,
            self._map_until_error, self._imap_half, self._unordered, self._call, self._lease,
        ]  # fmt: skip
        for _ in range(self.rounds):
            action = rng.choice(actions)
            self.done[action.__name__] += 1
            action(rng)

    def _new(self, act: str) -> Item:
        with self._lock:
            item = Item(next(self._numbers), act)
            self.items.append(item)
        return item

    def _some(self, rng: random.Random, most: int, deadly: float = 0.01) -> list[Item]:
        def act() -> str:
            drawn = rng.random()
            if drawn < deadly:
                return rng.choice(DEADLY)
            return "raise" if drawn < 3 * deadly else rng.choice(HARMLESS)

        return [self._new(act()) for _ in range(rng.randint(1, most))]

    def _submit(self, rng: random.Random) -> None:
        items = self._some(rng, 60)
        for item, future in [(item, self.pool.submit(item.message)) for item in items]:
            _settle(item, future)

    def _submit_and_cancel(self, rng: random.Random) -> None:
        pairs = [(item, self.pool.submit(item.message)) for item in self._some(rng, 60)]
        for item, future in rng.sample(pairs, len(pairs) // 3):
            if rng.random() < 0.2:
                with self._lock:
                    self.kills += future.kill()
            elif future.cancel():
                assert future.cancelled()
                item.act += "+cancelled"  # it must never have run
        for item, future in pairs:
            _settle(item, future)

    def _submit_from_callbacks(self, rng: random.Random) -> None:
        followers: list[tuple[Item, PoolFuture[Any]]] = []
        pairs = [(item, self.pool.submit(item.message)) for item in self._some(rng, 10)]
        left = threading.Semaphore(0)

        def follow(_: object) -> None:
            item = self._new("ok")
            followers.append((item, self.pool.submit(item.message)))
            left.release()

        for _, future in pairs:
            future.add_done_callback(follow)
        for item, future in pairs:
            _settle(item, future)
            assert left.acquire(timeout=60)
        for item, future in followers:
            _settle(item, future)

    def _map(self, rng: random.Random) -> None:
        items = self._some(rng, 400)
        records = self.pool.map([i.message for i in items], on_error="return", details=True)
        assert [record.index for record in records] == list(range(len(items)))
        for item, record in zip(items, records, strict=True):
            _note(item, record)

    def _map_until_error(self, rng: random.Random) -> None:
        items = self._some(rng, 100, deadly=0.001)
        try:
            answers = self.pool.map([item.message for item in items])
        except (WorkerDied, ValueError, RemoteError) as error:
            record = error.record  # type: ignore[union-attr]
            assert isinstance(record, Outcome)
            for item in items:
                item.ends.append("stopped")
            items[record.index].ends.clear()
            items[record.index].note_error(error)
        else:
            for item, answer in zip(items, answers, strict=True):
                item.note_value(answer)

    def _imap_half(self, rng: random.Random) -> None:
        items = self._some(rng, 200)
        answers = self.pool.imap((i.message for i in items), on_error="return", details=True)
        half = len(items) // 2
        for item, record in zip(items, islice(answers, half), strict=False):
            _note(item, record)
        answers.close()
        for item in items[half:]:
            item.ends.append("stopped")

    def _unordered(self, rng: random.Random) -> None:
        items = self._some(rng, 200)
        messages = [item.message for item in items]
        for record in self.pool.imap_unordered(messages, on_error="return", details=True):
            _note(items[record.index], record)

    def _call(self, rng: random.Random) -> None:
        for item in self._some(rng, 20):
            try:
                item.note_value(self.pool.call(item.message))
            except (WorkerDied, ValueError, RemoteError) as error:
                item.note_error(error)

    def _lease(self, rng: random.Random) -> None:
        items = self._some(rng, 5)
        sent = 0
        with suppress(PoolExhausted), self.pool.lease(timeout=60) as lease:
            for item in items:
                try:
                    lease.send(item.message)
                    sent += 1
                    item.note_value(lease.read_stdout())
                except (ValueError, RemoteError, UnexpectedEOF) as error:
                    item.note_error(error)
                    if isinstance(error, UnexpectedEOF):
                        break
        for item in items[sent:]:
            item.ends.append("stopped")

    # -- what somebody does to them --------------------------------------------------------------

    def _trouble(self, rng: random.Random, over: threading.Event) -> None:
        troubles = [self._kill_one, self._kill_one, self._halt_one, self._resize, self._restart_one,
                    self._pause, self._look]  # fmt: skip
        while not over.wait(rng.random() * 0.02):
            trouble = rng.choice(troubles)
            self.done[trouble.__name__] += 1
            trouble(rng)

    def _any_worker(self, rng: random.Random) -> tuple[int, int] | None:
        workers = self.pool.snapshot(resources=False).workers
        if rng.random() > 0.2:  # on a slow machine no start would ever come to its end
            workers = tuple(worker for worker in workers if worker.state is not STARTING)
        known = [(worker.id, worker.pid) for worker in workers if worker.pid is not None]
        return rng.choice(known) if known else None

    def _kill_one(self, rng: random.Random) -> None:
        found = self._any_worker(rng)
        if found is not None:
            with self._lock:
                self.kills += 1
            with suppress(ProcessLookupError):
                os.kill(found[1], signal.SIGKILL)

    def _halt_one(self, rng: random.Random) -> None:
        found = self._any_worker(rng)
        if found is not None:
            with suppress(ProcessLookupError):
                os.kill(found[1], signal.SIGSTOP)
                os.kill(found[1], signal.SIGCONT)

    def _resize(self, rng: random.Random) -> None:
        least = rng.randint(1, 3)
        self.pool.resize(min=least, max=rng.randint(least, 4))

    def _restart_one(self, rng: random.Random) -> None:
        found = self._any_worker(rng)
        if found is not None:
            with suppress(ValueError):  # it has gone by itself meanwhile
                self.pool.restart_worker(found[0])

    def _pause(self, rng: random.Random) -> None:
        self.pool.pause()
        self.pool.resume()

    def _look(self, rng: random.Random) -> None:
        repr(self.pool)
        self.pool.snapshot()

    # -- the reckoning ---------------------------------------------------------------------------

    def _check(self) -> None:
        runs = read_runs(self._ledger)
        innocent = 0
        for item in self.items:
            what = f"item {item.number} ({item.act}) ended as {item.ends}, ran {runs[item.number]}"
            act, _, cancelled = item.act.partition("+")
            assert len(item.ends) == 1, what
            assert runs[item.number] <= 1, what
            match item.ends[0]:
                case "value":
                    assert runs[item.number] == 1, what
                    assert act not in ENDS_IN_ERROR, what
                    assert not cancelled, what
                case "error":
                    assert runs[item.number] == 1, what
                    assert act == "raise", what
                case "died":
                    innocent += act not in DEADLY
                case _:
                    assert not (cancelled and runs[item.number]), what
        known = {item.number for item in self.items}
        assert set(runs) - known <= {max(runs)}, "a worker ran what nobody had sent"
        assert innocent <= self.kills, f"{innocent} items were lost, by {self.kills} kills"


def _settle(item: Item, future: PoolFuture[Any]) -> None:
    """Wait for a future, and note how it ended."""
    try:
        item.note_value(future.result(timeout=60))
    except (CancelledError, ValueError, RemoteError, WorkerDied) as error:
        item.note_error(error)


def _note(item: Item, record: Outcome) -> None:
    if record.error is None:
        item.note_value(record.value)
    else:
        item.note_error(record.error)
