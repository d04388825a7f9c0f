"""Maps with a journal: what is done is not done again, whatever has ended the run before."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processpool import JournalError, JournalWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


FULL = """
import resource, sys
from processpool import JournalError, ProcessPool

def shout(text):
    return text.upper()

if __name__ == "__main__":
    journal, way, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
    had = []
    with ProcessPool(max_workers=2) as pool:
        pool.map(len, ["started"] * 10)
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        try:
            for answer in getattr(pool, way)(
                shout, map("{:0>100}".format, range(10_000)), journal=journal
            ):
                had.append(answer)
        except JournalError as error:
            print(error)
        print(len(had))
        assert pool.map(len, ["pool", "works"]) == [4, 5]
"""


@pytest.fixture(params=["file size", "tmpfs"])
def full_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, int, str]]:
    """A folder for some 200 kB, the limit if it is one of the process, and what is said of it."""
    if request.param == "file size":
        yield tmp_path, 200_000, "File too large"
        return
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("takes root, and the right to mount")
    yield folder, 0, "No space left on device"
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("way", ["map", "imap", "imap_unordered"])
def test_a_disk_that_is_full(full_disk: tuple[Path, int, str], tmp_path: Path, way: str) -> None:
    folder, limit, why = full_disk
    script, journal = tmp_path / "full.py", folder / "j"
    script.write_text(FULL)
    command = [sys.executable, str(script), str(journal), way]
    done = subprocess.run(
        [*command, str(limit)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert f"journal {journal} cannot be written: {why}" in done[0]
    assert int(done[1]) < 10_000  # none, if the first write is too much already
    shown = [sys.executable, "-m", "processpool", "journal", str(journal), "--export", "json"]
    kept = subprocess.run(shown, capture_output=True, text=True, check=True)
    assert len(kept.stdout.splitlines()) >= int(done[1])
    moved = tmp_path / "moved"  # to where there is room; and on
    moved.write_bytes(journal.read_bytes())
    again = [sys.executable, str(script), str(moved), way, "0"]
    assert subprocess.run(again, capture_output=True, text=True, check=True).stdout == "10000\n"


SETS = """
import sys
from processpool import ProcessPool

def size(words):
    with open(sys.argv[1] + "/ran", "a") as file:
        file.write("x")
    return len(words)

if __name__ == "__main__":
    with ProcessPool(max_workers=1) as pool:
        items = [set("abcdefgh"), frozenset(["one", "two", "three"])]
        print(pool.map(size, items, journal=sys.argv[1] + "/j", journal_key=sorted_words))
"""


def test_sets_of_strings_need_a_key(tmp_path: Path) -> None:
    script = tmp_path / "sets.py"
    key = "def sorted_words(words):\n    return tuple(sorted(words))\n"
    script.write_text(key + SETS)
    for seed in "123":  # in each run, the words of a set have another order
        done = subprocess.run(
            [sys.executable, str(script), str(tmp_path)],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        )
        assert done.stdout == "[8, 3]\n"
    assert (tmp_path / "ran").read_text() == "xx"


def test_two_processes_on_one_journal(
    python_pool: Callable[..., ProcessPool], doubled: Doubled, journal: Path
) -> None:
    """The second is told who has it; when the first is gone, it goes on."""
    pool = python_pool(1)
    answers = pool.imap(doubled, range(20, 40), journal=journal)
    assert next(answers) == 40
    lines = "".join(f"{number}\n" for number in range(20, 40))
    command = [sys.executable, "-m", "processpool", "run", "--function", "json:loads"]
    second = subprocess.run(
        [*command, "--journal", str(journal)],
        input=lines,
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert second.stderr.startswith(
        f"JournalError: journal {journal} is in use by process {os.getpid()}"
    )
    assert list(answers) == [2 * number for number in range(21, 40)]


SYNCED = """
import os, sys
from processpool import ProcessPool

synced = []
fdatasync = os.fdatasync
os.fdatasync = lambda fd: (synced.append(fd), fdatasync(fd))[1]

if __name__ == "__main__":
    with ProcessPool(max_workers=1) as pool:
        for sync in ("never", "1s", "always"):
            del synced[:]
            answers = pool.imap(
                abs, iter([-1, -2, -3]), journal=f"{sys.argv[1]}/{sync}", journal_sync=sync,
                buffersize=1,
            )
            assert list(answers) == [1, 2, 3]
            print(sync, len(synced))
"""


def test_how_often_answers_are_brought_to_the_disk(tmp_path: Path) -> None:
    script = tmp_path / "synced.py"
    script.write_text(SYNCED)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, check=True
    )
    counts = dict(line.split() for line in done.stdout.splitlines())
    assert counts["never"] == "0"
    assert 1 <= int(counts["1s"]) <= 3
    assert int(counts["always"]) >= 1 + 3, "its begin, and each answer"


def test_a_function_of_a_script_that_has_changed(tmp_path: Path) -> None:
    script, journal = tmp_path / "edited.py", tmp_path / "j"

    def run(body: str, **options: str) -> tuple[str, str]:
        script.write_text(
            "from processpool import ProcessPool\n\n\ndef answer(item):\n"
            f"    return {body}\n\n\n"
            "if __name__ == '__main__':\n    with ProcessPool(max_workers=1) as pool:\n"
            f"        print(pool.map(answer, [1, 2], journal={str(journal)!r}, **{options!r}))\n"
        )
        done = subprocess.run(
            [sys.executable, str(script)], capture_output=True, text=True, check=True
        )
        return done.stdout, done.stderr

    assert run("item + 1") == ("[2, 3]\n", "")
    said, warned = run("item * 100")
    assert said == "[2, 3]\n"
    assert "JournalWarning: the source of __main__:answer has changed" in warned
    assert run("item * 100", journal_changed="rerun") == ("[100, 200]\n", "")
