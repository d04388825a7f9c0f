"""What `processpool run` shows while it runs and says once, and its report."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from processpool.cli.hints import Hints
from processpool.config import pool_from_dict
from processpool.core.run_record import RunRecord
from tests.cli.test_cli import run

if TYPE_CHECKING:
    from pathlib import Path

SLOW_TALKER = """\
import sys
for line in sys.stdin:
    print("got", line.strip(), file=sys.stderr, flush=True)
    open(line.strip()).read()  # a FIFO: until the test lets it go on
    print("done", line.strip(), flush=True)
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write_pool(folder: Path, command: list[str], **keys: str) -> Path:
    folder.mkdir(exist_ok=True)
    more = "".join(f"  {key}: {value}\n" for key, value in keys.items())
    path = folder / "pool.yaml"
    path.write_text(f"worker:\n  kind: command\n  command: {command}\n  protocol: lines\n{more}")
    return path


def test_stderr_is_shown_before_the_item_has_ended(tmp_path: Path) -> None:
    (tmp_path / "talk.py").write_text(SLOW_TALKER)
    fifo = tmp_path / "gate"
    os.mkfifo(fifo)
    pool = write_pool(tmp_path, [sys.executable, str(tmp_path / "talk.py")])
    command = [sys.executable, "-m", "processpool", "run", str(pool), "--echo", "-j", "1"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(f"{fifo}\n")
        process.stdin.close()
        assert process.stderr.readline() == f"worker 1: got {fifo}\n"
        fifo.write_text("")
        assert process.stdout.readline() == f"done {fifo}\n"
        assert process.stderr.read() == ""
        assert process.wait() == 0


def test_a_relative_path_that_workers_will_not_find_is_said_once(tmp_path: Path) -> None:
    pool = write_pool(tmp_path / "elsewhere", ["sh", "-c", "while read f; do wc -c <$f; done"])
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("four")
    (tmp_path / "in").write_text("a.txt\nb.txt\n")
    done = run("run", str(pool), "in", "--timeout", "5s", "--set", "timeouts.exit=1s")
    assert done.stderr.count("hint: 'a.txt' (line 1) is a file in this folder") == 1
    assert "worker.cwd=caller" in done.stderr
    assert done.stderr.count("hint:") == 1
    done = run("run", str(pool), "in", "--set", "worker.cwd=caller")
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["4", "4"], "")


def test_absolute_paths_and_other_words_are_not_spoken_of(tmp_path: Path) -> None:
    pool = write_pool(tmp_path / "elsewhere", ["cat"])
    (tmp_path / "in").write_text(f"{tmp_path / 'in'}\nhello\n\n")
    assert run("run", str(pool), "in").stderr == ""


class Ran:
    """A pool as the hints see it: one whose items took so many seconds each."""

    def __init__(self, seconds: float, pending: int = 1) -> None:
        self.record = RunRecord(1, "cat", 0.0)
        self.record.note(0, 1, 0, 2000, 0.0, 2000 * seconds)
        self.pending = pending

    def records(self) -> tuple[RunRecord, ...]:
        return (self.record,)

    def snapshot(self, *, resources: bool) -> SimpleNamespace:
        return SimpleNamespace(workers=[SimpleNamespace(pending=self.pending)])


@pytest.mark.parametrize(
    ("pool", "pipeline", "hints"),
    [
        (Ran(0.0001), 1, 1),
        (Ran(0.1), 1, 0),
        (Ran(0.0001, pending=8), 1, 0),  # it is under `serve`, which takes several anyway
        (Ran(0.0001), 4, 0),
    ],
)
def test_a_quick_program_is_told_of_pipeline_once(pool: Any, pipeline: int, hints: int) -> None:
    worker = {
        "kind": "command",
        "command": ["cat"],
        "protocol": {"kind": "lines", "pipeline": pipeline},
    }
    told: list[str] = []
    watch = Hints(pool_from_dict({"worker": worker}), told.append)
    for _ in range(5000):
        watch.watch_pace(pool)
    assert len(told) == hints
    assert all("pipeline=8" in hint for hint in told)


def test_the_report_names_lines(tmp_path: Path) -> None:
    (tmp_path / "words.py").write_text("def number(word):\n    return int(word)\n")
    (tmp_path / "in").write_text("1\nx\n3\n")
    done = run("run", "--function", "words:number", "in", "--report", "report.html")
    assert done.returncode == 1
    html = (tmp_path / "report.html").read_text()
    assert "1 line of 3 failed" in html
    assert "Example: line 2: <code>&#x27;x&#x27;</code>" in html
    assert "return int(word)" in html
    done = run("run", "--function", "words:number", "in", "--report", "no/where.html")
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot write no/where.html: there is no folder no" in done.stderr


def test_the_help_has_three_examples() -> None:
    done = run("run", "--help")
    assert done.returncode == 0
    assert "Examples:" in done.stdout
    assert done.stdout.partition("Examples:")[2].count("processpool run ") == 3


def test_completion_works_in_bash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = run("--show-completion", "bash").stdout
    command = tmp_path / "bin" / "processpool"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m processpool "$@"\n')
    command.chmod(0o755)
    script += """
COMP_WORDS=(processpool run --jo) COMP_CWORD=2
_processpool_completion processpool
printf '%s\\n' "${COMPREPLY[@]}"
"""
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
    found = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert {"--journal", "--joblog", "--jobs"} <= set(found.stdout.split())
