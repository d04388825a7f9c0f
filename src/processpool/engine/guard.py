"""The guard: a tiny process that ends the workers if the pool's own process is killed.

Nothing that runs in a process can clean up after its own SIGKILL, and a worker that spins in C code
never notices that its parent is gone. So a shell of under 1 MB waits at the end of a pipe: it is
told each worker's process group, and when the pipe ends it kills the groups that are left. After a
normal close none is left, and it just exits.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress

_SCRIPT = """
trap '' HUP INT TERM
groups=' '
while read -r what group; do
  case $what in
    +) groups="$groups$group " ;;
    -) case $groups in
         *" $group "*) groups="${groups%% "$group" *} ${groups#* "$group" }" ;;
       esac ;;
  esac
done
for group in $groups; do
  kill -s KILL -- "-$group"
done 2>/dev/null
"""


class Guard:
    """Watches over the process groups of one pool."""

    def __init__(self) -> None:
        """Start the guard.

        Raises:
            OSError: the system has no process or descriptor left.
        """
        read, self._pipe = os.pipe()
        os.set_blocking(self._pipe, False)
        try:
            self._popen = subprocess.Popen(
                ["processpool-guard", "-c", _SCRIPT],
                executable="/bin/sh",
                cwd="/",
                env={},
                stdin=read,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(read)

    def add(self, group: int) -> None:
        """Kill this process group if the parent ends."""
        self._tell(f"+ {group}\n")

    def remove(self, group: int) -> None:
        """The group has ended."""
        self._tell(f"- {group}\n")

    def close(self) -> None:
        """Let the guard go, after it has killed whatever is still in its list."""
        self.disown()
        self._popen.wait()

    def disown(self) -> None:
        """Close this process's copy of the pipe: in a forked child, which must not keep it open."""
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    def _tell(self, line: str) -> None:
        with suppress(OSError):  # it was killed: nothing is lost but the safety net
            os.write(self._pipe, line.encode())
