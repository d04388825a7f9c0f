"""Maps with a journal: what is done is not done again, whatever has ended the run before."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processpool import JournalError, JournalWarning
from tests.process.support import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool import ProcessPool

ONLY_ONE = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Doubled:
    """Doubles numbers, and notes in a file which."""

    def __init__(self, notes: Path) -> None:
        self.notes = notes

    def __call__(self, number: int) -> int:
        with self.notes.open("a") as file:
            file.write(f"{number}\n")
        if number == 13:
            raise ValueError("unlucky")
        return 2 * number

    @property
    def seen(self) -> Counter[int]:
        found = self.notes.read_text().split() if self.notes.exists() else []
        return Counter(map(int, found))


@pytest.fixture
def doubled(tmp_path: Path) -> Doubled:
    return Doubled(tmp_path / "notes")


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "run.journal"


def run(pool: ProcessPool, way: str, function: Any, items: Any, **options: Any) -> list[Any]:
    if way == "map":
        return list(pool.map(function, items, **options))
    if way == "aimap":

        async def collect() -> list[Any]:
            return [answer async for answer in pool.aimap(function, items, **options)]

        return asyncio.run(collect())
    return sorted(getattr(pool, way)(function, items, **options))


WAYS = ["map", "imap", "imap_unordered", "aimap"]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_answered_is_not_run_again(
    python_pool: Callable[..., ProcessPool], doubled: Doubled, journal: Path, way: str
) -> None:
    pool = python_pool(2)
    assert run(pool, way, doubled, range(40, 50), journal=journal) == list(range(80, 100, 2))
    for again in WAYS:
        assert run(pool, again, doubled, range(40, 52), journal=journal) == list(range(80, 104, 2))
    assert doubled.seen == Counter(range(40, 52))


@ONLY_ONE
@given(st.lists(st.lists(st.integers(20, 30), max_size=8), min_size=1, max_size=4))
def test_input_may_be_reordered_extended_shortened_and_doubled(
    python_pool: Callable[..., ProcessPool], tmp_path: Path, inputs: list[list[int]]
) -> None:
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    doubled, journal = Doubled(folder / "notes"), folder / "j"
    pool = python_pool(1)
    for items in inputs:
        assert pool.map(doubled, items, journal=journal) == [2 * item for item in items]
    wanted = Counter[int]()
    for items in inputs:
        wanted |= Counter(items)
    assert doubled.seen == wanted
    pool.kill()


def test_failed_items_are_run_again(
    python_pool: Callable[..., ProcessPool], doubled: Doubled, journal: Path
) -> None:
    pool = python_pool(1)
    for runs in (1, 2):
        with pytest.raises(ValueError, match="unlucky"):
            pool.map(doubled, [12, 13], journal=journal)
        assert doubled.seen == Counter({12: 1, 13: runs})
    kept = pool.map(
        doubled, [13, 12], on_error="return", journal=journal, journal_failed="keep", details=True
    )
    assert doubled.seen[13] == 2
    assert [record.ok for record in kept] == [False, True]
    assert repr(kept[0].error) == repr(ValueError("unlucky"))
    assert [record.args for record in kept] == [(13,), (12,)]
    assert [record.worker_id for record in kept] == [None, None]


def test_values_of_every_kind(python_pool: Callable[..., ProcessPool], journal: Path) -> None:
    pool = python_pool(1)
    items = [None, 1.5, "é", b"\0", [1, {"a": (2,)}], {3, 4}, range(3), "x" * 100_000, complex(1)]
    for _ in range(2):
        assert pool.map(_same, items, journal=journal) == items


def _same(item: Any) -> Any:
    return item


def test_several_arguments_and_a_key(
    python_pool: Callable[..., ProcessPool], journal: Path
) -> None:
    pool = python_pool(1)
    assert pool.map(divmod, [7, 9], [2, 4], journal=journal) == [(3, 1), (2, 1)]
    found = pool.map(
        divmod, [9, 7], [4, 2], journal=journal, journal_key=lambda one, other: (one, other)
    )
    assert found == [(2, 1), (3, 1)]


def test_programs(make_pool: Callable[..., ProcessPool], journal: Path, tmp_path: Path) -> None:
    script = 'while read line; do echo "$line" >> notes; echo "<$line>"; done'
    pool = make_pool(
        ["bash", "-c", script], worker={"protocol": "lines", "cwd": str(tmp_path)}, size=2
    )
    assert pool.map(["a", "b", "a"], journal=journal) == ["<a>", "<b>", "<a>"]
    assert list(pool.imap(["b", "a", "a", "c"], journal=journal)) == ["<b>", "<a>", "<a>", "<c>"]
    assert sorted((tmp_path / "notes").read_text()) == sorted("a\nb\na\nc\n")


def test_another_function(
    python_pool: Callable[..., ProcessPool], make_pool: Callable[..., ProcessPool], journal: Path
) -> None:
    pool = python_pool(1)
    pool.map(len, ["a"], journal=journal)
    with pytest.raises(JournalError, match=r"is of function builtins:len, and this is .*:abs"):
        pool.imap(abs, [1], journal=journal)
    lines = make_pool(["cat"], worker={"protocol": "lines"})
    with pytest.raises(JournalError, match="function builtins:len, and this is command cat"):
        lines.map(["a"], journal=journal)


def test_a_function_that_has_changed(
    python_pool: Callable[..., ProcessPool], journal: Path, tmp_path: Path
) -> None:
    def pool_of(body: str) -> ProcessPool:
        (tmp_path / "edited.py").write_text(f"def answer(item):\n    return {body}\n")
        return python_pool(1, worker={"handler": "edited:answer", "path": [str(tmp_path)]})

    assert pool_of("item + 1").map([1], journal=journal) == [2]
    assert pool_of("item + 1").map([1], journal=journal) == [2]
    pool = pool_of("item + 100")
    with pytest.warns(JournalWarning, match="source of edited:answer has changed") as caught:
        assert pool.map([1], journal=journal) == [2]
    assert caught[0].filename == __file__
    assert pool.map([1], journal=journal, journal_changed="rerun") == [101]
    assert pool.map([1], journal=journal) == [101]


def test_what_is_left_early_lets_the_next_have_the_journal(
    python_pool: Callable[..., ProcessPool], doubled: Doubled, journal: Path
) -> None:
    pool = python_pool(1)
    answers = pool.imap(doubled, range(20, 40), journal=journal)
    assert next(answers) == 40
    with pytest.raises(JournalError, match="another map of this process"):
        pool.map(doubled, [1], journal=journal)
    answers.close()
    assert pool.map(doubled, [20], journal=journal) == [40]
    assert doubled.seen[20] == 1


@pytest.mark.parametrize(
    ("keywords", "error", "text"),
    [
        ({"journal_sync": "often"}, ValueError, "journal_sync must be '1s' or 'always' or 'never'"),
        ({"journal_failed": True}, ValueError, "journal_failed must be 'rerun' or 'keep'"),
        ({"journel_key": len}, TypeError, "unexpected keyword argument 'journel_key'"),
    ],
)
def test_wrong_options(
    python_pool: Callable[..., ProcessPool],
    journal: Path,
    keywords: Any,
    error: type[Exception],
    text: str,
) -> None:
    pool = python_pool(1)
    with pytest.raises(error, match=text):
        pool.map(len, ["a"], journal=journal, **keywords)
    with pytest.raises(TypeError, match="name one"):
        pool.map(len, ["a"], journal_sync="never")


DRIVER = """
import os, sys, time
from processpool import ProcessPool

def work(item):
    with open(notes, "a") as file:
        file.write(f"{item}\\n")
    time.sleep(0.02 if slow else 0)
    return item * 3

notes, journal, count, way, slow = *sys.argv[1:3], int(sys.argv[3]), sys.argv[4], sys.argv[5] == "s"
declared = {"worker": {"kind": "python"}, "size": {"min": 2, "max": 2}}
with ProcessPool.from_dict(declared) as pool:
    out = open(notes + ".out", "a", buffering=1)
    answers = getattr(pool, way)(work, range(count), journal=journal)
    for item, answer in enumerate(answers):
        assert answer == item * 3, (item, answer)
        out.write(f"{item}\\n")
print("done")
"""


def crash_and_go_on(tmp_path: Path, *, way: str, count: int, slow: bool, crashes: int) -> None:
    """Kill a run again and again, wherever it is; then let it end, and see what was run twice."""
    script, notes, journal = tmp_path / "driver.py", tmp_path / "notes", tmp_path / "j"
    script.write_text(textwrap.dedent(DRIVER))
    command = [sys.executable, str(script), str(notes), str(journal), str(count), way]
    command.append("s" if slow else "f")
    luck = random.Random(count)
    for _ in range(crashes):
        size = journal.stat().st_size if journal.exists() else 0
        more = luck.randrange(1, 2000 if slow else 100_000)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        eventually(partial(_has_grown, process, journal, size + more))
        process.send_signal(signal.SIGKILL)
        assert process.communicate()[1] == b""
        was_yielded = set(map(int, (tmp_path / "notes.out").read_text().split()))
        shown = subprocess.run(
            [sys.executable, "-m", "processpool", "journal", str(journal), "--export", "json"],
            capture_output=True,
            text=True,
        )
        assert shown.returncode == 0, shown.stderr
        kept = {record["input"] for record in map(json.loads, shown.stdout.splitlines())}
        assert was_yielded <= kept
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "done\n"
    ran = Counter(map(int, notes.read_text().split()))
    assert set(ran) == set(range(count))
    if slow:
        assert max(ran.values()) <= 1 + crashes
        has_at_most = 2  # a worker, of items that are not fast
        assert sum(ran.values()) - count <= crashes * 2 * has_at_most


def _has_grown(process: subprocess.Popen[bytes], journal: Path, size: int) -> bool:
    return process.poll() is not None or (journal.exists() and journal.stat().st_size >= size)


def test_a_run_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    crash_and_go_on(tmp_path, way="imap", count=100, slow=True, crashes=2)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["map", "imap", "imap_unordered"])
@pytest.mark.timeout(900)
def test_a_long_run_that_is_killed_again_and_again(tmp_path: Path, way: str) -> None:
    crash_and_go_on(tmp_path, way=way, count=100_000, slow=False, crashes=20)


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    code = """
        import resource, sys
        from processpool import JournalError, ProcessPool
        declared = {"worker": {"kind": "python"}, "size": {"min": 2, "max": 2}}
        had = []
        with ProcessPool.from_dict(declared) as pool:
            pool.map(len, ["started"] * 10)
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
            try:
                items = map("{:0>100}".format, range(10_000))
                for answer in pool.imap(str.upper, items, journal=sys.argv[1]):
                    had.append(answer)
            except JournalError as error:
                print(error)
            print(len(had))
            assert pool.map(len, ["pool", "works"]) == [4, 5]
    """
    journal = tmp_path / "j"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(journal)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": "src"},
    )
    said, had = done.stdout.splitlines()
    assert "cannot be written: File too large" in said
    assert int(had) < 10_000  # none, if the first write is too much already
    kept = subprocess.run(
        [sys.executable, "-m", "processpool", "journal", str(journal), "--export", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(kept.stdout.splitlines()) >= int(had)
