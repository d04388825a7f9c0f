"""The smallest limit counts, and what cannot be read does not limit."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from processpool import cpus

if TYPE_CHECKING:
    from pathlib import Path


def quotas(folder: Path, proc: str, files: dict[str, str]) -> list[int]:
    for name, content in files.items():
        path = folder / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (folder / "proc").write_text(proc)
    return list(cpus._quotas(folder / "proc", folder / "cgroup"))


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
    assert quotas(tmp_path, proc, files) == expected


def test_no_control_groups(tmp_path: Path) -> None:
    assert list(cpus._quotas(tmp_path / "none", tmp_path)) == []


def test_usable_cpus() -> None:
    assert 1 <= cpus.usable_cpus() <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_the_affinity_mask_counts() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cpus.usable_cpus() == 1
    finally:
        os.sched_setaffinity(0, before)
