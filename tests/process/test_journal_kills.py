"""Runs with a journal whose process is killed: what is lost, and what is done again."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from contextlib import suppress
from statistics import median
from typing import TYPE_CHECKING

import pytest

from tests.process.support import await_exit, eventually

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DRIVER = """
import os
import sys
from time import perf_counter, sleep
from processpool import ProcessPool

folder, way, count, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
ran = []

def work(item):
    if not ran:
        ran.append(open(f"{folder}/ran-{os.getpid()}", "ab", buffering=0))
    ran[0].write(b"%d\\n" % item)
    if seconds > 0.001:
        sleep(seconds)
    until = perf_counter() + seconds
    while perf_counter() < until:
        pass
    return item * 3

if __name__ == "__main__":
    with ProcessPool(max_workers=2) as pool, open(f"{folder}/out", "ab", buffering=0) as out:
        answers = getattr(pool, way)(work, range(count), journal=f"{folder}/journal")
        for position, answer in enumerate(answers):
            assert way == "imap_unordered" or answer == position * 3, (position, answer)
            out.write(b"%d\\n" % (answer // 3))
"""
WAYS = ["map", "imap", "imap_unordered"]
AHEAD = 0.01
"""Seconds of work that a worker has at a time: one batch, if its items are fast."""


class KilledRun:
    """A run that is killed again and again, what it has done, and what it must do again."""

    def __init__(self, folder: Path, way: str, count: int, seconds: float) -> None:
        """Of `count` items that take so many seconds each."""
        self.folder = folder
        self.count = count
        script = folder / "driver.py"
        script.write_text(DRIVER)
        self._command = [sys.executable, str(script), str(folder), way, str(count), str(seconds)]
        self._seen: dict[str, int] = {}
        self.repeated: list[int] = []
        """Items that a worker had when it was killed and that must run again, worker by worker."""

    def kill(self, progress: int, moment: float) -> None:
        """Start it, and kill it so many seconds after workers have written `progress` bytes."""
        process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        eventually(lambda: process.poll() is not None or self._written() >= progress, within=240)
        with suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        process.kill()
        assert process.communicate() == (b"", b"")
        assert process.returncode == -9, "it came to its end before"
        for path in self.folder.glob("ran-*"):
            await_exit(int(path.name.removeprefix("ran-")))
        self._count_repeated()

    def _count_repeated(self) -> None:
        kept = self.kept()
        assert set(self.yielded()) <= kept, "an answer that was yielded is lost"
        for worker, items in self.ran().items():
            new = items[self._seen.get(worker, 0) :]
            self._seen[worker] = len(items)
            if new:
                self.repeated.append(len(set(new) - kept))

    def end(self) -> None:
        """Let it come to its end; what was run twice is what had to be."""
        done = subprocess.run(self._command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        ran = [item for items in self.ran().values() for item in items]
        assert set(ran) == set(range(self.count))
        assert len(ran) - self.count == sum(self.repeated)
        assert self.kept() == set(range(self.count))
        assert set(self.yielded()) == set(range(self.count))

    def kept(self) -> set[int]:
        """The items that the journal has an answer to."""
        if not (self.folder / "journal").exists():
            return set()
        show = [sys.executable, "-m", "processpool", "journal", str(self.folder / "journal")]
        shown = subprocess.run(
            [*show, "--export", "json"], capture_output=True, text=True, check=False
        )
        assert shown.returncode == 0, shown.stderr
        records = list(map(json.loads, shown.stdout.splitlines()))
        assert all(record["value"] == record["input"] * 3 for record in records)
        return {record["input"] for record in records}

    def yielded(self) -> Sequence[int]:
        """The items whose answers its consumer had."""
        out = self.folder / "out"
        return list(map(int, out.read_text().split())) if out.exists() else []

    def ran(self) -> dict[str, list[int]]:
        """The items that each worker has begun."""
        found = self.folder.glob("ran-*")
        return {path.name: list(map(int, path.read_text().split())) for path in found}

    def _written(self) -> int:
        return sum(path.stat().st_size for path in self.folder.glob("ran-*"))


def kill_again_and_again(run: KilledRun, kills: int, *, seed: int) -> None:
    """Kill it at random moments that are spread over all of its items; then let it end."""
    luck = random.Random(seed)
    whole = sum(len(f"{item}\n") for item in range(run.count))
    for progress in sorted(luck.randrange(int(0.9 * whole)) for _ in range(kills)):
        run.kill(progress, luck.uniform(0, 0.02))
    run.end()


@pytest.mark.parametrize("way", WAYS)
def test_slow_items_are_done_again_one_for_each_worker(tmp_path: Path, way: str) -> None:
    run = KilledRun(tmp_path, way, count=60, seconds=0.03)
    kill_again_and_again(run, 2, seed=5)
    assert max(run.repeated) <= 2, "the one it had, and one whose answer was on its way"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("way", WAYS)
def test_fast_items_are_done_again_one_batch_for_each_worker(tmp_path: Path, way: str) -> None:
    seconds = 100e-6
    batch = 2 + AHEAD / seconds
    run = KilledRun(tmp_path, way, count=100_000, seconds=seconds)
    kill_again_and_again(run, 20, seed=1)
    print(f"{way}: again after each of {len(run.repeated)} deaths of workers: {run.repeated}")
    assert median(run.repeated) < batch
    assert max(run.repeated) <= 2 * batch, "the batch it had, and answers that were on their way"
