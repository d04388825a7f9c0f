"""How much memory a worker and its children have."""

from __future__ import annotations

import glob


def tree_memory(pid: int) -> int:
    """Return the resident bytes of a process and all that it has started; 0 if it is gone.

    Finding children takes a look at every process of the machine, so it is only done for a
    process that has some.
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
