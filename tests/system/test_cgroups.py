"""What the control groups say: every group above counts, and what cannot be read says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from processpool.system import cgroups

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, proc: str, files: dict[str, str]) -> tuple[Path, Path]:
    """The file that names the groups, and the folder with what they say."""
    for name, content in files.items():
        path = folder / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (folder / "proc").write_text(proc)
    return folder / "proc", folder / "cgroup"


@pytest.mark.parametrize(
    ("proc", "files", "expected"),
    [
        ("0::/\n", {}, []),
        ("0::/\n", {"cpu.max": "max 100000\n"}, []),
        ("0::/\n", {"cpu.max": "200000 100000\n"}, [2]),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, [2]),
        ("0::/\n", {"cpu.max": "1000 100000\n"}, [1]),
        ("0::/a/b\n", {"a/b/cpu.max": "400000 100000", "a/cpu.max": "300000 100000"}, [4, 3]),
        ("0::/gone/b\n", {"cpu.max": "300000 100000"}, [3]),
        ("0::/\n", {"cpu.max": "nonsense"}, []),
        ("3:cpuset:/\n2:cpu,cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "-1"}, []),
        (
            "2:cpu,cpuacct:/a\n0::/\n",
            {"cpu/a/cpu.cfs_quota_us": "300000\n", "cpu/a/cpu.cfs_period_us": "100000\n"},
            [3],
        ),
        ("nonsense", {}, []),
    ],
)
def test_quotas(tmp_path: Path, proc: str, files: dict[str, str], expected: list[int]) -> None:
    assert list(cgroups.cpu_quotas(*write(tmp_path, proc, files))) == expected


@pytest.mark.parametrize(
    ("proc", "files", "expected"),
    [
        ("0::/a\n", {"a/memory.events": "low 0\noom 3\noom_kill 2\noom_group_kill 0\n"}, 2),
        ("0::/gone\n", {"memory.events": "oom_kill 1\n"}, 1),
        (
            "4:memory:/a\n0::/\n",
            {"memory/a/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n"},
            5,
        ),
        ("4:memory:/a\n0::/\n", {"memory/a/memory.oom_control": "under_oom 0\n"}, None),
        ("0::/\n", {}, None),
    ],
)
def test_oom_kills(tmp_path: Path, proc: str, files: dict[str, str], expected: int | None) -> None:
    assert cgroups.oom_kills(*write(tmp_path, proc, files)) == expected


def test_no_control_groups(tmp_path: Path) -> None:
    assert list(cgroups.cpu_quotas(tmp_path / "none", tmp_path)) == []
    assert cgroups.oom_kills(tmp_path / "none", tmp_path) is None
