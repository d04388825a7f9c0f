"""`processpool probe` and `processpool check --try`, on programs and on scripts that play some."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.cli.test_cli import run

if TYPE_CHECKING:
    from pathlib import Path

LOOP = "while IFS= read -r x; do {}; done"
PORT = """
import struct, sys
stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
while header := stdin.read(4):
    stdout.write(header + stdin.read(struct.unpack(">I", header)[0]))
    stdout.flush()
"""
BUFFERED = "import sys\nfor line in sys.stdin: print(line.upper(), end='')"
SLOW_TO_LEAVE = "trap '' TERM; " + LOOP.format('test "$x" = quit && exit; echo "$x"') + "; sleep 60"
LSP = """
import json, sys
def say(**keys):
    body = json.dumps({"jsonrpc": "2.0", **keys})
    print(f"Content-Length: {len(body)}\\r\\n\\r\\n{body}", end="", flush=True)
while header := sys.stdin.readline():
    if not header.startswith("Content-Length"):
        continue
    sys.stdin.readline()
    said = json.loads(sys.stdin.read(int(header.split(": ")[1])))
    if "id" in said:
        say(id=said["id"], result={"capabilities": {}})
"""


PROMPTING = "printf 'go> '; " + LOOP.format('eval "$x"; printf "go> "')
THREADS = """
import hashlib, sys, threading
def answer(line):
    for part in range(int(line) + 1):
        hashlib.pbkdf2_hmac("sha256", b"x", b"y", 300_000)
        print("part", part, flush=True)
    print("done", line, flush=True)
for line in sys.stdin:
    threading.Thread(target=answer, args=[line.strip()]).start()
"""


def shell(answer: str, begin: str = "") -> list[str]:
    return ["sh", "-c", begin + LOOP.format(answer)]


PROGRAMS: dict[str, tuple[list[str], list[str], dict[str, Any]]] = {
    "lines": (shell('echo "A$x"'), ["1", "2"], {"protocol": {"answer": {"lines": 1}}}),
    "an empty line": (
        shell('seq "$x"; echo'),
        ["1", "3"],
        {"protocol": {"answer": {"until_line": "^$"}}},
    ),
    "a banner": (
        shell('echo "A$x"', begin="echo welcome; printf 'go> '; "),
        ["1", "2"],
        {"protocol": {"start": [{"expect": "go> "}], "answer": {"lines": 1}}},
    ),
    "it says a mark": (
        ["sh"],
        ["echo a; echo b", "echo c"],
        {
            "protocol": {
                "request": "{message}\necho {mark}\n",
                "answer": {"until": "{mark}\n"},
            }
        },
    ),
    "it says a mark behind its prompt": (
        ["sh", "-c", PROMPTING],
        ["echo a", "true"],
        {
            "protocol": {
                "start": [{"expect": "go> "}],
                "request": "{message}\necho {mark}\n",
                "answer": {"until": "go> {mark}\ngo> "},
            }
        },
    ),
    "the last line closes": (
        shell('echo "<a>"; seq "$x"; echo "</a>"'),
        ["3"],
        {"protocol": {"answer": {"until_line": "^</a>$", "keep": True}}},
    ),
    "a number by chance": (
        shell('echo "$x"; printf "> "', begin='printf "> "; '),
        ["2", "2"],
        {"protocol": {"start": [{"expect": "> "}], "answer": {"until": "> "}}},
    ),
    "a banner that comes with the first answer": (
        shell('test "$y" || seq 5; y=1; eval "$x"'),
        ["echo a"],
        {
            "protocol": {
                "request": "{message}\necho {mark}\n",
                "answer": {"until": "{mark}\n"},
                "start": [{"ask": "echo a"}],
            }
        },
    ),
    "a thread that reads while another one computes": (
        [sys.executable, "-c", THREADS],
        ["1", "2"],
        {"protocol": {"answer": {"until_line": "^done\\b", "keep": True}}},
    ),
    "four bytes of length": (
        [sys.executable, "-c", PORT],
        ["two words", "x"],
        {"protocol": {"request": "{u32be}{message}", "answer": {"length": "u32be"}}},
    ),
    "it buffers": (
        ["env", "-u", "PYTHONUNBUFFERED", sys.executable, "-c", BUFFERED],
        ["a", "b"],
        {"stdout": "pty", "protocol": {"answer": {"lines": 1}}},
    ),
    "it needs the whole input": (
        ["sort"],
        ["b\na", "d\nc"],
        {"protocol": "oneshot"},
    ),
    "it outlives its input": (
        ["sh", "-c", SLOW_TO_LEAVE],
        ["1", "2"],
        {"protocol": {"answer": {"lines": 1}, "exit": "quit\n"}},
    ),
    "a language server": (
        [sys.executable, "-c", LSP],
        ["{}"],
        {"protocol": "lsp", "codec": "json"},
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_is_found_out(name: str) -> None:
    command, samples, expected = PROGRAMS[name]
    done = run("probe", "--", *command, "--try", *samples)
    assert done.returncode == 0, done.stderr
    worker = yaml.safe_load(done.stdout)["worker"]
    assert worker.pop("command")[-len(command) :] == command
    assert worker == {"kind": "command", **expected}


def test_what_it_prints_can_be_run(tmp_path: Path) -> None:
    done = run("probe", "--", *shell('echo "A$x"', begin="echo hi; "), "--try", "1")
    path = tmp_path / "pool.yaml"
    path.write_text(done.stdout)
    assert "at its start it says 'hi\\n'; then it awaits input" in done.stderr
    assert run("run", path, data="1\n2\n").stdout == "A1\nA2\n"
    tried = run("check", path, "--try", "3", "4")
    assert tried.returncode == 0
    assert "value    'A3'" in tried.stdout
    assert "value    'A4'" in tried.stdout


def test_a_program_that_is_known(tmp_path: Path) -> None:
    if shutil.which("hunspell") is None:
        pytest.skip("missing: apt-get install --no-install-recommends hunspell hunspell-en-us")
    words = ["hunspell", "-a", "-d", "en_US", "--try", "hello wrold"]
    done = run("probe", "--", *words)
    assert "hunspell is known: trying protocol ispell" in done.stderr
    path = tmp_path / "pool.yaml"
    path.write_text(done.stdout)
    assert "& wrold" in run("run", path, data="hello wrold\n").stdout


def test_a_program_that_dies_of_nonsense() -> None:
    done = run("probe", "--", *shell('case $x in %*) exit 1;; esac; echo "$x"'), "--try", "1")
    assert done.returncode == 0
    assert "it dies of it: its item fails, and the worker is replaced" in done.stderr


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["true"], "without waiting for its input"),
        (["date"], "without waiting for its input"),
        (["sleep", "60"], "it does not read its input"),
        (shell(":"), "it answers to nothing that was tried"),
        (
            shell('n=$((n + 1)); printf "ok\\n[$n]> "', begin="n=0; printf '[0]> '; "),
            "its prompt changes: first there is '[0]> '",
        ),
        (shell('test "$x" = x && echo 1 || seq 2'), "another number of lines"),
    ],
)
def test_what_cannot_be_found_out_is_said(command: list[str], why: str) -> None:
    done = run("probe", "--", *command, "--try", "x")
    assert (done.returncode, done.stdout) == (1, "")
    assert why in done.stderr


def test_a_program_that_takes_arguments() -> None:
    done = run("probe", "--", "expr", "1", "+", "--try", "2", "3")
    worker = yaml.safe_load(done.stdout)["worker"]
    expected = ["expr", "1", "+", "{message}"]
    assert worker == {"kind": "command", "command": expected, "protocol": "oneshot"}


def test_a_program_that_is_not_there() -> None:
    done = run("probe", "--", "no-such-program", "--try", "x")
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot start 'no-such-program'" in done.stderr


@pytest.mark.parametrize("words", [["cat"], ["--try", "x"], ["cat", "--try"]])
def test_it_needs_a_program_and_a_message(words: list[str]) -> None:
    done = run("probe", "--", *words)
    assert (done.returncode, done.stdout) == (2, "")


class TestCheck:
    @pytest.fixture
    def config(self, tmp_path: Path) -> Any:
        def write(worker: dict[str, Any], **sections: Any) -> Path:
            path = tmp_path / "pool.yaml"
            path.write_text(yaml.safe_dump({"worker": {"kind": "command", **worker}, **sections}))
            return path

        return write

    def test_it_shows_what_passes(self, config: Any) -> None:
        program = shell('echo "about $x" >&2; echo "A$x"')
        path = config({"command": program, "protocol": "lines"})
        done = run("check", path, "--try", "1")
        assert done.returncode == 0
        for line in (
            "request  b'1\\n'",
            "answer   b'A1\\n'",
            "value    'A1'",
            "stderr   b'about 1\\n'",
            "s; then it awaited input",
            "end      it exited with status",
        ):
            assert line in done.stdout

    @pytest.mark.parametrize(
        ("program", "line"),
        [
            (shell('echo "A$x"; echo "B$x"'), "surplus  b'B1'"),
            (shell('echo "A$x"; sleep 0.1; printf "B$x"'), "surplus  b'B1'"),
            (shell(":"), "no answer in"),
            (shell('echo "A$x"', begin="echo hello; "), "banner   b'hello\\n'"),
            (["sh", "-c", "read -r x; echo $x; exit 3"], "then it exited with status 3"),
        ],
    )
    def test_it_says_what_is_wrong(self, config: Any, program: list[str], line: str) -> None:
        path = config({"command": program, "protocol": "lines"}, timeouts={"request": "1s"})
        done = run("check", path, "--try", "1")
        assert done.returncode == 1
        assert line in done.stdout

    def test_a_forgotten_protocol(self, config: Any) -> None:
        done = run("check", config({"command": ["cat"]}), "--try", "5")
        assert done.returncode == 1
        assert "write `protocol: lines`" in done.stdout

    def test_oneshot(self, config: Any) -> None:
        path = config({"command": ["sh", "-c", 'echo "$0"; exit 2', "{message}"]} | ONESHOT)
        done = run("check", path, "--try", "1")
        assert "argument b'1'" in done.stdout
        assert "answer   b'1\\n'" in done.stdout
        assert "it exited with status 2" in done.stdout
        done = run("check", config({"command": ["rev"], **ONESHOT}), "--try", "abc")
        assert "answer   b'cba'" in done.stdout

    def test_a_python_worker(self, tmp_path: Path) -> None:
        path = tmp_path / "pool.yaml"
        path.write_text("worker: {kind: python, handler: 'builtins:len'}\n")
        done = run("check", path, "--try", "four")
        assert "value    4" in done.stdout

    def test_a_python_worker_that_takes_functions(self, tmp_path: Path) -> None:
        path = tmp_path / "pool.yaml"
        path.write_text("worker: {kind: python}\n")
        done = run("check", path, "--try", "four")
        assert done.returncode == 1
        assert "it has no worker.handler: it takes functions" in done.stdout
        assert not done.stderr

    def test_how_long_a_start_takes(self, config: Any) -> None:
        command = ["sh", "-c", "sleep 0.3; echo ready; exec cat"]
        path = config({"command": command, "protocol": {"start": [{"expect": "ready"}]}})
        done = run("check", path, "--try", "1")
        (start,) = (line for line in done.stdout.splitlines() if line.startswith("  start "))
        assert float(start.split()[1]) >= 0.3

    @pytest.mark.parametrize(
        ("command", "problem"),
        [
            ("jq .a | sort", "'|' means something to a shell only"),
            (["cat", ">", "out"], "'>' means something to a shell only"),
            (["cat", "2>/dev/null"], "'2>/dev/null' means something to a shell only"),
            (["echo", "{message}"], "{message} is replaced with protocol: oneshot only"),
            ("no-such-program", "cannot start 'no-such-program'"),
        ],
    )
    def test_it_looks_for_what_cannot_work(self, config: Any, command: Any, problem: str) -> None:
        if "jq" in command and shutil.which("jq") is None:
            command = command.replace("jq", "cat")
        done = run("check", config({"command": command, "protocol": "lines"}))
        assert done.returncode == 1
        assert problem in done.stderr

    def test_a_folder_that_is_not_there(self, config: Any) -> None:
        done = run("check", config({"command": ["cat"], "cwd": "nowhere"}))
        assert done.returncode == 1
        assert "does not exist; create it, or correct worker.cwd" in done.stderr

    @pytest.mark.parametrize(
        "command", [["sh", "-c", "cat | cat", "|"], ["sed", "-u", "s/a|b/>/"], ["jq", ".a | .b"]]
    )
    def test_what_only_looks_like_it_is_fine(self, config: Any, command: list[str]) -> None:
        if shutil.which(command[0]) is None:
            pytest.skip(f"missing: apt-get install --no-install-recommends {command[0]}")
        assert run("check", config({"command": command, "protocol": "lines"})).returncode == 0

    def test_more_messages_come_behind_try(self, config: Any) -> None:
        done = run("check", config({"command": ["cat"], "protocol": "lines"}), "5")
        assert done.returncode == 2
        assert "messages come after --try" in done.stderr


ONESHOT = {"protocol": "oneshot"}
