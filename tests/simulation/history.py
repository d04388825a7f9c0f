"""One history: everything in it follows from its seed."""

from __future__ import annotations

import traceback
from random import Random
from typing import TYPE_CHECKING, Any

from processpool.core.states import PoolState
from processpool.engine.workers.listening import Listening
from processpool.engine.workers.owner import Owner
from tests.simulation.kernel import kernel
from tests.simulation.machine import Fault, Task, machine
from tests.simulation.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.programs import Program

LONGEST = 5000
"""Steps after which a history that does not end is one that never will."""
CHECKED_EVERY = 4
"""Turns of threads after which the counts are checked; what is wrong with them stays so."""
LATEST = 100_000.0
"""Seconds of simulated time after which somebody waits for ever."""


class History:
    """Drives one world by chance, then lets it come to its end."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        machine.reset(seed)
        kernel.reset()
        machine.random = random
        kernel.capacity = random.choice((6, 64, 1 << 16, 1 << 16))
        machine.switch_rate = random.choice((0.0, 0.0, 0.05, 0.3))
        self.world = World(random)
        self.steps = random.choice((4, 8, 8, 12, 24))
        self.trouble = random.choice((0.0, 0.03, 0.15))
        """How often a program misbehaves."""
        self.log: list[str] | None = None
        self._closing = False
        self._unchecked = 0
        world = self.world
        self._clients: list[Callable[[], object]] = [
            world.submit, world.submit, world.submit, world.map, world.map, world.call, world.call,
            world.lease, world.lease, world.cancel, world.cancel, world.pause, world.resume,
            world.resume, world.resize, world.restart, world.renew, world.drain, world.wait_ready,
            world.look, world.reset,
        ]  # fmt: skip

    def run(self) -> None:
        """From the opening to the end.

        Raises:
            Fault: something was not as it is to be.
        """
        self._open()
        for _ in range(self.steps):
            self._step()
        if not self._closing and self.random.random() < 0.5:
            self._recover()
            self._until_quiet()
        self._end()

    def _open(self) -> None:
        def open_it() -> None:
            self.world.engine.open(0, 1.0)

        self.world.start(open_it)
        while not self.world.engine._core.is_open:
            self._run(self.random.choice(machine.tasks))

    def _step(self) -> None:
        """Something happens."""
        random = self.random
        dice = random.random()
        if dice < 0.35:
            if self._closing or random.random() < 0.97:
                client = random.choice(self._clients)
            else:
                client = random.choice((self.world.close, self.world.kill))
                self._closing = True
            self._note(f"client: {client.__name__}")
            self.world.start(client)
            self._run(machine.tasks[-1])
        elif dice < 0.65:
            self._let_a_program_act()
        elif dice < 0.95:
            self._let_threads_run(random.randint(1, 6))
        else:
            self._let_time_pass()

    def _let_threads_run(self, most: int) -> bool:
        """Up to so many threads go on; False if none could."""
        for number in range(most):
            runnable = [task for task in machine.tasks if task.is_runnable]
            if not runnable:
                if not number:
                    self.world.auditor.check_quiet(self.world.engine)
                return number > 0
            self._run(self.random.choice(runnable))
        return True

    def _let_a_program_act(self) -> None:
        random = self.random
        programs = [p for p in self.world.programs if p.status is None]
        if not programs:
            return
        program = random.choice(programs)
        if random.random() < self.trouble:
            acts: list[tuple[str, Callable[[], object]]] = [
                ("dies", lambda: program.end(-11)),
                ("is killed", lambda: program.end(-9)),
                ("exits", lambda: program.end(3)),
                ("hangs", lambda: setattr(program, "is_hung", True)),
                ("turns stubborn", lambda: setattr(program, "is_stubborn", True)),
                ("has children", lambda: setattr(program, "has_children", True)),
                ("complains", program.complain),
            ]
            if program.is_ready:
                acts += [("closes stdin", program.close_stdin)]
                acts += [("closes stdout", program.close_stdout)]
            if program.is_idle and program.stdin.has_reader and self._is_let_alone(program):
                whole = random.random() < 0.5
                acts += [("strays", lambda: program.stray(whole=whole))] * 2
            name, act = random.choice(acts)
            self._note(f"program {program.pid} {name}")
            act()
        elif program.can_act:
            self._note(f"program {program.pid} acts")
            program.act(random, whole=random.random() < 0.7)

    def _is_let_alone(self, program: Program) -> bool:
        """True if nobody has just looked whether it writes unasked, and is about to write to it.

        What it wrote in that moment nothing could tell from an answer; nor what it writes where
        the next request may be on its way already.
        """
        core = self.world.engine._core
        window = core.scheduler.policy.window
        workers: list[Any] = list(core.workers.values())
        return any(
            worker.pid == program.pid
            and worker.io.is_free
            and worker.owner.state in (Owner.POOL, Owner.WARM)
            and (window == 1 or worker.listening.state is Listening.SILENT)
            for worker in workers
        )

    def _let_time_pass(self) -> bool:
        """Until the next time that somebody waits for; False if nobody does."""
        times = [task.deadline for task in machine.tasks if task.deadline is not None]
        if not times or min(times) > machine.now + LATEST:
            return False
        machine.now = max(machine.now, min(times))
        self._note(f"it is {machine.now:.3f}")
        return True

    def _run(self, task: Task) -> None:
        self._note(f"thread {task.name} goes on")
        machine.run(task)
        engine = self.world.engine
        lock: Any = engine._core.lock
        self._unchecked += 1
        if lock.is_free and (self._unchecked >= CHECKED_EVERY or self.log is not None):
            self._unchecked = 0
            self.world.auditor.check(engine)

    # -- the end -----------------------------------------------------------------------------------

    def _recover(self) -> None:
        """All is well from now on: whoever waits is to have what they wait for."""
        self.trouble = 0.0
        self.world.start_fails = 0.0
        for program in self.world.programs:
            program.is_hung = program.is_stubborn = False
        self._note("all is well")
        self.world.start(self.world.resume)

    def _until_quiet(self) -> None:
        """Until every client has what it waits for."""
        self._until(lambda: all(task.name in PERMANENT for task in machine.tasks))

    def _end(self) -> None:
        self._recover()
        if not self._closing:
            self.world.start(self.random.choice((self.world.close, self.world.kill)))
        self._until(lambda: not machine.tasks)
        if self.world.engine._core.keeper._has_failed:  # type: ignore[attr-defined]
            raise Fault("a turn of the engine failed")
        self.world.auditor.check_end(self.world.engine)

    def _until(self, is_over: Callable[[], bool]) -> None:
        for _ in range(LONGEST):
            if is_over():
                return
            if self.world.engine.state is PoolState.PAUSED:  # by one who came late
                self.world.start(self.world.resume)
            acting = [program for program in self.world.programs if program.can_act]
            if acting and self.random.random() < 0.5:
                program = self.random.choice(acting)
                program.act(self.random, whole=True)
            elif not self._let_threads_run(10) and not acting and not self._let_time_pass():
                raise Fault(f"these wait for ever:\n{_waiting()}")
            if machine.now > LATEST:
                break
        raise Fault(f"this never ends:\n{_waiting()}")

    def _note(self, what: str) -> None:
        if self.log is not None:
            self.log.append(what)
            print(what, flush=True)


PERMANENT = ("processpool-engine", "processpool-callbacks")
"""Threads that do not end before the pool does."""


def _waiting() -> str:
    """Every thread, and where it waits."""
    lines = []
    for task in machine.tasks:
        lines.append(f"- {task.name}, until {task.deadline}")
        if task.gr_frame is not None:
            lines += traceback.format_stack(task.gr_frame)[-6:-1]
    return "\n".join(lines)
