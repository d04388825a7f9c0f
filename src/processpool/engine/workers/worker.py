"""A worker as the pool sees it: a process, and all that is known of it.

    process ── channel ── protocol            its pipes; what goes down and comes up them
    owner, listening, readiness               who has it; is an answer due; can it be asked yet
    stderr, attribution                       what it writes there, and whose that is
    prefetching                               the items behind the one that it works on

Whoever writes to a worker's pipes or reads from them holds `io`. Answers are read by the thread
that leads, or, while the worker is lent, by the thread that has it. What is decided to be sent lies
in `outbox`, in the order of the decisions.
"""

from __future__ import annotations

import signal
from collections import deque
from typing import TYPE_CHECKING, Any

from processpool.engine.workers.attribution import Attribution, Lateness
from processpool.engine.workers.channel import ChannelEvent, ChannelState
from processpool.engine.workers.listening import ListeningEvent, listening
from processpool.engine.workers.memory_watch import MemoryWatch
from processpool.engine.workers.owner import owner
from processpool.engine.workers.tally import Tally
from processpool.engine.workers.trial import Trial
from processpool.system.monitor import Monitor

if TYPE_CHECKING:
    from processpool.core.jobs import Batch
    from processpool.engine.workers.channel import Channel
    from processpool.engine.workers.prefetching import Prefetching
    from processpool.engine.workers.protocol import WorkerProtocol
    from processpool.engine.workers.readiness import Readiness
    from processpool.engine.workers.stderr import StderrLog
    from processpool.wire.python.functions import Task


class Worker:
    """One worker of either kind; what its kind does in its own way is its protocol's affair."""

    def __init__(
        self,
        number: int,
        channel: Channel,
        protocol: WorkerProtocol,
        readiness: Readiness,
        stderr: StderrLog,
        prefetching: Prefetching | None = None,
    ) -> None:
        self.id = number
        self.process = channel.process
        self.place = 0
        """What users know as its slot."""
        self.channel = channel
        self.protocol = protocol
        self.readiness = readiness
        self.prefetching = prefetching
        """None for a kind that gives nothing back, and keeps no answers."""
        self.io = Monitor()
        self.owner = owner()
        """Who has it."""
        self.listening = listening()
        """Whether an answer is due from it."""
        self.stderr = stderr
        self.attribution = Attribution(
            stderr, Lateness.UNKNOWN if prefetching is None else Lateness.PROMPT
        )
        self.outbox: deque[Batch] = deque()
        self.freed_shares: deque[str] = deque()
        """Names of shared objects that it does not know to be freed yet."""
        self.recalls = 0
        """Positive while items are taken back from it: what comes behind them is not written yet,
        or its answers would be taken for theirs."""
        self.calls = self.failed_calls = 0
        """Calls it has answered, and those that failed, since the scheduler was last told."""
        self.trial = Trial()
        """What has been seen of a program that has not said that it speaks its protocol."""
        self.memory = MemoryWatch()
        """What it had in memory."""
        self.tally = Tally(number, self.memory)
        """Its answers on the short way, of which nothing was noted yet."""
        self.was_starved = False
        """True if the kernel has killed it for lack of memory."""
        self.weighed_at = 0.0
        """When its memory was last looked at."""

    @property
    def pid(self) -> int:
        """The process's number."""
        return self.process.pid

    @property
    def is_closed(self) -> bool:
        """True once its descriptors are closed."""
        return self.channel.state is ChannelState.CLOSED

    @property
    def has_ended(self) -> bool:
        """True once its standard output has ended, or its process."""
        return self.channel.has_ended

    @property
    def is_over(self) -> bool:
        """True once it answers nothing any more, and all that it had said was read."""
        protocol = self.protocol
        return protocol.is_drained if protocol.answers_by_exit else self.channel.has_ended

    @property
    def written(self) -> tuple[int, str]:
        """How many bytes it has written to stderr, those of the running item included; the last."""
        return self.stderr.watched(*self.protocol.unsent_stderr)

    # -- writing ---------------------------------------------------------------------------------

    def flush(self) -> bool:
        """Write what has been decided; False if the pipe is full."""
        if self.freed_shares:
            self._stage_freed()
        while self.outbox:
            self.protocol.stage_batch(self.outbox[0])
            self.outbox.popleft()
        return self.channel.write()

    def _stage_freed(self) -> None:
        if self.prefetching is None:  # a program has nothing that is shared
            self.freed_shares.clear()
        else:
            self.prefetching.stage_freed(self.freed_shares)

    def send(self, payload: Any, task: Task | None = None) -> bool:
        """Write one request; False if the pipe is full."""
        self.protocol.stage_one(payload, task)
        return self.channel.write()

    def ask_to_exit(self) -> None:
        """Send the exit message, if there is one, and end the worker's input.

        One that answers by its end is terminated: it would do its work with an empty message.
        """
        if self.protocol.answers_by_exit:
            self.process.signal_group(signal.SIGTERM)
            return
        self.channel.end_input(self.protocol.exit_message)

    # -- reading ---------------------------------------------------------------------------------

    def unsolicited_output(self) -> bytes:
        """What it has written to stdout though nobody asked; late stderr goes to the log tail."""
        unsolicited = b""
        if self.is_closed:
            return unsolicited
        channel = self.channel
        for fd in channel.look():
            if fd == channel.stderr:
                self._read_stderr()
                if not self.protocol.answers_by_exit:
                    self.stderr.take()
            elif fd == channel.stdout:
                unsolicited = self.protocol.unsolicited(channel.read())
            elif fd != channel.stdin:
                channel.on(ChannelEvent.ENDED)
        return unsolicited

    def pump(self, timeout: float | None) -> list[Any]:
        """Wait for the worker, read what it says, and write what is still to be written.

        Args:
            timeout: seconds to wait at most; None for as long as it takes.

        Returns:
            the answers that are complete now; none if something else happened, or nothing.
        """
        if self.is_closed:
            return []
        answers: list[Any] = []
        channel = self.channel
        for fd in channel.await_events(timeout):
            if fd == channel.stdout:
                answers += self.protocol.receive()
                if channel.has_ended:
                    channel.forget(fd)
            elif fd == channel.stderr:
                self._read_stderr()
            elif fd == channel.stdin:
                channel.write()
            else:
                answers += self.drain()
        return answers

    def _read_stderr(self) -> None:
        self.stderr.read()
        if self.stderr.ended:
            self.channel.forget(self.channel.stderr)

    def drain(self) -> list[Any]:
        """The last answers of a worker that has ended."""
        answers = self.protocol.drain()
        if self.prefetching is not None:
            answers += self.prefetching.peek()
        self.stderr.read()
        return answers

    def item_stderr(self) -> str:
        """What came on stderr during the last request; of a Python worker it is with the answer."""
        text = self.stderr.take()
        return text if self.prefetching is None else ""

    # -- the end ---------------------------------------------------------------------------------

    def has_begun(self) -> bool:
        """Of one that reads no more: False if it surely has not begun its first open item."""
        return self.protocol.has_begun(is_waiting=bool(self.outbox))

    def is_deaf(self) -> bool:
        """True if it has closed its stdin, and not begun what it was sent: it never will."""
        return self.channel.nobody_reads and not self.has_begun()

    def is_torn(self) -> bool:
        """True if it has closed its stdin in the middle of a request: it cannot answer that."""
        return self.channel.nobody_reads and self.protocol.is_torn()

    def close(self) -> None:
        """Close every descriptor of a worker that has ended."""
        self.listening.on(ListeningEvent.CLOSED)
        self.outbox.clear()
        self.readiness.close()
        self.channel.close()
        self.protocol.close()
