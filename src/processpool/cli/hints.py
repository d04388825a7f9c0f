"""What `processpool run` says once, since it is probably not what was meant."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from processpool.api.pool import ProcessPool
    from processpool.cli.lines import Line
    from processpool.config import PoolConfig

LOOKED_AT = 20
"""Lines that are looked at for relative paths."""
ENOUGH = 2000
"""Items after which a program is known to be quick or not."""
QUICK = 0.0005
"""Seconds of an item below which the way to the worker and back counts."""


class Hints:
    """The hints of one run."""

    def __init__(self, config: PoolConfig, tell: Callable[[str], None]) -> None:
        """`tell` writes one to stderr."""
        self._config = config
        self._tell = tell
        self._done = 0
        self.has_room = config.worker.kind == "command" and config.worker.protocol.window == 1
        """True as long as `pipeline` may have to be spoken of."""

    def watch_paths(self, lines: Iterator[Line]) -> Iterator[Line]:
        """Yield lines; of the first, say if one names a file that workers will not find."""
        cwd, here = Path(self._config.worker.cwd), Path.cwd()
        left = 0 if cwd == here else LOOKED_AT
        for line in lines:
            if left:
                left -= 1
                if _is_lost(line.content, cwd):
                    left = 0
                    self._tell(
                        f"hint: {line.text!r} (line {line.number}) is a file in this folder, but "
                        f"the workers run in {cwd}; give whole paths, or run them here with "
                        "--set worker.cwd=caller"
                    )
            yield line

    def watch_pace(self, pool: ProcessPool) -> None:
        """An item has ended: after enough of them, say if `pipeline` would help."""
        self._done += 1
        if self._done < ENOUGH or not self.has_room:
            return
        self.has_room = False
        if any(worker.pending > 1 for worker in pool.snapshot(resources=False).workers):
            return  # they speak with us in a way that lets several be sent
        each = pool.records()[-1].totals().runs.percentile(50)
        if each < QUICK:
            self._tell(
                f"hint: an item takes {each * 1e6:.0f} µs, most of which is its way to the program "
                "and back; if the program reads one line after another, have several sent ahead "
                "with --set worker.protocol.pipeline=8"
            )


def _is_lost(content: bytes, cwd: Path) -> bool:
    """True if this names a file here, and none where the workers are."""
    if not content or len(content) > 4096 or content.startswith(b"/") or b"\0" in content:
        return False
    return os.path.exists(content) and not os.path.exists(os.fsencode(cwd) + b"/" + content)
