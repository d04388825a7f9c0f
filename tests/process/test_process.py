"""One worker process: how it starts, what is said when it cannot, how it is ended and reaped."""

from __future__ import annotations

import logging
import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from processpool.errors import WorkerStartFailed
from processpool.system.limits import Limits
from processpool.system.process import Command, Process, describe_exit
from tests.process.support import await_exit, eventually, is_gone, open_fds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from processpool import ProcessPool

ENV = {"PATH": "/usr/bin:/bin"}
Start = "Callable[..., Process]"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts processes; they are killed, reaped and closed when the test has ended."""
    started: list[Process] = []

    def start(*argv: str) -> Process:
        process = Process(Command(argv, str(tmp_path), ENV))
        started.append(process)
        return process

    yield start
    for process in started:
        process.signal_group(signal.SIGKILL)
        process.reap()
        process.close()


def read_all(descriptor: int) -> bytes:
    """Read a non-blocking pipe until its end."""
    os.set_blocking(descriptor, True)
    with open(descriptor, "rb", closefd=False) as file:
        return file.read()


class TestCannotStart:
    LIMITS = Limits(memory=1 << 30, cpu_time=60, open_files=100, nice=1)

    def failure(self, argv: tuple[str, ...], cwd: Path | str, env: dict[str, str] = ENV) -> str:
        """What is said, which limits change nothing in."""
        before = open_fds()
        with pytest.raises(WorkerStartFailed) as caught:
            Process(Command(argv, str(cwd), env))
        with pytest.raises(WorkerStartFailed) as limited:
            Process(Command(argv, str(cwd), env), limits=self.LIMITS)
        assert open_fds() == before
        assert str(limited.value) == str(caught.value)
        return str(caught.value)

    def test_no_such_program(self, tmp_path: Path) -> None:
        assert self.failure(("no-such-program", "-v"), tmp_path) == (
            f"cannot start 'no-such-program': no such program in PATH (/usr/bin:/bin), "
            f"cwd '{tmp_path}'; install it, or give its path in worker.command"
        )

    def test_the_workers_own_path_is_searched(self, tmp_path: Path) -> None:
        message = self.failure(("cat",), tmp_path, {"PATH": "/nowhere"})
        assert "no such program in PATH (/nowhere)" in message

    @pytest.mark.parametrize("path", ["tools", "/nowhere:tools", ":/nowhere"])
    def test_a_relative_path_begins_at_the_workers_folder(self, tmp_path: Path, path: str) -> None:
        folder = tmp_path / "tools" if "tools" in path else tmp_path
        folder.mkdir(exist_ok=True)
        (folder / "run").write_text("#!/bin/sh\n")
        (folder / "run").chmod(0o755)
        found = Command(("run",), str(tmp_path), {"PATH": path}).find()
        assert os.path.samefile(found, folder / "run")

    def test_no_such_file(self, tmp_path: Path) -> None:
        assert self.failure(("./run.sh",), tmp_path) == (
            f"cannot start './run.sh': there is no file '{tmp_path}/./run.sh' "
            f"(cwd '{tmp_path}'); correct worker.command or worker.cwd"
        )

    def test_no_such_folder(self, tmp_path: Path) -> None:
        assert self.failure(("cat",), tmp_path / "gone") == (
            f"cannot start 'cat': the working directory '{tmp_path}/gone' does not exist; "
            f"create it, or correct worker.cwd"
        )

    def test_the_folder_is_blamed_before_the_program(self, tmp_path: Path) -> None:
        assert "working directory" in self.failure(("no-such-program",), tmp_path / "gone")

    def test_not_executable(self, tmp_path: Path) -> None:
        (tmp_path / "run.sh").write_text("#!/bin/sh\n")
        assert self.failure(("./run.sh",), tmp_path) == (
            f"cannot start './run.sh': '{tmp_path}/./run.sh' is not executable; "
            f"run chmod +x on it, or name its interpreter in worker.command"
        )

    def test_a_folder_is_no_program(self, tmp_path: Path) -> None:
        (tmp_path / "bin").mkdir()
        assert "is a folder" in self.failure(("./bin",), tmp_path)

    def test_a_script_that_does_not_say_what_runs_it(self, tmp_path: Path) -> None:
        script = tmp_path / "run.sh"
        script.write_text("echo hello\n")
        script.chmod(0o755)
        assert self.failure(("./run.sh",), tmp_path) == (
            f"cannot start './run.sh': the system cannot run '{tmp_path}/./run.sh' (Exec format "
            f"error); begin a script with #! and its interpreter, or name that in worker.command"
        )

    def test_a_program_of_another_machine(self, tmp_path: Path) -> None:
        program = bytearray(Path("/proc/self/exe").read_bytes()[:4096])
        program[18:20] = b"\xff\xff"
        (tmp_path / "alien").write_bytes(program)
        (tmp_path / "alien").chmod(0o755)
        assert "(Exec format error)" in self.failure(("./alien",), tmp_path)

    def test_a_script_whose_interpreter_is_missing(self, tmp_path: Path) -> None:
        script = tmp_path / "run.sh"
        script.write_text("#!/no/such/interpreter\n")
        script.chmod(0o755)
        assert self.failure(("./run.sh",), tmp_path) == (
            f"cannot start './run.sh': the system cannot run '{tmp_path}/./run.sh' (No such file "
            f"or directory); begin a script with #! and its interpreter, or name that in "
            f"worker.command"
        )


class TestStart:
    def test_a_relative_path_starts_from_the_cwd(
        self, tmp_path: Path, start: Callable[..., Process]
    ) -> None:
        script = tmp_path / "run.sh"
        script.write_text("#!/bin/sh\npwd\n")
        script.chmod(0o755)
        assert read_all(start("./run.sh").stdout).decode().strip() == str(tmp_path.resolve())

    def test_it_has_its_pipes_and_its_environment(self, start: Callable[..., Process]) -> None:
        process = start("sh", "-c", "cat; echo err >&2; env")
        os.write(process.stdin, b"hello\n")
        process.close_stdin()
        assert read_all(process.stdout).startswith(b"hello\n")
        assert read_all(process.stderr) == b"err\n"
        assert process.reap() == 0
        assert process.exitcode == 0

    def test_it_leads_a_session_and_a_group(self, start: Callable[..., Process]) -> None:
        process = start("cat")
        assert os.getsid(process.pid) == os.getpgid(process.pid) == process.pid

    def test_it_inherits_no_descriptor(self, start: Callable[..., Process]) -> None:
        read, write = os.pipe()
        os.set_inheritable(read, True)
        try:
            listed = read_all(start("sh", "-c", "ls /proc/self/fd").stdout)
        finally:
            os.close(read)
            os.close(write)
        assert {int(fd) for fd in listed.split()} <= {0, 1, 2, 3}

    @pytest.mark.parametrize("level", [-1, 2**70])
    def test_a_python_worker_starts_whatever_the_level_of_the_log(
        self,
        python_pool: Callable[..., ProcessPool],
        monkeypatch: pytest.MonkeyPatch,
        level: int,
    ) -> None:
        monkeypatch.setattr(logging.root, "level", level)
        assert python_pool().map(abs, [-1, 2]) == [1, 2]

    def test_the_pool_keeps_no_end_that_is_the_workers(self, start: Callable[..., Process]) -> None:
        before = open_fds()
        process = start("true")
        assert len(open_fds()) == len(before) + 4
        assert read_all(process.stdout) == b""


class TestEnd:
    def test_the_group_is_signalled(self, start: Callable[..., Process]) -> None:
        process = start("sh", "-c", "sleep 1000 & echo $!; wait")
        child = int(eventually(lambda: _read(process.stdout)))
        process.signal_group(signal.SIGTERM)
        await_exit(process.pid)
        await_exit(child)
        assert process.reap() == -signal.SIGTERM

    def test_reaping_ends_what_was_left_in_the_group(self, start: Callable[..., Process]) -> None:
        process = start("sh", "-c", "sleep 1000 & echo $!")
        child = int(eventually(lambda: _read(process.stdout)))
        await_exit(process.pid)
        assert not is_gone(child)
        assert process.reap() == 0
        await_exit(child)

    def test_it_is_reaped_once_and_never_signalled_after(
        self, start: Callable[..., Process]
    ) -> None:
        process = start("sh", "-c", "exit 3")
        await_exit(process.pid)
        assert process.exitcode is None
        assert [process.reap(), process.reap()] == [3, 3]
        process.signal_group(signal.SIGKILL)
        assert process.exitcode == 3

    def test_closing_leaves_no_descriptor(self, tmp_path: Path) -> None:
        before = open_fds()
        process = Process(Command(("cat",), str(tmp_path), ENV))
        process.close()
        process.reap()
        assert open_fds() == before

    @pytest.mark.parametrize(
        ("code", "words"),
        [
            (0, "exited with status 0"),
            (3, "exited with status 3"),
            (-9, "was killed by SIGKILL"),
            (-11, "was killed by SIGSEGV"),
            (-64, "was killed by SIGRTMAX"),
            (-63, "was killed by signal 63"),
        ],
    )
    def test_an_exit_in_words(self, code: int, words: str) -> None:
        assert describe_exit(code) == words


class TestCommand:
    def test_it_reads_like_a_command_line(self) -> None:
        assert str(Command(("sed", "-u", "s/a b/c/"), "/", ENV)) == "sed -u 's/a b/c/'"

    def test_a_long_one_is_cut_and_is_one_line(self) -> None:
        text = str(Command(("python", "-c", "x = 1\n" * 100), "/", ENV))
        assert len(text) == 201
        assert re.fullmatch(r"python -c 'x = 1 .*…", text)

    def test_the_environment_never_shows(self) -> None:
        assert "secret" not in repr(Command(("cat",), "/", {"TOKEN": "secret"}))


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 100)
    except BlockingIOError:
        return b""
