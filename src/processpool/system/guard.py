"""The guard: a small process that kills the workers if the pool's own process is killed.

No process can clean up after its own SIGKILL, and a worker that is busy in C code does not notice
that its parent is gone. So a shell of under 1 MB waits at the end of a pipe. It is sent the process
group of each worker, and kills the remaining groups when the pipe is closed. After a normal close
none is left, and it just exits.

The parent could be killed between the start of a worker and the sending of its group. So before
each start the guard is sent a unique word, which it can find in the environment or the arguments of
the new process.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

EXIT_TIMEOUT = 2.0
"""The seconds within which the guard must exit after `close`."""

# A forked process that has not executed its program yet does not have the word, so the search is
# repeated. The word is passed to grep by stdin, so that grep does not find its own arguments.
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
    """The guard process of a pool."""

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
        """Return a context to start a worker in, with the word that the worker must be given.

        The guard forgets the word when `add` is called, or if the start fails.
        """
        mark = os.urandom(8).hex()
        self._tell(f"? {mark}\n")
        try:
            yield mark
        except BaseException:
            self._tell("?\n")
            raise

    def add(self, group: int) -> None:
        """Add a process group to kill if the parent ends."""
        self._tell(f"+ {group}\n")

    def remove(self, group: int) -> None:
        """Remove a process group that has ended."""
        self._tell(f"- {group}\n")

    def close(self) -> None:
        """End the guard, which kills the remaining groups first."""
        self.disown()
        try:
            self._popen.wait(EXIT_TIMEOUT)
        except subprocess.TimeoutExpired:  # it was stopped by a signal
            self._popen.kill()
            self._popen.wait()

    def disown(self) -> None:
        """Close this process's end of the pipe; a forked child must, so as not to keep it open."""
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    def _tell(self, line: str) -> None:
        with suppress(OSError):  # the guard was killed; the pool works without it
            os.write(self._pipe, line.encode())
