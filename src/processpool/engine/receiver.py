"""From bytes on a worker's pipes to delivered answers.

Runs on the thread that leads, for workers that are not leased.
"""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.core import events
from processpool.core.commands import Done
from processpool.core.exit_reason import ExitReason
from processpool.core.jobs import Origin
from processpool.core.replies import asks_to_retire, format_reply_error, has_failed
from processpool.core.states import WorkerState
from processpool.engine import surplus
from processpool.engine.answered import Answered, hand_out
from processpool.engine.closed_pipes import see_to_stdout
from processpool.engine.peaks import Peaks
from processpool.engine.runs import take_run
from processpool.engine.unsolicited import on_unsolicited
from processpool.engine.weighing import weigh
from processpool.engine.workers.attribution import LATE_PAUSE, LINGER, Lateness
from processpool.engine.workers.listening import Listening, ListeningEvent
from processpool.engine.workers.protocol import UNUSUAL

if TYPE_CHECKING:
    from processpool.core.commands import Command
    from processpool.engine.core import Core
    from processpool.engine.dispatcher import Dispatcher
    from processpool.engine.event_hub import EventHub
    from processpool.engine.workers.worker import Worker

SILENT, EXPECTING = Listening.SILENT, Listening.EXPECTING
PROMPT = Lateness.PROMPT
"""What the short way looks at, as names of its own."""


class Receiver:
    """Reads what workers say, and hands it to those who wait for it."""

    def __init__(self, core: Core, dispatcher: Dispatcher, hub: EventHub) -> None:
        self._core = core
        self._dispatcher = dispatcher
        self._hub = hub
        self._peaks = Peaks()
        dispatcher.on_answer = self.on_answer

    def on_answer(self, worker: Worker) -> None:
        """Something can be read from the stdout of a busy worker: mostly one whole answer.

        This is the short way, which nearly every item of a program goes: read its answer, give the
        worker the next item, hand the answer over. It is all in here, as each step more costs each
        item its share; what is not as usual goes the long way.
        """
        core, io, protocol = self._core, worker.io, worker.protocol
        lock = core.lock
        commands: list[Command] | None = None
        following = run = None
        io.acquire()  # here and below without `with`, which takes twice as long
        try:
            if worker.listening.state is not EXPECTING:
                if on_unsolicited(core, self._dispatcher, self._hub, worker):
                    self._await_end(worker)
                return
            usual = worker.attribution.state is PROMPT
            if usual and not (worker.stderr.unclaimed or worker.outbox):
                value = protocol.receive_one()
            else:
                value = protocol.receive_early()
            if value is UNUSUAL:
                run = self._take_run(worker) if protocol.early else None
            else:
                now = monotonic()
                if now >= worker.memory.due:
                    self._peaks.look(worker, now, worker.tally.count)
                lock.acquire()
                try:
                    slot = core.scheduler.slots[worker.id]
                    since = slot.since
                    if slot.inflight:
                        ended = slot.inflight[0]
                        job, index = ended.job, ended.base + ended.lo
                        takes_values = job.takes_values
                        if takes_values and type(ended.items) is list:
                            ended.items[ended.lo] = None  # nobody needs the message any more
                        following = core.scheduler.follow(slot, now)
                        if following is None:
                            commands = core.scheduler.finish(slot, now)
                            if commands is not None:
                                worker.listening.state = SILENT  # by its table: it is settled
                        elif not following.job.takes_values:
                            following.job.begin()
                        if slot.deadline is not None:
                            self._dispatcher.plan_timer()
                        lock.notify_all()
                finally:
                    lock.release()
                if following is not None and not protocol.send_next(following):
                    core.loop.post(partial(self._dispatcher.write, worker))
        finally:
            io.release()
        if run is not None:
            for ended_run in run:
                hand_out(core, self._hub, worker, ended_run, retires=False)
            return
        if following is None and commands is None:
            if value is not UNUSUAL:
                protocol.early.append(protocol.undecoded)
            self._on_unusual(worker)
            return
        if commands:
            self._dispatcher.execute(commands)
        if self._hub.has_listeners:
            self._hub.publish(
                events.ItemsFinished(
                    now, worker.id, worker.pid, index=index, count=1, since=since, job=job.number
                )
            )
        if takes_values:
            tally = worker.tally
            tally.count += 1
            if now >= tally.due or following is None or following.job is not job:
                tally.hand_over(ended, index, since, now, goes_on=following is not None)
            job.put(index, value)  # last: the map may be over with it
        else:
            origin = Origin(
                worker.id, worker.pid, since, now, each=protocol.seconds_each, slot=worker.place
            )
            origin.peak_memory, origin.memory = worker.memory.peak, worker.memory.take()
            job.deliver(ended, [value], origin)
            ended.forget()

    def _take_run(self, worker: Worker) -> list[Answered] | None:
        return take_run(self._core, self._dispatcher, self._peaks, worker)

    def _await_end(self, worker: Worker) -> None:
        """It has closed its stdout: most likely it exits."""
        core = self._core
        with core.lock:
            self._dispatcher.unwatch(worker)
        if not worker.protocol.answers_by_exit:
            see_to_stdout(core, worker)

    def _on_unusual(self, worker: Worker) -> None:
        """What has come is not one whole answer; or it is, and something else is not as usual."""
        core = self._core
        with worker.io:
            answers = worker.protocol.early_answers()
            if worker.stderr.read():
                core.loop.post(partial(self.on_stderr, worker))
        attribution = worker.attribution
        if answers and attribution.held is not None:  # more than it was asked for
            held, attribution.held = attribution.held[0], None
            self.complete(worker, held + answers)
        elif answers and (
            worker.trial.left
            or (attribution.state is not PROMPT and core.scheduler.policy.window == 1)
        ):
            attribution.hold(answers)
            worker.trial.hold(worker.process)
            core.loop.later(LINGER, partial(self.release_held, worker))
        elif answers:
            self.complete_all(worker, answers)
        if worker.protocol.fault() is not None:
            core.decide(partial(core.scheduler.kill, worker.id, ExitReason.PROTOCOL))
        elif worker.has_ended:
            self._await_end(worker)

    def on_stderr(self, worker: Worker) -> None:
        """Something can be read from a worker's stderr."""
        core = self._core
        with core.lock:
            slot = core.scheduler.slots.get(worker.id)
            state = None if slot is None else slot.state
            if state is WorkerState.LEASED:  # it belongs to the thread that has the worker
                worker.attribution.is_unheard = True
                return
        with worker.io:
            more = not worker.is_closed and worker.stderr.read()
            is_idle = state is WorkerState.IDLE and not worker.protocol.answers_by_exit
            if is_idle and worker.stderr.take():
                worker.attribution.caught()
        if more:
            core.loop.post(partial(self.on_stderr, worker))
        if worker.attribution.held is not None and worker.trial.probe is None:
            core.loop.later(LATE_PAUSE, partial(self.release_held, worker))

    def release_held(self, worker: Worker) -> None:
        """Late stderr was awaited long enough, or has come; on trial, does it await input again?"""
        with worker.io:
            if worker.attribution.held is None:
                return
            wait = 0.0 if worker.has_ended else worker.trial.wait()
            answers = [] if wait else self.take_held(worker)
        if wait:
            self._core.loop.later(wait, partial(self.release_held, worker))
        elif answers:
            self.complete(worker, answers)

    def take_held(self, worker: Worker) -> list[Any]:
        """With its `io`: the answers of a worker that were held, and what has come since."""
        learns = self._core.scheduler.policy.window == 1
        answers = worker.attribution.release(learns=learns)
        if worker.trial.probe is not None and not worker.is_closed:
            worker.trial.passed()
            answers += worker.protocol.receive_all()
        return answers

    def complete_all(self, worker: Worker, answers: list[Any]) -> None:
        """As `complete`; between two runs of answers the worker has given the rest of one back."""
        scheduler = self._core.scheduler
        if worker.prefetching is None:
            if answers:
                self.complete(worker, answers)
            return
        for run, returned in worker.prefetching.runs(answers):
            if run:
                self.complete(worker, run)
            if returned:
                decision = partial(scheduler.given_back, worker.id, singly=returned.singly)
                self._dispatcher.relieve(worker, decision)

    def complete(self, worker: Worker, answers: list[Any]) -> None:
        """Answers have come: see whose they are, let the worker go on, and hand them over."""
        core = self._core
        values, plain = worker.protocol.decode(answers)
        failed = [] if plain else list(filter(has_failed, values))
        retires = any(map(asks_to_retire, failed))
        if retires:
            failed = [answer for answer in failed if not asks_to_retire(answer)]
        now = monotonic()
        if now >= worker.memory.due:
            self._peaks.look(worker, now, len(values))
        with core.lock:
            slot = core.scheduler.slots[worker.id]
            since = slot.since
            running = slot.inflight[0] if slot.inflight else None
            commands: list[Command] = []
            if len(values) > slot.load or not worker.protocol.is_clean:
                reason = surplus.end_reason(worker, slot, len(values))
                if reason is not None:
                    commands = core.scheduler.kill(worker.id, reason, now)
                    if surplus.spoil(worker, answers, values, slot.load):
                        plain, failed = False, list(filter(has_failed, values))
            if retires:
                commands += core.scheduler.retire(worker.id, ExitReason.RETIRED, now)
            commands += core.scheduler.answered(worker.id, len(values), now, len(failed))
            if not slot.load and worker.listening.state is EXPECTING:  # not taken back meanwhile
                worker.listening.on(ListeningEvent.SETTLED)
            self._dispatcher.stage(commands)
            core.lock.notify_all()
        if running is not None:
            worker.tally.settle(running, since)
        origin = Origin(worker.id, worker.pid, since, now, worker.item_stderr(), plain, len(failed))
        origin.each, origin.slot = worker.protocol.seconds_each, worker.place
        origin.peak_memory, origin.memory = worker.memory.peak, worker.memory.take()
        origin.skipped = worker.protocol.take_skipped()
        self._dispatcher.execute(commands)
        if not plain:
            self._hub.note_prints(worker.id, values)
        if failed:
            own = origin.stderr if failed[-1].stderr is None else failed[-1].stderr
            self._hub.remember(format_reply_error(failed[-1]), worker.id, worker, own)
        begin = 0
        for batch in [command.batch for command in commands if type(command) is Done]:
            end = begin + len(batch)
            hand_out(core, self._hub, worker, Answered(batch, values[begin:end], origin), retires)
            begin = end
        if begin < len(values):
            self._hub.report_unsolicited(worker, repr(values[begin]).encode())
        elif not slot.load and not worker.protocol.is_clean:
            self._hub.report_unsolicited(worker, worker.protocol.unfinished().raw or b"")
        weigh(self._core, worker)
