"""`processpool probe`: finds out by experiment how a program talks, and writes the YAML.

What was tried and seen goes to stderr, the YAML to stdout. Whatever is proposed has been tried: the
samples were asked through it, twice, and each had one answer. What cannot be found out is said.
"""

from __future__ import annotations

import os
import secrets
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

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
from processpool.cli.guesses import Guess, guess, last_words
from processpool.cli.idioms import IDIOMS, REQUESTS
from processpool.cli.presets import flow
from processpool.cli.session import Session
from processpool.system.awaiting import Stance
from processpool.wire.framing.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from processpool.cli.idioms import Idiom

_ADVICE = (
    "perhaps it takes the message as an argument: {message} in worker.command, and "
    "protocol: oneshot"
)


class Way(NamedTuple):
    """How the output of a program is had."""

    name: str
    prefix: tuple[str, ...] = ()
    stdout: str = "pipe"


PLAIN = Way("as it is")
STDBUF = Way("under stdbuf -oL", ("stdbuf", "-oL"))
PTY = Way("with a terminal as its output", stdout="pty")
"""The ways, in the order in which they are tried."""


class Unknown(Exception):
    """It could not be found out."""


class Probing:
    """The experiments with one command."""

    def __init__(
        self, command: Sequence[str], samples: Sequence[str], tell: Callable[[str], None]
    ) -> None:
        """`tell` is told what is tried, and what is seen."""
        self._command = tuple(command)
        self._samples = [sample.encode() for sample in samples]
        self._tell = tell
        self._env: dict[str, str] = {}

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
            self._tell(f"{program} is known: trying protocol {name}")
            worker: dict[str, Any] = {**self._worker(PLAIN), "protocol": name}
            if preset.env:
                worker["env"] = dict(preset.env)
            if preset.codec != "text":
                worker["codec"] = preset.codec
            wrong = trouble(worker, self._samples, self._tell)
            if wrong is None:
                self._tell("  it fits")
                return worker
            self._tell(f"  it does not fit: {wrong}")
            self._tell(f"  (it would, started as {' '.join(preset.command)})")
        return None

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
            worker = self._marked(way, banner, None)
            if worker is not None:
                return worker
            break
        if buffers:
            worker = {**self._worker(PLAIN), "protocol": "oneshot"}
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
        with self._session(way) as session:
            start = session.listen(START)
            show(self._tell, "  at its start", start)
            for sample in self._samples:
                if session.exit_in_words is not None:
                    break
                session.write(sample + b"\n")
                heard = session.listen(ANSWER)
                show(self._tell, f"  to {sample.decode()!r}", heard)
                outputs.append(heard.stdout)
                if heard.stance is Stance.SLEEPS and not heard.stdout:
                    raise Unknown(f"it does not read its input; {_ADVICE}")
            late = b""
            ended = session.exit_in_words or ""
            if not any(outputs) and not ended:
                session.end_input(SHORT)
                late = session.listen(ANSWER, to_the_end=True).stdout
        return start.stdout, outputs, late, ended

    def _as_argument(self, why: str) -> dict[str, Any]:
        """It does not wait for its input: does it take the message as an argument?"""
        self._tell(f"  {why}; trying the message as an argument")
        outputs = []
        for argument in ([], *([sample.decode()] for sample in self._samples)):
            worker = self._worker(PLAIN)
            worker["command"] += argument
            with Session(built(worker)[0]) as session:
                session.end_input(SHORT)
                heard = session.listen(ANSWER, to_the_end=True)
                if argument and (session.exit_status or not heard.stdout):
                    raise Unknown(f"{why}; {_ADVICE}")
                outputs.append(heard.stdout)
        if outputs[0] in outputs[1:]:
            raise Unknown(f"{why}, and does not care for arguments; {_ADVICE}")
        worker = {**self._worker(PLAIN), "protocol": "oneshot"}
        worker["command"].append("{message}")
        return worker

    def _from_outputs(self, way: Way, banner: bytes, outputs: list[bytes]) -> dict[str, Any]:
        """The program answers to lines: where do the answers end?"""
        found = guess(outputs)
        if found is not None:
            self._tell(f"  {found.why}{', which is not much to rely on' if found.weak else ''}")
        if found is None or found.weak:
            worker = self._marked(way, banner, found)
            if worker is not None:
                return worker
        if found is not None:
            worker = self._declared(way, banner, "{message}\n", found.answer)
            wrong = trouble(worker, self._samples, self._tell)
            if wrong is None:
                return worker
            self._tell(f"  but that does not hold: {wrong}")
        raise Unknown(
            "no end of its answers was found: they were "
            + ", ".join(map(shown, outputs))
            + "; more and other samples may show it"
        )

    def _marked(self, way: Way, banner: bytes, weak: Guess | None) -> dict[str, Any] | None:
        """The declaration by which it says a mark, if it can be made to."""
        self._tell("trying to make it say a mark")
        mark = "pp" + secrets.token_hex(8)
        for idiom in IDIOMS:
            line = self._said(way, idiom, mark)
            if line is None:
                continue
            request = "{message}" + idiom.before + idiom.text + "\n"
            answer = {"until": line.replace(mark, "{mark}") + "\n"}
            worker = self._declared(way, banner, request, answer)
            worker["protocol"].update(_errors_of(idiom))
            if trouble(worker, self._samples, self._tell) is None:
                self._tell(f"  it does, as in {idiom.language}")
                return worker
        self._tell("  it cannot be made to" + (", so that must do" if weak else ""))
        return None

    def _said(self, way: Way, idiom: Idiom, mark: str) -> str | None:
        """The line in which it says the mark; None if it does not."""
        with self._session(way) as session:
            session.listen(START)
            session.write(idiom.text.replace("{mark}", mark).encode() + b"\n")
            heard = session.listen(SHORT)
            if heard.ended:
                return None
        for line in heard.stdout.decode("utf-8", "replace").split("\n")[:-1]:
            bare = line.strip(" \r\"'>")
            if bare == mark or (line.endswith(mark) and idiom.text.split("{mark}")[0] not in line):
                return line
        return None

    def _other_requests(self) -> dict[str, Any]:
        """Nothing answers to a line: other ways to write a request."""
        self._tell("trying other ways to write a request")
        for request, name in REQUESTS.items():
            outputs = self._answers_to(request)
            found = guess(outputs)
            if found is None:
                continue
            worker = self._declared(PLAIN, b"", request, found.answer)
            if request.startswith("1;"):
                worker["protocol"] = "framed"
            if trouble(worker, self._samples, self._tell) is None:
                self._tell(f"  it answers to {name}; {found.why}")
                return worker
        for name in ("lsp", "mcp"):
            worker = {**self._worker(PLAIN), "protocol": name, "codec": "json"}
            with Session(built(worker)[0]) as session:
                dialogue = Dialogue(session, built(worker)[1])
                if not dialogue.begin(ANSWER)[1]:
                    self._tell(f"  it answers to the handshake of {name}")
                    return worker
        raise Unknown(
            "it answers to nothing that was tried: lines, marks, lengths, the end of its input; "
            f"the sample may be unfinished for it (a semicolon?), or {_ADVICE}"
        )

    def _answers_to(self, request: str) -> list[bytes]:
        worker = self._declared(PLAIN, b"", request, {"lines": 1})
        command, declaration = built(worker)
        outputs = []
        with Session(command) as session:
            dialogue = Dialogue(session, declaration)
            session.listen(START)
            for sample in self._samples:
                session.write(b"".join(dialogue.framing.encode(sample)))
                outputs.append(session.listen(SHORT).stdout)
        return outputs

    # -- trying what was found -----------------------------------------------------------------

    def _worker(self, way: Way) -> dict[str, Any]:
        worker: dict[str, Any] = {"kind": "command", "command": [*way.prefix, *self._command]}
        if way.stdout != "pipe":
            worker["stdout"] = way.stdout
        return worker

    def _declared(
        self, way: Way, banner: bytes, request: str, answer: dict[str, Any]
    ) -> dict[str, Any]:
        protocol: dict[str, Any] = {}
        if banner:
            with self._session(way) as session:
                again = session.listen(START).stdout
            text = last_words(banner, again)
            if text:
                protocol["start"] = [{"expect": text}]
        if request != "{message}\n":
            protocol["request"] = request
        protocol["answer"] = answer
        return {**self._worker(way), "protocol": protocol}

    def _session(self, way: Way) -> Session:
        worker = {**self._worker(way), "protocol": "lines"}
        return Session(built(worker)[0], terminal=way.stdout == "pty")


def _errors_of(idiom: Idiom) -> dict[str, Any]:
    """What errors look like in that language."""
    protocol = PRESETS[idiom.preset].protocol if idiom.preset else {}
    return {key: protocol[key] for key in ("error", "error_stderr") if key in protocol}


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
