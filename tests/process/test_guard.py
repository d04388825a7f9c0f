"""The guard alone: it kills the groups that it was told of, and no others."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from processpool.system.guard import Guard
from tests.process.support import await_exit, slowness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class TestGuard:
    @pytest.fixture
    def group(self) -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        yield process
        process.kill()
        process.wait()

    def test_a_removed_group_is_left_alone(self, group: subprocess.Popen[bytes]) -> None:
        guard = Guard()
        guard.add(group.pid)
        guard.remove(group.pid)
        guard.close()
        assert group.poll() is None

    def test_the_others_are_killed(self, group: subprocess.Popen[bytes]) -> None:
        guard = Guard()
        guard.add(2**22 + 7)
        guard.add(group.pid)
        guard.remove(2**22 + 7)
        guard.remove(2**22 + 8)
        guard.close()
        assert group.wait(30) == -signal.SIGKILL

    def test_numbers_that_contain_one_another(self, group: subprocess.Popen[bytes]) -> None:
        guard = Guard()
        guard.add(group.pid)
        guard.add(int(f"{group.pid}0"))
        guard.remove(int(f"{group.pid}0"))
        guard.close()
        assert group.wait(30) == -signal.SIGKILL

    def test_a_killed_guard_is_no_more_than_a_missing_net(
        self, group: subprocess.Popen[bytes]
    ) -> None:
        guard = Guard()
        guard._popen.kill()
        guard._popen.wait()
        guard.add(group.pid)
        guard.close()
        assert group.poll() is None


class TestAStartThatWasNotToldOf:
    """The parent ends between the start of a process and its word to the guard."""

    @pytest.fixture
    def start(self) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
        """Starts a program that has this in its environment, or among its arguments."""
        started: list[subprocess.Popen[bytes]] = []

        def start(mark: str, *, argument: str = "", leads: bool = True) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                ["sh", "-c", "sleep 1000 & echo $!; wait", "sh", argument],
                env={"PATH": "/usr/bin:/bin", "MARK": mark},
                stdout=subprocess.PIPE,
                start_new_session=leads,
            )
            started.append(process)
            return process

        yield start
        for process in started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    @pytest.mark.parametrize("told_by", ["environment", "argument"])
    def test_is_found_and_ended_with_its_group(
        self, start: Callable[..., subprocess.Popen[bytes]], told_by: str
    ) -> None:
        guard = Guard()
        with guard.starting() as mark:
            process = start(mark) if told_by == "environment" else start("", argument=mark)
        assert process.stdout is not None
        child = int(process.stdout.readline())
        guard.close()
        assert process.wait(30) == -signal.SIGKILL
        await_exit(child)

    def test_is_found_if_it_leads_no_group(
        self, start: Callable[..., subprocess.Popen[bytes]]
    ) -> None:
        guard = Guard()
        with guard.starting() as mark:
            process = start(mark, leads=False)
        guard.close()
        assert process.wait(30) == -signal.SIGKILL

    def test_one_that_was_told_of_is_not_looked_for(
        self, start: Callable[..., subprocess.Popen[bytes]]
    ) -> None:
        guard = Guard()
        with guard.starting() as mark:
            process = start(mark)
        guard.add(process.pid)
        guard.remove(process.pid)
        began = time.monotonic()
        guard.close()
        assert time.monotonic() - began < slowness()
        assert process.poll() is None

    def test_one_that_has_failed_is_not_looked_for(
        self, start: Callable[..., subprocess.Popen[bytes]]
    ) -> None:
        guard = Guard()
        processes = []

        def fail() -> None:
            with guard.starting() as mark:
                processes.append(start(mark))
                raise OSError("too many open files")

        with pytest.raises(OSError, match="too many"):
            fail()
        guard.close()
        assert processes[0].poll() is None

    def test_every_start_has_a_word_of_its_own(
        self, start: Callable[..., subprocess.Popen[bytes]]
    ) -> None:
        guard = Guard()
        with guard.starting() as mark:
            first = start(mark)
        guard.add(first.pid)
        with guard.starting() as other:
            second = start(other)
        guard.remove(first.pid)
        guard.close()
        assert second.wait(30) == -signal.SIGKILL
        assert first.poll() is None
