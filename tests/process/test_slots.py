"""Who a worker is: its slot, and what each slot has for itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import processpool
from processpool import ProcessPool, WorkerDied, current_worker
from processpool.core import events
from tests.process.support import eventually, pids

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES = ("PROCESSPOOL_SLOT", "PROCESSPOOL_WORKER", "PROCESSPOOL_POOL")
SAY = [
    sys.executable,
    "-uc",
    "import os, sys\n"
    "for line in sys.stdin: print(*(os.environ.get(name) for name in line.split()))",
]
SERVE = """
import json, os
from processpool import current_worker, serve

def handle(message):
    if message == "die":
        os._exit(3)
    me = current_worker()
    return [me.slot, me.worker, me.pool]

serve(handle)
"""


def variables(_: object) -> list[str | None]:
    return [os.environ.get(name) for name in NAMES]


def me(_: object = None) -> tuple[Any, ...]:
    found = current_worker()
    assert found is not None
    return found.slot, found.worker, found.pool, found.item, found.attempt


def identity(_: object) -> tuple[tuple[int, ...], str]:
    import multiprocessing

    process = multiprocessing.current_process()
    return process._identity, process.name


def slots_of(pool: ProcessPool) -> dict[int, int | None]:
    return {w.pid: w.slot for w in pool.snapshot(resources=False).workers if w.pid is not None}


def test_the_environment_of_a_program(make_pool: Callable[..., ProcessPool]) -> None:
    pool = make_pool(SAY, size=2, name="two", worker={"protocol": "lines"})
    pool.wait_ready(30)
    with pool.lease() as one, pool.lease() as other:
        for lease in (one, other):
            lease.send(" ".join(NAMES))
        said = sorted(lease.read_stdout().split() for lease in (one, other))
    assert said == [["0", str(said[0][1]), "two"], ["1", str(said[1][1]), "two"]]
    assert {said[0][1], said[1][1]} == {"1", "2"}


def test_the_environment_of_a_python_worker(python_pool: Callable[..., ProcessPool]) -> None:
    pool = python_pool(1, name="three")
    assert pool.call(variables, 0) == ["0", "1", "three"]


def test_a_successor_has_the_slot_of_its_predecessor(
    python_pool: Callable[..., ProcessPool],
) -> None:
    pool = python_pool(3)
    pool.wait_ready(30)
    before = slots_of(pool)
    assert sorted(before.values(), key=str) == [0, 1, 2]
    victim = next(pid for pid, slot in before.items() if slot == 1)
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: len(pids(pool)) == 3 and victim not in pids(pool))
    after = slots_of(pool)
    assert {after[pid] for pid in after.keys() - before.keys()} == {1}


class TestEach:
    def test_the_slots_have_values_in_turn(self, make_pool: Callable[..., ProcessPool]) -> None:
        each = {"CUDA_VISIBLE_DEVICES": [0, 1, "a b"]}
        pool = make_pool(SAY, size=4, worker={"protocol": "lines", "each": each})
        pool.wait_ready(30)
        said = set()
        leases = [pool.lease() for _ in range(4)]
        for lease in leases:
            lease.send("PROCESSPOOL_SLOT CUDA_VISIBLE_DEVICES")
            said.add(lease.read_stdout())
            lease.release()
        assert said == {"0 0", "1 1", "2 a b", "3 0"}

    @pytest.mark.parametrize("way", ["killed", "recycled", "restarted"])
    def test_no_two_workers_share_a_value(
        self, way: str, python_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        """Each locks its device as it starts, until its process is gone, which takes a while."""
        (tmp_path / "device.py").write_text(
            "import atexit, fcntl, os, time\n"
            "held = open(os.environ['AT'] + '/' + os.environ['DEVICE'], 'w')\n"
            "fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
            "atexit.register(time.sleep, 0.05)\n"
        )
        pool = python_pool(
            2,
            worker={
                "each": {"DEVICE": ["x", "y"]},
                "env": {"AT": str(tmp_path)},
                "path": [str(tmp_path)],
                "preload": ["device"],
            },
            recycle={"after_requests": 10, "jitter": 0} if way == "recycled" else {},
        )
        failed: list[events.WorkerFailedToStart] = []
        pool.events(lambda e: failed.append(e) if type(e) is events.WorkerFailedToStart else None)
        pool.wait_ready(30)
        for _ in range(2):
            row = pool.snapshot(resources=False).workers[0]
            assert row.pid is not None
            if way == "killed":
                os.kill(row.pid, signal.SIGKILL)
            elif way == "restarted":
                pool.restart_worker(row.id)
            work_until_gone(pool, row.pid)
            pool.wait_ready(30)
        assert set(slots_of(pool).values()) == {0, 1}
        assert failed == []


def work_until_gone(pool: ProcessPool, pid: int) -> None:
    """Give the workers work until that process, which may get less than half of it, is gone."""

    def gone() -> bool:
        assert set(pool.map(environment, ["DEVICE"] * 20)) <= {"x", "y"}
        return pid not in pids(pool)

    eventually(gone)


def environment(name: str) -> str | None:
    return os.environ.get(name)


class TestCurrentWorker:
    def test_outside_of_a_worker_there_is_none(self) -> None:
        assert current_worker() is None
        assert processpool.current_worker is current_worker

    def test_a_call(self, python_pool: Callable[..., ProcessPool]) -> None:
        assert python_pool(1, name="four").call(me) == (0, 1, "four", 0, 1)

    def test_every_item_of_a_map_has_its_index(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool(2)
        found = pool.map(me, range(3000))
        assert [item for _, _, _, item, _ in found] == list(range(3000))
        assert {attempt for *_, attempt in found} == {1}
        assert {slot for slot, *_ in found} <= {0, 1}

    def test_items_that_do_not_ask_leave_the_others_theirs(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        found = python_pool(1).map(me_now_and_then, range(5000))
        assert [item for item in found if item >= 0] == list(range(0, 5000, 500))

    def test_the_attempt(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(1, retry={"attempts": 3, "on": ["crash"]})
        assert pool.submit(die_twice).result(60) == (0, 3)

    def test_a_setup_has_no_item(self, tmp_path: Path) -> None:
        (tmp_path / "early.py").write_text(
            "from processpool import current_worker\n"
            "def setup():\n    me = current_worker(); return repr(me)\n"
            "def handle(_, state): return state\n"
        )
        worker = {
            "kind": "python",
            "path": [str(tmp_path)],
            "setup": "early:setup",
            "handler": "early:handle",
        }
        declared = {"worker": worker, "size": {"min": 1, "max": 1}, "name": "five"}
        with ProcessPool.from_dict(declared) as pool:
            assert pool.call(0) == (
                "CurrentWorker(worker=1, slot=0, pool='five', item=None, attempt=None)"
            )

    def test_under_serve(self, make_pool: Callable[..., ProcessPool], tmp_path: Path) -> None:
        (tmp_path / "worker.py").write_text(SERVE)
        command = ["python", str(tmp_path / "worker.py")]
        pool = make_pool(command, name="six", worker={"codec": "json"})
        assert pool.call("who") == [0, 1, "six"]
        with pytest.raises(WorkerDied) as died:
            pool.call("die")
        assert died.value.record is not None
        assert died.value.record.slot == 0
        assert pool.call("who") == [0, 2, "six"]

    def test_a_fork_has_no_item(self, python_pool: Callable[..., ProcessPool]) -> None:
        assert python_pool(1).map(forked, range(3)) == [(0, None)] * 3


def me_now_and_then(n: int) -> int:
    if n % 500:
        return -1
    found = current_worker()
    assert found is not None
    assert found.item is not None
    return found.item


def die_twice() -> tuple[int | None, int | None]:
    found = current_worker()
    assert found is not None
    assert found.attempt is not None
    if found.attempt < 3:
        os._exit(1)
    return found.item, found.attempt


def forked(_: int) -> tuple[int | None, int | None]:
    read, write = os.pipe()
    if not os.fork():
        found = current_worker()
        assert found is not None
        os.write(write, json.dumps([found.slot, found.item]).encode())
        os._exit(0)
    os.wait()
    os.close(write)
    with open(read) as pipe:
        slot, item = json.load(pipe)
    return slot, item


def test_multiprocessing_knows_it_too(python_pool: Callable[..., ProcessPool]) -> None:
    pool = python_pool(2)
    pool.wait_ready(30)
    found = set(pool.map(identity, range(200)))
    assert found <= {((1,), "PoolWorker-1"), ((2,), "PoolWorker-2")}


def test_records_and_snapshots_have_it(python_pool: Callable[..., ProcessPool]) -> None:
    pool = python_pool(2)
    for outcome in pool.imap(me, range(100), details=True):
        assert outcome.slot == outcome.value[0]
    future = pool.submit(me)
    future.result(30)
    assert future.record is not None
    assert future.record.slot in (0, 1)
    assert {w.slot for w in pool.snapshot().workers} == {0, 1}


def test_a_worker_that_nobody_names(tmp_path: Path) -> None:
    """Run by hand, a handler has no worker around it."""
    source = (
        "from processpool import current_worker, serve\nserve(lambda _: repr(current_worker()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source],
        input=b"1;0\n0;\n",
        capture_output=True,
        check=True,
        env={name: value for name, value in os.environ.items() if name not in NAMES},
    )
    assert done.stdout == b"4;None"
