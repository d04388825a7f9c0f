"""The guard: a tiny process that ends the workers if the pool's own process is killed.

No process can clean up after its own SIGKILL, and a worker that spins in C code never notices that
its parent is gone. So a shell of under 1 MB waits at the end of a pipe. It is sent each worker's
process group, and when the pipe ends it kills the groups that are left. After a normal close none
is left, and it just exits.

The parent may be killed after a worker has started and before its group was sent. So before each
start the guard is sent a unique word, which it can find in the environment or the arguments of the
process.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 2.0
"""Seconds in which the guard must end, once it is closed."""

# A process that was forked and has not executed its program yet does not have the word yet, so that
# it is looked for several times. Standard input hides the word from the search for it.
_SCRIPT = """
trap '' HUP INT TERM
groups=' ' mark=
while read -r what word; do
  case $what in
    '?') mark=$word ;;
    +) groups="$groups$word " mark= ;;
    -) case $groups in
         *" $word "*) groups="${groups%% "$word" *} ${groups#* "$word" }" ;;
       esac ;;
  esac
done
for group in $groups; do
  kill -s KILL -- "-$group"
done
test "$mark" && cd /proc || exit
for pause in 0 .1 .3 .6; do
  sleep $pause
  for file in $(echo "$mark" | grep -lsF -f - [0-9]*/environ [0-9]*/cmdline); do
    kill -s KILL -- "-${file%%/*}"
    kill -s KILL "${file%%/*}"
  done
done
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
                env={"PATH": os.defpath},
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

    @contextmanager
    def starting(self) -> Iterator[str]:
        """Bracket the start of one worker; gives the word by which its process can be found.

        The word is dropped when `add` names the process, or when the start has failed.
        """
        mark = os.urandom(8).hex()
        self._tell(f"? {mark}\n")
        try:
            yield mark
        except BaseException:
            self._tell("?\n")
            raise

    def add(self, group: int) -> None:
        """Kill this process group if the parent ends."""
        self._tell(f"+ {group}\n")

    def remove(self, group: int) -> None:
        """Forget a group, which has ended."""
        self._tell(f"- {group}\n")

    def close(self) -> None:
        """End the guard, after it has killed whatever is still in its list."""
        self.disown()
        try:
            self._popen.wait(PATIENCE)
        except subprocess.TimeoutExpired:  # somebody has stopped it
            self._popen.kill()
            self._popen.wait()

    def disown(self) -> None:
        """Close this process's copy of the pipe: in a forked child, which must not keep it open."""
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    def _tell(self, line: str) -> None:
        with suppress(OSError):  # it was killed: nothing is lost but the safety net
            os.write(self._pipe, line.encode())
