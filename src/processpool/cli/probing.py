"""`processpool probe`: finds out by experiment how a program talks, and writes the YAML.

What was tried and seen goes to stderr, the YAML to stdout. Whatever is proposed has been tried: the
samples were asked through it, twice, and each had one answer. What cannot be found out is said.
"""

from __future__ import annotations

import os
import shlex
import shutil
from typing import TYPE_CHECKING, Any

from processpool.cli.candidates import (
    ANSWER,
    SHORT,
    START,
    built,
    show,
    shown,
    trouble,
    try_nonsense,
)
from processpool.cli.dialogue import Dialogue
from processpool.cli.guesses import guess, prompt_changes
from processpool.cli.idioms import BAD, REQUESTS, SPOKEN
from processpool.cli.marking import marked
from processpool.cli.presets import flow
from processpool.cli.program import PLAIN, PTY, STDBUF, Program, Way
from processpool.cli.session import Session
from processpool.system.awaiting import Stance
from processpool.wire.framing.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


_ADVICE = (
    "perhaps it takes the message as an argument: {message} in worker.command, and "
    "protocol: oneshot"
)


class Unknown(Exception):
    """It could not be found out."""


class Probing:
    """The experiments with one command."""

    def __init__(
        self, command: Sequence[str], samples: Sequence[str], tell: Callable[[str], None]
    ) -> None:
        """`tell` is told what is tried, and what is seen."""
        self._program = program = Program(command, samples, tell)
        self._command, self._samples, self._tell = program.command, program.samples, tell

    # -- what is found -------------------------------------------------------------------------

    def find(self) -> dict[str, Any]:
        """Return the `worker` section for this program.

        Raises:
            Unknown: it cannot be found out; the message says what was seen.
            WorkerStartFailed: the program cannot be started.
        """
        worker = self._by_name() or self._by_experiment()
        try_nonsense(worker, self._samples, self._tell)
        return worker

    def _by_name(self) -> dict[str, Any] | None:
        """The preset that is known for a program of this name, if it works."""
        program = os.path.basename(self._command[0])
        for name, preset in PRESETS.items():
            if program not in preset.programs and preset.command[:2] != self._command[:2]:
                continue
            for command in self._commands(preset.command):
                self._tell(f"{program} is known: trying protocol {name} on {shlex.join(command)}")
                worker = self._program.spoken(name)
                worker["command"] = list(command)
                wrong = trouble(worker, self._samples, self._tell)
                if wrong is None:
                    self._tell("  it fits")
                    return worker
                self._tell(f"  it does not fit: {wrong}")
            self._tell(f"  (what is known is {shlex.join(preset.command)})")
        return None

    def _commands(self, known: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        """The command, and the one with the options that it lacks, if it has no others."""
        yield self._command
        if set(self._command[1:]) < set(known[1:]):
            yield (self._command[0], *known[1:])

    def _by_experiment(self) -> dict[str, Any]:
        buffers = False
        for way in self._ways():
            self._tell(f"starting it {way.name}")
            banner, outputs, late, ended = self._listen_to(way)
            if any(outputs):
                return self._from_outputs(way, banner, outputs)
            if ended and not outputs:
                return self._as_argument(f"it {ended} without waiting for its input")
            if ended:
                self._tell(f"  it {ended}")
                break
            if late:
                buffers = True
                self._tell("  it answered only at the end of its input: it holds its output back")
                continue
            worker = marked(self._program, way, banner, None)
            if worker is not None:
                return worker
            break
        if buffers:
            worker = {**self._program.worker(PLAIN), "protocol": "oneshot"}
            if trouble(worker, self._samples, self._tell) is None:
                self._tell("  nothing but the end of its input makes it answer: oneshot")
                return worker
        return self._other_requests()

    def _ways(self) -> Iterator[Way]:
        yield PLAIN
        if shutil.which("stdbuf") is not None:
            yield STDBUF
        yield PTY

    def _listen_to(self, way: Way) -> tuple[bytes, list[bytes], bytes, str]:
        """What it writes at its start, to each sample, and at the end of its input; its end."""
        outputs: list[bytes] = []
        with self._program.session(way) as session:
            start = session.listen(START)
            show(self._tell, "  at its start", start)
            for sample in self._samples:
                if session.exit_sentence is not None:
                    break
                session.write(sample + b"\n")
                heard = session.listen(ANSWER)
                show(self._tell, f"  to {sample.decode()!r}", heard)
                outputs.append(heard.stdout)
                if heard.stance is Stance.SLEEPS and not heard.stdout:
                    raise Unknown(f"it does not read its input; {_ADVICE}")
            late = b""
            ended = session.exit_sentence or ""
            if not any(outputs) and not ended:
                session.end_input(SHORT)
                late = session.listen(ANSWER, to_the_end=True).stdout
        return start.stdout, outputs, late, ended

    def _as_argument(self, why: str) -> dict[str, Any]:
        """It does not wait for its input: does it take the message as an argument?"""
        self._tell(f"  {why}; trying the message as an argument")
        outputs = []
        for argument in ([], *([sample.decode()] for sample in self._samples)):
            worker = self._program.worker(PLAIN)
            worker["command"] += argument
            with Session(built(worker)[0]) as session:
                session.end_input(SHORT)
                heard = session.listen(ANSWER, to_the_end=True)
                if argument and (session.exit_status or not heard.stdout):
                    raise Unknown(f"{why}; {_ADVICE}")
                outputs.append(heard.stdout)
        if outputs[0] in outputs[1:]:
            raise Unknown(f"{why}, and does not care for arguments; {_ADVICE}")
        worker = {**self._program.worker(PLAIN), "protocol": "oneshot"}
        worker["command"].append("{message}")
        return worker

    def _from_outputs(self, way: Way, banner: bytes, outputs: list[bytes]) -> dict[str, Any]:
        """The program answers to lines: where do the answers end?"""
        found = guess(outputs, banner)
        if found is not None and found.answer.get("lines"):
            nonsense = self._nonsense(way)
            found = guess([*outputs, *nonsense], banner)
            if found is None:
                self._tell(f"  to {BAD!r} it says {shown(nonsense[0])}: another number of lines")
        if found is not None:
            self._tell(f"  {found.why}{', which is not much to rely on' if found.weak else ''}")
        if found is None or found.weak:
            worker = marked(self._program, way, banner, found) or (
                None if found else self._known_to_others()
            )
            if worker is not None:
                return worker
        if found is not None:
            worker = self._program.declared(way, banner, "{message}\n", found.answer)
            wrong = trouble(worker, self._samples, self._tell)
            if wrong is None:
                return worker
            self._tell(f"  but that does not hold: {wrong}")
        said = ", ".join(map(shown, outputs))
        if prompt_changes(outputs, banner):
            raise Unknown(
                f"its prompt changes: first there is {shown(banner.splitlines()[-1])}, and the "
                f"answers were {said}; see whether an option turns its prompt off"
            )
        raise Unknown(
            f"no end of its answers was found: they were {said}; more and other samples may show it"
        )

    def _known_to_others(self) -> dict[str, Any] | None:
        """Does it speak what programs of other names speak?"""
        for name in SPOKEN:
            worker = self._program.spoken(name)
            if trouble(worker, self._samples, self._tell) is None:
                self._tell(f"  it speaks {name}")
                return worker
        return None

    def _nonsense(self, way: Way) -> list[bytes]:
        """What it says to nonsense on stdout, if it says something and lives."""
        with self._program.session(way) as session:
            session.listen(START)
            session.write(BAD.encode() + b"\n")
            heard = session.listen(SHORT)
        return [heard.stdout] if heard.stdout and not heard.ended else []

    def _other_requests(self) -> dict[str, Any]:
        """Nothing answers to a line: other ways to write a request."""
        self._tell("trying other ways to write a request")
        for request, name in REQUESTS.items():
            outputs = self._answers_to(request)
            found = guess(outputs)
            if found is None:
                continue
            worker = self._program.declared(PLAIN, b"", request, found.answer)
            if request.startswith("1;"):
                worker["protocol"] = "framed"
            if trouble(worker, self._samples, self._tell) is None:
                self._tell(f"  it answers to {name}; {found.why}")
                return worker
        for name in ("lsp", "mcp"):
            worker = {**self._program.worker(PLAIN), "protocol": name, "codec": "json"}
            with Session(built(worker)[0]) as session:
                dialogue = Dialogue(session, built(worker)[1])
                if not dialogue.begin(ANSWER)[1]:
                    self._tell(f"  it answers to the handshake of {name}")
                    return worker
        other = self._known_to_others()
        if other is not None:
            return other
        raise Unknown(
            "it answers to nothing that was tried: lines, marks, lengths, the end of its input; "
            f"the sample may be unfinished for it (a semicolon?), or {_ADVICE}"
        )

    def _answers_to(self, request: str) -> list[bytes]:
        worker = self._program.declared(PLAIN, b"", request, {"lines": 1})
        command, declaration = built(worker)
        outputs = []
        with Session(command) as session:
            dialogue = Dialogue(session, declaration)
            session.listen(START)
            for sample in self._samples:
                session.write(b"".join(dialogue.framing.encode(sample)))
                outputs.append(session.listen(SHORT).stdout)
        return outputs


def write_yaml(worker: dict[str, Any]) -> Iterator[str]:
    """The lines of a YAML file with this worker."""
    yield "worker:"
    for key, value in worker.items():
        if key == "protocol" and isinstance(value, dict):
            yield "  protocol:"
            for below, deeper in value.items():
                yield f"    {below}: {flow(deeper)}"
        else:
            yield f"  {key}: {flow(value)}"
