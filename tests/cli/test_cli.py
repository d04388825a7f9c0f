"""The command line as users have it: real processes, real pipes, real signals."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import processpool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONFIGS = Path(__file__).parents[2] / "configs"
COMMAND = [sys.executable, "-m", "processpool"]

JSON_POOL = """\
name: tested
worker:
  kind: command
  command: [python, worker.py]
  codec: json
  env: {SECRET: hunter2}
size: {min: 1, max: 2}
"""
WORKER = """\
import os, sys, time
from processpool import serve

def handle(message):
    match message:
        case {"exit": status}:
            sys.stderr.write("\\x1b[2Jlast words\\nitem 99: not mine\\n")
            sys.stderr.flush()
            os._exit(status)
        case {"hang": fifo}:
            with open(fifo, "w") as file:
                file.write(str(os.getpid()))
            time.sleep(600)
    return message

serve(handle)
"""
TEXT_POOL = """\
worker: {kind: command, command: [cat], protocol: {kind: lines, pipeline: 16}}
size: {min: 1, max: 2}
"""


@pytest.fixture
def json_pool(tmp_path: Path) -> Path:
    (tmp_path / "worker.py").write_text(WORKER)
    (tmp_path / "json.yaml").write_text(JSON_POOL)
    return tmp_path / "json.yaml"


@pytest.fixture
def text_pool(tmp_path: Path) -> Path:
    (tmp_path / "text.yaml").write_text(TEXT_POOL)
    return tmp_path / "text.yaml"


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts the command, with pipes; what is left at the end of the test is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: object, **options: Any) -> subprocess.Popen[bytes]:
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            **{**pipes, **options},
            # A test run in the background may have SIGINT ignored, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:
            process.kill()


def run(*arguments: object, data: str | bytes = b"") -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input=data.encode() if isinstance(data, str) else data,
        capture_output=True,
        timeout=60,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


# -- run: lines in, answers out -------------------------------------------------------------------


def test_the_same_line_again_goes_on_where_it_ended(json_pool: Path, tmp_path: Path) -> None:
    journal = tmp_path / "j"
    lines = '1\n{"exit": 3}\n[3]\n'
    done = run("run", json_pool, "--journal", journal, data=lines)
    assert (done.returncode, done.stdout) == (1, "1\n[3]\n")
    (tmp_path / "worker.py").write_text("from processpool import serve; serve(lambda item: [])")
    done = run("run", json_pool, "--journal", journal, data=lines + "1\n")
    assert (done.returncode, done.stdout) == (0, "1\n[]\n[3]\n[]\n")
    shown = run("journal", journal)
    assert "command python worker.py" in shown.stdout
    assert "answered  4\n  failed    0\n" in shown.stdout
    records = map(json.loads, run("journal", journal, "--export", "json").stdout.splitlines())
    assert {(one["input"], one["occurrence"]): one.get("value") for one in records} == {
        ("1", 0): 1,
        ('{"exit":3}', 0): [],
        ("[3]", 0): [3],
        ("1", 1): [],
    }


def test_what_is_no_journal_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "j").write_text("no journal\n")
    done = run("journal", tmp_path / "j")
    assert done.returncode == 1
    assert done.stderr.startswith(f"JournalError: {tmp_path / 'j'} is no journal")


def test_text_comes_back_in_order_from_a_file(text_pool: Path, tmp_path: Path) -> None:
    text = "".join(f"line {number}\n" for number in range(5000))
    (tmp_path / "input").write_text(text)
    done = run("run", text_pool, tmp_path / "input")
    assert (done.returncode, done.stdout, done.stderr) == (0, text, "")


def test_text_comes_back_in_order_from_stdin(text_pool: Path) -> None:
    text = "".join(f"line {number}\n" for number in range(2000))
    assert run("run", text_pool, data=text).stdout == text
    assert run("run", text_pool, "-", data=text).stdout == text


@pytest.mark.parametrize("data", ["a", "a\n"])
def test_the_last_line_needs_no_newline(text_pool: Path, data: str) -> None:
    assert run("run", text_pool, data=data).stdout == "a\n"


def test_only_a_newline_ends_a_line(text_pool: Path) -> None:
    data = "carriage\rreturn\r\n\n\x0c\x85\u2028\n"
    assert run("run", text_pool, data=data).stdout == data


def test_without_input_there_are_no_answers(text_pool: Path) -> None:
    done = run("run", text_pool)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_bytes_pass_as_they_are(text_pool: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "run", text_pool, "--set", "worker.codec=bytes"],
        input=b"\xff\x00\x80\n",
        capture_output=True,
    )
    assert done.stdout == b"\xff\x00\x80\n"


def test_a_line_that_is_no_text_fails_alone(text_pool: Path) -> None:
    done = run("run", text_pool, data=b"good\nab\xff\nalso good\n")
    assert (done.returncode, done.stdout) == (1, "good\nalso good\n")
    assert done.stderr.startswith(
        "line 2: CodecError: codec text: the message is bad: invalid UTF-8 at byte 2"
    )
    assert done.stderr.endswith("\n1 of 3 items failed\n")


def test_json_is_written_compactly_and_blank_lines_are_no_items(json_pool: Path) -> None:
    data = '{"a": [1, 2.5, null]}\n\n"\\ud800 \N{SNOWMAN}\\n"\n  \n[]'
    done = run("run", json_pool, data=data)
    # Half a surrogate pair cannot be sent.
    assert done.stdout == '{"a":[1,2.5,null]}\n[]\n'
    assert done.stderr.startswith("line 3: CodecError: ")
    assert run("run", json_pool, data='["\N{SNOWMAN}\\n"]').stdout == '["\N{SNOWMAN}\\n"]\n'


def test_a_text_answer_with_newlines_is_written_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(
        "from processpool import serve\nserve(lambda text: text.replace(',', '\\n'))"
    )
    config = tmp_path / "pool.yaml"
    config.write_text("worker: {kind: command, command: [python, worker.py]}")
    done = run("run", config, data="a,b\nc,\n\nd\n")
    assert done.stdout == "a\nb\nc\n\nd\n"


def test_an_output_file_gets_the_answers(text_pool: Path, tmp_path: Path) -> None:
    done = run("run", text_pool, "-o", tmp_path / "out", data="a\nb\n")
    assert (done.returncode, done.stdout) == (0, "")
    assert (tmp_path / "out").read_text() == "a\nb\n"


def test_the_output_must_not_be_the_input(text_pool: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("a\n")
    done = run("run", text_pool, precious, "-o", precious)
    assert done.returncode == 2
    assert "is the input" in done.stderr
    assert precious.read_text() == "a\n"


def test_one_of_several_pools(tmp_path: Path) -> None:
    several = CONFIGS / "several.yaml"
    assert run("run", several, "--pool", "upper", data="abc\n").stdout == "ABC\n"
    done = run("run", several, data="abc\n")
    assert done.returncode == 2
    assert "upper, numbers" in done.stderr


def test_an_answer_comes_before_the_next_line_is_there(
    text_pool: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    process = start("run", text_pool)
    assert process.stdin
    assert process.stdout
    for line in (b"first\n", b"second\n", b"third\n"):
        process.stdin.write(line)
        process.stdin.flush()
        assert process.stdout.readline() == line
    process.stdin.close()
    assert process.wait(timeout=30) == 0


def test_endless_input_is_answered_until_nobody_reads(
    text_pool: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as yes:
        process = start("run", text_pool, stdin=yes.stdout)
        assert yes.stdout
        yes.stdout.close()
        assert process.stdout
        assert process.stderr
        assert [process.stdout.readline() for _ in range(3)] == [b"y\n"] * 3
        process.stdout.close()
        try:
            assert process.wait(timeout=30) == 141
        finally:
            yes.kill()
        assert process.stderr.read() == b""


# -- run: failures --------------------------------------------------------------------------------


def test_a_failed_item_is_named_harmlessly_and_costs_only_itself(json_pool: Path) -> None:
    done = run("run", json_pool, data='1\n{"exit": 3}\nnonsense\n2\n')
    assert (done.returncode, done.stdout) == (1, "1\n2\n")
    lines = done.stderr.splitlines()
    assert lines[0].startswith("line 2: WorkerDied: ")
    assert "status 3" in lines[0]
    assert r"\x1b[2Jlast words" in lines[1]
    assert "\x1b" not in done.stderr
    assert [line for line in lines if not line.startswith("  ")] == [lines[0], lines[4], lines[-1]]
    assert lines[3] == "    the line: '{\"exit\": 3}'"
    assert lines[4].startswith("line 3: CodecError: codec json: the message is bad: ")
    assert lines[-1] == "2 of 4 items failed"


def test_failures_are_numbered_alike_in_a_file(json_pool: Path, tmp_path: Path) -> None:
    (tmp_path / "input").write_text('1\n\nnonsense\n{"exit": 3}\n2\n')
    done = run("run", json_pool, tmp_path / "input")
    assert (done.returncode, done.stdout) == (1, "1\n2\n")
    named = [line.split(": ")[:2] for line in done.stderr.splitlines() if line.startswith("line ")]
    assert named == [["line 3", "CodecError"], ["line 4", "WorkerDied"]]


def test_the_timeout_costs_only_the_item_that_took_too_long(
    json_pool: Path, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "fifo")
    hang = json.dumps({"hang": str(tmp_path / "fifo")})
    done = run("run", json_pool, "--timeout", "500ms", data=f"1\n{hang}\n2\n")
    assert (done.returncode, done.stdout) == (1, "1\n2\n")
    assert done.stderr.startswith("line 2: RequestTimeout: ")


def test_a_pool_that_cannot_start_says_why(text_pool: Path) -> None:
    done = run("run", text_pool, "--set", "worker.command=[no-such-program]", data="a\n")
    assert done.returncode == 1
    assert done.stderr.startswith("WorkerStartFailed: cannot start 'no-such-program'")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "size.max=-1"], "size.max"),
        (["--set", "size.mx=1"], "did you mean max?"),
        (["--set", "nonsense"], "must be KEY=VALUE"),
        (["--set", "size.max=[1"], "is not a value in YAML"),
        (["--timeout", "soon"], "--timeout must be a duration"),
        (["no/such/file"], "cannot read no/such/file: No such file or directory"),
        (["."], "cannot read .: Is a directory"),
        (["-o", "no/such/file"], "cannot write no/such/file: No such file or directory"),
        (["--nonsense"], "No such option"),
    ],
)
def test_a_wrong_command_line_is_told_in_a_sentence(
    text_pool: Path, arguments: list[str], said: str
) -> None:
    done = run("run", text_pool, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_told_in_a_sentence(text_pool: Path, tmp_path: Path) -> None:
    done = run("run", text_pool, "-o", "/dev/full", data="a\n")
    assert done.returncode == 1
    assert done.stderr == "cannot write /dev/full: No space left on device\n"


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_bad_file_is_told_at_once_without_a_traceback(tmp_path: Path, command: str) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text('worker: {kind: command, command: [cat], "\\e[1m": 2}\nsize: {min: 4, max: 2}\n')
    done = run(command, bad)
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.split(": ")[0] for line in done.stderr.splitlines()] == [
        f"{bad}:1:41",
        f"{bad}:2:21",
    ]
    assert "\x1b" not in done.stderr


def test_a_pool_of_functions_needs_a_handler(tmp_path: Path) -> None:
    config = tmp_path / "functions.yaml"
    config.write_text("worker: {kind: python}")
    done = run("run", config, data="a\n")
    assert done.returncode == 2
    assert "worker.handler" in done.stderr


# -- run: signals ---------------------------------------------------------------------------------


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("from_file", [True, False])
@pytest.mark.parametrize(
    ("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_the_run_and_its_workers(
    json_pool: Path,
    tmp_path: Path,
    start: Callable[..., subprocess.Popen[bytes]],
    signum: signal.Signals,
    status: int,
    from_file: bool,
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    data = f"1\n{json.dumps({'hang': str(fifo)})}\n".encode()
    (tmp_path / "input").write_bytes(data)
    process = start("run", json_pool, tmp_path / "input" if from_file else "-")
    assert process.stdin
    assert process.stdout
    assert process.stderr
    if not from_file:
        process.stdin.write(data)
        process.stdin.flush()
    assert process.stdout.readline() == b"1\n"
    worker = int(fifo.read_text())
    assert is_running(worker)
    process.send_signal(signum)
    assert process.wait(timeout=30) == status
    assert process.stderr.read().decode() == f"stopped by {signum.name}\n"
    assert not is_running(worker)


def test_answers_that_came_before_a_signal_are_in_the_file(
    json_pool: Path, tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / "input").write_text(f"1\n2\n{json.dumps({'hang': str(fifo)})}\n")
    process = start(
        "run", json_pool, tmp_path / "input", "-o", tmp_path / "out", "--set", "size.max=1"
    )
    fifo.read_text()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    assert "1\n2\n".startswith((tmp_path / "out").read_text())


# -- run: the progress bar ------------------------------------------------------------------------


def on_terminal(*arguments: object, data: bytes) -> tuple[bytes, str]:
    """Run the command with stderr on a terminal; its stdout, and what the terminal got."""
    master, slave = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=slave,
    ) as process:
        os.close(slave)
        assert process.stdin
        assert process.stdout
        process.stdin.write(data)
        process.stdin.close()
        shown = b""
        try:
            while piece := os.read(master, 1 << 16):
                shown += piece
        except OSError:  # EIO: nobody holds the other end any more
            pass
        os.close(master)
        return process.stdout.read(), shown.decode()


def test_a_terminal_shows_a_progress_bar(text_pool: Path, tmp_path: Path) -> None:
    (tmp_path / "input").write_text("a\nb\nc")
    answers, shown = on_terminal("run", text_pool, tmp_path / "input", data=b"")
    assert answers == b"a\nb\nc\n"
    assert "3/3" in shown
    answers, shown = on_terminal("run", text_pool, data=b"a\nb\n")
    assert answers == b"a\nb\n"
    assert "2 items " in shown


def test_failures_stand_on_their_own_beside_the_bar(json_pool: Path) -> None:
    _, shown = on_terminal("run", json_pool, data=b"1\nnonsense\n2\n")
    assert any(line.endswith("1 of 3 items failed") for line in shown.splitlines())
    assert "line 2: CodecError: " in shown


def test_no_progress_means_none(text_pool: Path) -> None:
    _, shown = on_terminal("run", text_pool, "--no-progress", data=b"a\nb\n")
    assert shown == ""


# -- check, schema and the rest -------------------------------------------------------------------


def test_check_shows_what_is_declared_but_no_secret(json_pool: Path) -> None:
    done = run("check", json_pool)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "tested"
    assert "  command   python worker.py" in lines
    assert "  env       SECRET; inherits the pool's environment" in lines
    assert "  size      min 1, max 2, spare 2" in lines
    assert lines[-1] == f"{json_pool}: no problems"
    assert "hunter2" not in done.stdout


def test_check_shows_every_pool_or_the_one_that_is_named() -> None:
    several = CONFIGS / "several.yaml"
    both = run("check", several).stdout
    assert both.startswith("upper\n")
    assert "\nnumbers\n" in both
    assert "upper" not in run("check", several, "--pool", "numbers").stdout


def test_check_shows_sections_that_differ_from_the_defaults(text_pool: Path) -> None:
    settings = ["retry.attempts=3", "limits.memory=3GiB", "restart.backoff=[250ms, 1h]"]
    done = run("check", text_pool, *(word for text in settings for word in ("--set", text)))
    assert "  retry     attempts 3, on crash\n" in done.stdout
    assert "  limits    memory 3GiB, cpu_time none, open_files none, nice none\n" in done.stdout
    assert "  restart   max_failures 5, within 10s, backoff 250ms 1h\n" in done.stdout
    assert "recycle" not in done.stdout


def test_check_can_start_a_worker(json_pool: Path) -> None:
    done = run("check", json_pool, "--start")
    assert done.returncode == 0
    assert "tested: a worker was ready after " in done.stdout
    (json_pool.parent / "worker.py").write_text("raise SystemExit('no licence')")
    done = run("check", json_pool, "--start")
    assert done.returncode == 1
    assert "no licence" in done.stderr


def test_the_schema_beside_the_configs_is_current() -> None:
    done = run("schema")
    assert done.returncode == 0
    written = (CONFIGS / "pool.schema.json").read_text()
    assert written == done.stdout, "make schema writes it anew"


def test_the_version() -> None:
    assert run("--version").stdout == f"processpool {processpool.__version__}\n"


def test_help_names_the_commands() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert all(command in done.stdout for command in ("run", "check", "schema"))


def test_help_is_a_manual_page() -> None:
    page = run("--help").stdout
    headings = [line for line in page.splitlines() if line and not line.startswith(" ")]
    assert headings == [
        "NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "OPTIONS", "EXIT STATUS", "ENVIRONMENT",
        "EXAMPLES", "SEE ALSO",
    ]  # fmt: skip
    assert run("help").stdout == page
    assert run("help", "check").stdout == run("check", "--help").stdout


def test_help_of_a_command_that_there_is_not() -> None:
    done = run("help", "chek")
    assert done.returncode == 2
    assert "there is no command 'chek'; there are run, " in done.stderr


def test_check_takes_several_files(json_pool: Path, tmp_path: Path) -> None:
    wrong, worse = tmp_path / "wrong.yaml", tmp_path / "worse.yaml"
    wrong.write_text("worker: {kind: command, command: [cat], protcol: lines}\n")
    worse.write_text("worker: {kind: python}\nsize: {mx: 2}\n")
    done = run("check", wrong, json_pool, worse)
    assert done.returncode == 2
    assert f"{json_pool}: no problems" in done.stdout
    assert f"{wrong}:1:" in done.stderr
    assert f"{worse}:2:" in done.stderr
    assert run("check", json_pool, json_pool).returncode == 0


def test_the_installed_command_is_the_same() -> None:
    command = Path(sys.executable).with_name("processpool")
    done = subprocess.run([command, "--version"], capture_output=True, text=True)
    assert done.stdout == f"processpool {processpool.__version__}\n"


class TestStdoutThatCannotBeWritten:
    @pytest.mark.parametrize("arguments", [["schema"], ["--version"], ["check", "CONFIG"]])
    @pytest.mark.parametrize(
        ("stdout", "says", "status"),
        [
            (">/dev/full", "cannot write stdout: No space left on device\n", 1),
            (">&-", "cannot write stdout: it is closed\n", 1),
            (">&9", "", 141),
        ],
    )
    def test_what_is_printed(
        self, arguments: list[str], stdout: str, says: str, status: int, tmp_path: Path
    ) -> None:
        done = self.run([*arguments, stdout], tmp_path)
        assert (done.stderr, done.returncode) == (says, status)

    def test_answers(self, tmp_path: Path) -> None:
        done = self.run(["run", "CONFIG", ">&-"], tmp_path)
        assert done.stderr == "cannot write stdout: it is closed\n"
        assert done.returncode == 1

    def test_a_stdin_that_is_closed(self, tmp_path: Path) -> None:
        done = self.run(["run", "CONFIG", "<&-", "#"], tmp_path)
        assert (done.returncode, done.stderr) == (1, "cannot read the input: it is closed\n")

    def run(self, words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
        """Run a command line in a shell, where 9 is a pipe that nobody reads."""
        config = folder / "pool.yaml"
        config.write_text("worker: {kind: command, command: [cat], protocol: lines}\n")
        command = " ".join([sys.executable, "-m", "processpool", *words])
        reader, writer = os.pipe()
        os.close(reader)
        try:
            return subprocess.run(
                ["bash", "-c", f"{command} <<< item".replace("CONFIG", str(config))],
                preexec_fn=lambda: os.dup2(writer, 9),
                pass_fds=(9,),
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            os.close(writer)
