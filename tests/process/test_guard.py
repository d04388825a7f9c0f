"""The guard alone: it kills the groups that it was told of, and no others."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from processpool.engine.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Iterator


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
