"""A journal's file: what is in it after any accident, and who may have it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processpool.core.replies import PickledReply, Reply
from processpool.errors import JournalError, JournalWarning, WorkerDied
from processpool.journal.file import JournalFile
from processpool.journal.recorded import MISSING, Recorded, Stored, is_plain

if TYPE_CHECKING:
    from pathlib import Path

WHAT = {"kind": "function", "name": "m:f", "protocol": None, "codec": None, "source": None}
NEW = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(path: Path, runs: list[list[Any]]) -> list[int]:
    """A journal of these values, item by item; returns its size after each write."""
    path.unlink(missing_ok=True)
    file = JournalFile(str(path), sync="never")
    list(file.records())
    file.begin(WHAT)
    sizes = [file.size]
    count = 0
    for values in runs:
        file.note_run([b"%d" % (count + at) for at in range(len(values))], count, values)
        count += len(values)
        file.flush()
        sizes.append(file.size)
    file.close()
    return sizes


def read(path: Path, *, keeps_failed: bool = False) -> Recorded:
    file = JournalFile(str(path), sync="never")
    recorded = Recorded(keeps_failed=keeps_failed)
    try:
        for record in file.records():
            recorded.add(record)
    finally:
        file.close()
    return recorded


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write(tmp_path / "j", [[1, "two"], [None], [{"a": [1.5]}]])
    recorded = read(tmp_path / "j")
    assert recorded.what == WHAT
    keys: list[Any] = [b"0", b"1", b"2", b"3", b"4"]
    assert recorded.look_up(keys) == [1, "two", None, {"a": [1.5]}, MISSING]


@NEW
@given(st.lists(st.lists(st.integers(), min_size=1, max_size=3), min_size=1, max_size=3), st.data())
def test_a_torn_end_is_cut_off_and_the_file_goes_on(
    tmp_path: Path, runs: list[list[int]], data: st.DataObject
) -> None:
    path = tmp_path / "j"
    sizes = write(path, runs)
    at = data.draw(st.integers(sizes[0], sizes[-1]))
    os.truncate(path, at)
    whole = max(size for size in sizes if size <= at)
    if at == whole:
        recorded = read(path)
    else:
        with pytest.warns(JournalWarning, match=f"{at - whole} bytes are cut off at byte {whole}"):
            recorded = read(path)
    assert path.stat().st_size == whole
    assert len(recorded) == sum(map(len, runs[: sizes.index(whole)]))


@NEW
@given(st.lists(st.lists(st.text(), min_size=1, max_size=3), min_size=1, max_size=3), st.data())
def test_damage_is_an_error_that_says_where(
    tmp_path: Path, runs: list[list[str]], data: st.DataObject
) -> None:
    path = tmp_path / "j"
    sizes = write(path, runs)
    at = data.draw(st.integers(0, sizes[-1] - 1))
    content = bytearray(path.read_bytes())
    content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(JournalError, match=r"byte \d+|has format"):
        read(path)
    assert path.read_bytes() == content


def test_another_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("item,price\n")
    with pytest.raises(JournalError, match="is no journal"):
        read(path)
    assert path.read_text() == "item,price\n"


def test_errors_and_answers_that_stay_pickled(tmp_path: Path) -> None:
    path = tmp_path / "j"
    file = JournalFile(str(path))
    file.begin(WHAT)
    died = WorkerDied("worker 3 was killed")
    died.exitcode = -9
    file.note_reply(b"0", 0, Reply(error=died), "last words")
    file.note_reply(b"1", 1, PickledReply([b"\x80\x05K\x07."]), "")
    file.note_reply(b"2", 2, PickledReply([b"\x80\x05C", bytes(100_000)]), "")
    file.close()
    assert read(path).look_up([b"0"]) is None, "failed items are to be run again"
    found = read(path, keeps_failed=True).look_up([b"0", b"1", b"2"])
    assert found is not None
    error, seven, large = found
    assert not is_plain(found)
    assert isinstance(error.error, WorkerDied)
    assert (error.error.exitcode, str(error.error)) == (-9, "worker 3 was killed")
    assert error.stderr == "last words"
    assert seven.load() == 7
    assert isinstance(large, Stored), "it is left in the file"


def test_what_is_begun_anew_lets_nothing_before_count(tmp_path: Path) -> None:
    write(tmp_path / "j", [[1]])
    file = JournalFile(str(tmp_path / "j"))
    list(file.records())
    file.begin(WHAT | {"source": "other"})
    file.close()
    recorded = read(tmp_path / "j")
    assert (len(recorded), recorded.what) == (0, WHAT | {"source": "other"})


def test_a_disk_that_is_full_loses_nothing_of_before(tmp_path: Path) -> None:
    path = tmp_path / "j"
    before = write(path, [[1, 2, 3]])[-1]
    file = JournalFile(str(path))
    list(file.records())
    file.note(b"4", 4, "x" * 100_000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (before + 500, limits[1]))
    try:
        with pytest.raises(JournalError, match="cannot be written: File too large"):
            file.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    with pytest.raises(JournalError, match="cannot be written"):
        file.flush()
    file.close()
    assert path.stat().st_size == before
    assert len(read(path)) == 3


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be opened: No such file or directory"):
        JournalFile(str(tmp_path / "none" / "j"))


class TestLock:
    def test_twice_in_one_process(self, tmp_path: Path) -> None:
        file = JournalFile(str(tmp_path / "j"))
        with pytest.raises(JournalError, match=rf"another map of this process \({os.getpid()}\)"):
            JournalFile(str(tmp_path / "j"))
        (tmp_path / "j").read_bytes()  # to open and close it elsewhere unlocks nothing
        with pytest.raises(JournalError, match="in use"):
            JournalFile(str(tmp_path / "j"))
        file.close()
        JournalFile(str(tmp_path / "j")).close()

    def test_another_process_has_it_until_it_is_killed(self, tmp_path: Path) -> None:
        code = (
            "import sys; from processpool.journal.file import JournalFile\n"
            "file = JournalFile(sys.argv[1]); print('locked', flush=True); sys.stdin.read()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "j")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"locked\n"
            with pytest.raises(JournalError, match=f"in use by process {other.pid}"):
                JournalFile(str(tmp_path / "j"))
            other.kill()
            other.wait()
        JournalFile(str(tmp_path / "j")).close()

    def test_a_fork_keeps_nobody_out(self, tmp_path: Path) -> None:
        file = JournalFile(str(tmp_path / "j"))
        reader, writer = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(writer)
            os.read(reader, 1)
            os._exit(0)
        os.close(reader)
        try:
            file.close()
            JournalFile(str(tmp_path / "j")).close()
        finally:
            os.close(writer)
            os.waitpid(pid, 0)
