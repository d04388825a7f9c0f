"""`memory:` in the YAML: what the workers use together is held against a budget."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from processpool import OutOfMemory, WorkerDied
from processpool.core.events import WorkerExited
from processpool.system.footprint import Footprint
from tests.process.support import eventually, is_gone, pids
from tests.process.workers import functions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from processpool import ProcessPool

MIB = 1 << 20


def take(size: int, path: str = "", seconds: float = 0.05) -> int:
    """Use so many MiB for a while."""
    held = bytearray(size * MIB)
    if path:
        with open(path, "a", encoding="ascii") as file:
            file.write(f"{size}\n")
    time.sleep(seconds)
    return len(held) // MIB


def begin_and_wait(size: int, path: str, gate: str) -> int:
    """Use so many MiB; until the file `gate` is there."""
    held = bytearray(size * MIB)
    Path(path).touch()
    while not os.path.exists(gate):
        time.sleep(0.005)
    return len(held) // MIB


def through_a_child(size: int) -> int:
    code = f"import time; held = bytearray({size} << 20); time.sleep(60)"
    return subprocess.run([sys.executable, "-IS", "-c", code], check=False).returncode


class TestTheBudget:
    def test_all_answers_though_some_items_are_large(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool(3, memory={"budget": "300MiB"})
        sizes = [150 if n % 8 == 3 else 30 for n in range(40)]
        outcomes = pool.map(take, sizes, details=True)
        assert outcomes.values() == sizes
        assert {outcome.attempts for outcome in outcomes} == {1}

    def test_the_youngest_is_taken_back_and_runs_later(
        self, python_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        pool = python_pool(2, memory={"budget": "300MiB"})
        gate, begun = tmp_path / "gate", tmp_path / "begun"
        reasons: list[str | None] = []
        pool.events(
            lambda event: reasons.append(event.reason) if isinstance(event, WorkerExited) else None,
            quick=True,
        )
        first = pool.submit(begin_and_wait, 180, str(begun), str(gate))
        eventually(begun.exists)
        second = pool.submit(take, 150)
        eventually(lambda: reasons)
        assert reasons == ["memory"]
        assert not second.done()
        gate.touch()
        assert (first.result(60), second.result(60)) == (180, 150)
        assert second.record is not None
        assert second.record.attempts == 1
        assert reasons == ["memory"]

    def test_one_that_is_too_large_alone(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(2, memory={"budget": "200MiB"})
        future = pool.submit(take, 400, "", 60)
        with pytest.raises(
            OutOfMemory, match="alone needs more than the budget of 200MiB"
        ) as found:
            future.result(60)
        assert isinstance(found.value, WorkerDied)
        assert isinstance(found.value, MemoryError)
        assert found.value.peak is not None
        assert 150 * MIB < found.value.peak < 600 * MIB
        assert future.record is not None
        assert future.record.peak_memory == found.value.peak
        assert pool.submit(functions.inc, 1).result(60) == 2

    def test_what_children_use_counts(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(1, memory={"budget": "200MiB"})
        with pytest.raises(OutOfMemory):
            pool.submit(through_a_child, 400).result(60)

    def test_on_exceeded_error(
        self, python_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        pool = python_pool(2, memory={"budget": "300MiB", "on_exceeded": "error"})
        gate, begun = tmp_path / "gate", tmp_path / "begun"
        first = pool.submit(begin_and_wait, 180, str(begun), str(gate))
        eventually(begun.exists)
        with pytest.raises(OutOfMemory, match="more than the budget"):
            pool.submit(take, 150, "", 60).result(60)
        gate.touch()
        assert first.result(60) == 180

    def test_per_item(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(4, memory={"budget": "1GiB", "per_item": "400MiB"})
        pool.wait_ready()
        futures = [pool.submit(time.sleep, 0.2) for _ in range(8)]
        most = 0
        while not all(future.done() for future in futures):
            most = max(most, pool.num_running)
            time.sleep(0.005)
        assert most == 2

    def test_calls_and_maps_of_programs(self, make_pool: Callable[..., ProcessPool]) -> None:
        code = (
            "import sys\nfor line in sys.stdin: print(len(bytearray(int(line) << 20)), flush=True)"
        )
        pool = make_pool(
            [sys.executable, "-u", "-c", code],
            worker={"protocol": "lines"},
            size=2,
            memory={"budget": "250MiB"},
        )
        assert pool.call("1") == str(MIB)
        assert pool.map(["1", "80"] * 8) == [str(MIB), str(80 * MIB)] * 8
        with pytest.raises(OutOfMemory):
            pool.call("2000")

    def test_cancelled_while_it_waits_for_room(
        self, python_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        pool = python_pool(2, memory={"budget": "300MiB"})
        gate, begun = tmp_path / "gate", tmp_path / "begun"
        first = pool.submit(begin_and_wait, 180, str(begun), str(gate))
        eventually(begun.exists)
        second = pool.submit(take, 150, "", 60)
        two = pids(pool)
        eventually(lambda: any(is_gone(pid) for pid in two))
        eventually(lambda: pool.snapshot(resources=False).running == 1)
        assert second.cancel() or second.kill()
        gate.touch()
        assert first.result(60) == 180
        assert pool.drain(60)

    def test_without_the_section_nothing_is_watched(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool(2)
        assert pool.map(take, [300, 300]) == [300, 300]


def test_a_footprint_counts_shared_memory_once() -> None:
    code = dedent("""
        import os, sys, time
        held = bytearray(100 << 20)
        for _ in range(3):
            if not os.fork():
                time.sleep(60)
        print("ready", flush=True)
        time.sleep(60)
    """)
    child = subprocess.Popen(
        [sys.executable, "-IS", "-c", code], stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        used = Footprint(child.pid).measure(time.monotonic())
        assert used > 90 * MIB
    finally:
        os.killpg(child.pid, 9)
        child.communicate()
    assert Footprint(child.pid).measure(time.monotonic()) == 0


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group with 400 MiB, if one may be made here."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            top, limit = Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"
        elif not controllers:
            top, limit = Path("/sys/fs/cgroup"), "memory.max"
        else:
            continue
        folder = top / path.strip("/") / f"processpool-test-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            (folder / limit).write_text(str(400 * MIB))
        except OSError:
            folder.rmdir()
            continue
        yield folder
        eventually(partial(_is_empty, folder / "cgroup.procs"))
        folder.rmdir()
        return
    pytest.skip("no control group can be made here")


def _is_empty(file: Path) -> bool:
    return not file.read_text().strip()


IN_A_GROUP = """
import json, os, sys
group, memory, sizes = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
open(group + "/cgroup.procs", "w").write(str(os.getpid()))
from processpool import ProcessPool
from processpool.system.cgroups import memory_limit, oom_kills
from tests.process.test_memory_budget import take
sections = {} if memory is None else {"memory": memory}
pool = ProcessPool.from_dict(
    {"worker": {"kind": "python"}, "size": {"min": 3, "max": 3}, **sections}
)
with pool:
    pool.wait_ready()
    outcomes = pool.map(take, sizes, details=True, on_error="return")
    errors = [f"{type(o.error).__name__}: {o.error}" for o in outcomes if o.error]
print(json.dumps([outcomes.values(), errors, oom_kills(), memory_limit()]))
"""


def in_a_group(group: Path, memory: Any, sizes: list[int]) -> list[Any]:
    command = [sys.executable, "-c", IN_A_GROUP, str(group), json.dumps(memory), json.dumps(sizes)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=100)
    found: list[Any] = json.loads(done.stdout)
    return found


class TestInAControlGroup:
    def test_the_budget_is_a_share_of_its_memory(self, group: Path) -> None:
        sizes = [150 if n % 5 == 2 else 30 for n in range(20)]
        values, errors, kills, limit = in_a_group(group, {"budget": "75%"}, sizes)
        assert limit == 400 * MIB
        assert (values, errors, kills) == (sizes, [], 0)

    def test_a_kill_by_the_kernel_is_told(self, group: Path) -> None:
        values, errors, kills, _ = in_a_group(group, None, [10, 1000])
        assert values == [10]
        assert kills == 1
        (error,) = errors
        assert error.startswith("OutOfMemory: worker")
        assert "by the kernel for lack of memory" in error

    def test_a_kill_by_the_kernel_is_treated_as_its_own(self, group: Path) -> None:
        values, errors, kills, _ = in_a_group(group, {"budget": "4GiB"}, [180, 180, 180])
        assert (values, errors) == ([180, 180, 180], [])
        assert kills >= 1
