"""The options of `processpool run`: what is written down, how, and when it stops."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from processpool.cli.halting import Halt
from processpool.errors import ConfigError
from tests.cli.test_cli import COMMAND, run
from tests.process.support import eventually

if TYPE_CHECKING:
    from pathlib import Path

WORDS = """\
import os, sys, time

def shout(word):
    if word == "bad":
        raise ValueError("a bad word")
    if word == "die":
        os._exit(7)
    if word == "warn":
        print("careful", file=sys.stderr)
    if word == "slow":
        print("begun", file=sys.stderr)
        time.sleep(600)
    return word.upper()
"""
LINES = "one\nbad\ntwo\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "words.py").write_text(WORDS)
    monkeypatch.chdir(tmp_path)


FUNCTION = ("run", "--function", "words:shout")


def test_a_command_needs_no_file(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("a\nb\n")
    done = run("run", "--command", "sed -u s/a/A/", "in")
    assert (done.returncode, done.stdout, done.stderr) == (0, "A\nb\n", "")
    done = run("run", "--command", "jq -c .", "--protocol", "nonsense", "in")
    assert done.returncode == 2


TRACED = """\
name: traced
worker: {kind: command, command: [cat], protocol: lines}
telemetry: {otel: true}
"""


def test_telemetry(tmp_path: Path) -> None:
    (tmp_path / "traced.yaml").write_text(TRACED)
    done = run("run", "traced.yaml", data="a\nb\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "a\nb\n", "")


def test_what_is_not_installed_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "traced.yaml").write_text(TRACED)
    (tmp_path / "opentelemetry.py").write_text("raise ModuleNotFoundError('there is none')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = run("run", "traced.yaml", data="a\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "traced: there is none: telemetry needs OpenTelemetry; "
        "install it with pip install 'processpool[otel]'\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("run", "--command", "cat", "--function", "words:shout"),
        ("run", "pool.yaml", "--protocol", "lines"),
        (*FUNCTION, "pool.yaml", "in"),
        (*FUNCTION, "--halt", "many"),
        (*FUNCTION, "in", "--replay", "in"),
    ],
)
def test_what_contradicts_itself_is_told_in_a_sentence(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_what_failed_is_written_down_and_run_again(tmp_path: Path) -> None:
    done = run(*FUNCTION, "--failed", "failed", data=LINES + "die\n")
    assert (done.returncode, done.stdout) == (1, "ONE\nTWO\n")
    bad, died = map(json.loads, (tmp_path / "failed").read_text().splitlines())
    assert bad == {
        "index": 1, "line": 2, "input": "bad", "error": "ValueError", "message": "a bad word",
        "stderr": "", "attempts": 1,
    }  # fmt: skip
    assert (died["line"], died["error"]) == (4, "WorkerDied")
    (tmp_path / "words.py").write_text(WORDS.replace('"bad"', '"other"'))
    again = run(*FUNCTION, "--replay", "failed")
    assert again.stdout == "BAD\n"
    assert again.stderr.startswith("line 4: WorkerDied: ")


def test_only_what_failed_can_be_replayed(tmp_path: Path) -> None:
    (tmp_path / "in").write_text(LINES)
    done = run(*FUNCTION, "--replay", "in")
    assert done.returncode == 2
    assert done.stderr.startswith("in: line 1 is no record of a failed item")


def test_a_joblog_has_the_columns_of_gnu_parallel(tmp_path: Path) -> None:
    run(*FUNCTION, "--joblog", "log", data=LINES + "die\n")
    head, *rows = (line.split("\t") for line in (tmp_path / "log").read_text().splitlines())
    assert head == [
        "Seq", "Host", "Starttime", "JobRuntime", "Send", "Receive", "Exitval", "Signal", "Command",
    ]  # fmt: skip
    assert [[row[0], *row[4:]] for row in rows] == [
        ["1", "3", "4", "0", "0", "one"],
        ["2", "3", "0", "1", "0", "bad"],
        ["3", "3", "4", "0", "0", "two"],
        ["4", "3", "0", "7", "0", "die"],
    ]
    assert all(float(row[2]) > 1e9 for row in rows)


def test_details() -> None:
    lines = run(*FUNCTION, "--details", data=LINES).stdout.splitlines()
    one, bad, _ = map(json.loads, lines)
    assert (one["index"], one["input"], one["ok"], one["worker"]) == (0, "one", True, 1)
    assert one["value"] == "ONE"
    assert (bad["ok"], bad["error"]) == (False, "ValueError: a bad word")
    assert one["seconds"] >= 0


def test_tags_and_blanks() -> None:
    assert run(*FUNCTION, "--tag", data=LINES).stdout == "one\tONE\ntwo\tTWO\n"
    assert run(*FUNCTION, "--blank-failed", data=LINES).stdout == "ONE\n\nTWO\n"
    both = run(*FUNCTION, "--tag", "--blank-failed", data=LINES).stdout
    assert both == "one\tONE\nbad\t\ntwo\tTWO\n"


def test_a_nul_ends_a_line() -> None:
    assert run(*FUNCTION, "-0", data="a\nb\0c\0").stdout == "A\nB\nC\n"


def test_answers_as_they_come() -> None:
    lines = "".join(f"{number}\n" for number in range(100))
    done = run(*FUNCTION, "--unordered", "-j", "2", data=lines)
    assert sorted(done.stdout.split()) == sorted(lines.split())


def test_stderr_is_shown() -> None:
    assert run(*FUNCTION, "--echo", data="warn\n").stderr == "worker 1: careful\n"


def test_what_a_function_writes_is_shown_while_it_runs() -> None:
    process = subprocess.Popen(
        [*COMMAND, *FUNCTION, "--echo"], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(b"warn\nslow\n")
        process.stdin.flush()
        assert process.stderr.readline() == b"worker 1: careful\n"
        assert process.stderr.readline().endswith(b": begun\n")
        process.terminate()


def test_a_torn_journal_is_told_in_a_sentence(tmp_path: Path) -> None:
    journal = tmp_path / "j"
    assert run(*FUNCTION, "--journal", "j", data="one\n").returncode == 0
    os.truncate(journal, journal.stat().st_size - 3)
    done = run(*FUNCTION, "--journal", "j", data="one\n")
    assert (done.returncode, done.stdout) == (0, "ONE\n")
    assert re.fullmatch(
        r"JournalWarning: the last record of journal j was not written to its end: \d+ bytes are "
        r"cut off at byte \d+\n",
        done.stderr,
    )


def test_too_many_failures_stop_it() -> None:
    done = run(*FUNCTION, "--halt", "2", data="bad\none\nbad\nslow\n")
    assert (done.returncode, done.stdout) == (3, "ONE\n")
    assert done.stderr.endswith("2 of 3 items failed: stopped\n")


@pytest.mark.parametrize(
    ("text", "failed", "ended", "total", "due"),
    [
        ("2", 1, 100, None, False),
        ("2", 2, 100, None, True),
        ("10%", 9, 50, 100, False),
        ("10%", 10, 50, 100, True),
        ("50%", 1, 1, None, False),
        ("50%", 10, 20, None, True),
        (None, 100, 100, None, False),
    ],
)
def test_when_it_stops(
    text: str | None, failed: int, ended: int, total: int | None, due: bool
) -> None:
    assert Halt.parse(text).is_due(failed, ended, total) is due


@pytest.mark.parametrize("text", ["0", "-1", "0%", "101%", "x", "%"])
def test_what_is_no_number_of_failures(text: str) -> None:
    with pytest.raises(ConfigError, match="--halt takes"):
        Halt.parse(text)


def test_answers_are_in_their_file_before_the_end(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, *FUNCTION, "-o", "out", "-j", "1"], stdin=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        process.stdin.write(b"one\nslow\n")
        process.stdin.flush()
        out = tmp_path / "out"
        eventually(lambda: out.exists() and out.read_text() == "ONE\n")
        process.send_signal(signal.SIGKILL)


def test_without_a_stderr_there_are_the_answers_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "in").write_text(LINES)
    command = shlex.join([*COMMAND, *FUNCTION, "in"])
    done = subprocess.run(
        ["sh", "-c", f"{command} 2>&-"], stdout=subprocess.PIPE, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "ONE\nTWO\n")


class TestInit:
    def test_it_works(self, tmp_path: Path) -> None:
        done = run("init", "mine")
        assert done.returncode == 0
        assert "mine.yaml" in done.stdout
        assert run("check", "mine.yaml").returncode == 0
        assert run("run", "mine.yaml", data="a\n").stdout == "answer to a\n"

    def test_nothing_is_overwritten(self, tmp_path: Path) -> None:
        (tmp_path / "pool.yaml").write_text("mine")
        done = run("init")
        assert done.returncode == 2
        assert "is there already" in done.stderr
        assert (tmp_path / "pool.yaml").read_text() == "mine"
