"""The memory of a process and its descendants."""

from __future__ import annotations

import glob


def tree_memory(pid: int) -> int:
    """Return the resident memory of a process and its descendants, in bytes; 0 if it has ended.

    Finding descendants scans all processes of the machine, so that is only done for a process that
    has children.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        family = [process, *(process.children(recursive=True) if _has_children(pid) else ())]
        return sum(_memory(member) for member in family)
    except psutil.Error:
        return 0


def _memory(process: object) -> int:
    import psutil

    try:
        memory: int = process.memory_info().rss  # type: ignore[attr-defined]
    except psutil.Error:
        return 0
    return memory


def _has_children(pid: int) -> bool:
    for path in glob.iglob(f"/proc/{pid}/task/*/children"):
        try:
            with open(path, encoding="ascii") as file:
                if file.read(1):
                    return True
        except OSError:
            continue
    return False
