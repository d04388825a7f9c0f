"""A declaration that may fit a program, and whether it does: the samples are asked through it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from processpool.cli.dialogue import Dialogue
from processpool.cli.idioms import BAD, EXITS
from processpool.cli.session import Session
from processpool.config import CommandWorkerConfig, pool_from_dict
from processpool.config.environment import build_environment
from processpool.errors import ConfigError, ProtocolError
from processpool.factory import build_command
from processpool.system.awaiting import Stance
from processpool.wire.framing.template import MARK_SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processpool.cli.dialogue import Asked
    from processpool.cli.session import Heard
    from processpool.system.process import Command
    from processpool.wire.framing.declaration import Declaration

Worker: TypeAlias = dict[str, Any]
"""The `worker` section of a file."""
Tell: TypeAlias = Callable[[str], None]
"""Is told what is tried, and what is seen."""
START, ANSWER, SHORT = 20.0, 8.0, 2.0
"""Seconds that are waited for a start, for an answer, and where none is expected."""
EXIT = 1.5
"""Seconds in which a program should end."""
_SHOWN = 100
_MARK = re.compile(rb"[A-Za-z0-9]{%d,}" % MARK_SIZE)
_BANNER = 3
"""Lines that a first answer has more than the second, from which on they are a banner."""


def built(worker: Worker) -> tuple[Command, Declaration]:
    """Return the command of a declaration, and what its framing is told."""
    config = pool_from_dict({"worker": worker}).worker
    assert isinstance(config, CommandWorkerConfig)
    return replace(build_command(config), env=build_environment(config)), config.declaration


def trouble(worker: Worker, samples: Sequence[bytes], tell: Tell) -> str | None:
    """What is wrong with a declaration; None if each sample had one answer, and again.

    One that does not end with its input is given the words by which it does.
    """
    try:
        command, declaration = built(worker)
    except ConfigError as error:
        return str(error)
    if declaration.oneshot is not None:
        return _trouble_once(worker, samples, tell)
    with Session(command, terminal=worker.get("stdout") == "pty") as session:
        dialogue = Dialogue(session, declaration)
        heard, missing = dialogue.begin(START)
        if missing or heard.stdout:
            return missing or f"at its start it writes {shown(heard.stdout)}"
        answers = []
        marks: set[bytes] = set()
        for sample in [*samples, *samples]:
            try:
                asked = dialogue.ask(sample, ANSWER)
            except ProtocolError as error:
                return str(error)
            if not asked.is_right:
                return _wrong(asked, sample)
            if any(mark in asked.answers[0] for mark in marks):
                return f"to {sample.decode()!r} it says something of the request before, late"
            marks.update(_MARK.findall(asked.request.replace(sample, b"")))
            answers.append(asked.answers[0])
        ended = dialogue.end(EXIT)
    if not any(answers) and declaration.answer.until and not declaration.answer.has_mark:
        return "its answers are empty"
    if not answers[0] and answers[len(samples)]:
        return "its first answer is empty, and the second is not: they come late"
    late = "" if declaration.has_start else _late_banner(answers[0], answers[len(samples)])
    if late:
        if isinstance(worker["protocol"], str):
            return f"its first answer begins with {late}"
        tell(f"  its first answer begins with {late}: it is to be asked once at its start")
        worker["protocol"]["start"] = [{"ask": samples[0].decode()}]
        return trouble(worker, samples, tell)
    if ended is None:
        _find_exit(worker, tell)
    return None


def _late_banner(first: bytes, again: bytes) -> str:
    """What stands before the first answer, and not before the second one to the same message."""
    more = first.count(b"\n") - again.count(b"\n")
    if not again or not (first.endswith(again) or more >= _BANNER):
        return ""
    return shown(first.removesuffix(again)) if first != again else ""


def repeats(worker: Worker, sample: bytes) -> bool:
    """True if an answer holds what the program was told after the message."""
    asked = _asked(worker, sample)
    if asked is None:
        return False
    told = asked.request.strip().rpartition(b"\n")[2]
    return bool(told) and told in b"".join(asked.answers)


def has_error(worker: Worker) -> bool:
    """True if what is declared of errors finds one in the answer to nonsense."""
    declaration = built(worker)[1]
    asked = _asked(worker, BAD.encode()) if declaration.has_errors else None
    if asked is None or not asked.answers:
        return False
    rules = (declaration.error_pattern, declaration.error_stderr_pattern)
    said = (asked.answers[0], asked.heard.stderr)
    return any(
        rule is not None and rule.search(text) for rule, text in zip(rules, said, strict=True)
    )


def _asked(worker: Worker, message: bytes) -> Asked | None:
    """What comes of one message to a new process; None if it cannot be sent."""
    command, declaration = built(worker)
    with Session(command, terminal=worker.get("stdout") == "pty") as session:
        dialogue = Dialogue(session, declaration)
        dialogue.begin(START)
        try:
            return dialogue.ask(message, ANSWER)
        except ProtocolError:
            return None


def _trouble_once(worker: Worker, samples: Sequence[bytes], tell: Tell) -> str | None:
    command, _ = built(worker)
    for sample in samples:
        with Session(command) as session:
            session.write(sample)
            session.end_input(SHORT)
            heard = session.listen(ANSWER, to_the_end=True)
            if session.exit_status and heard.stdout:
                tell(
                    f"  to {sample.decode()!r} it {session.exit_sentence}: such an item fails with "
                    "AnswerError, whose value is the answer"
                )
            if not heard.ended or not heard.stdout:
                return f"to {sample.decode()!r} it says {shown(heard.stdout + heard.stderr)}"
    return None


def _find_exit(worker: Worker, tell: Tell) -> None:
    """It goes on when its input has ended: find the words by which it is left."""
    tell("  it does not end with its input")
    protocol = worker["protocol"]
    if not isinstance(protocol, dict):
        protocol = worker["protocol"] = {"kind": protocol}
    for words in EXITS:
        protocol["exit"] = words
        command, declaration = built(worker)
        with Session(command, terminal=worker.get("stdout") == "pty") as session:
            dialogue = Dialogue(session, declaration)
            dialogue.begin(START)
            if dialogue.end(EXIT) is not None:
                tell(f"  but with {words!r}")
                return
    del protocol["exit"]
    tell(f"  nor with {', '.join(map(repr, EXITS))}: it will be ended by a signal")


def _wrong(asked: Asked, sample: bytes) -> str:
    what = f"to {sample.decode()!r} "
    if asked.broken:
        return what + asked.broken
    if not asked.answers:
        return f"{what}it gives no answer, or no end of one ({shown(asked.heard.stdout)})"
    return f"{what}it says more than one answer ({shown(asked.heard.stdout)})"


def shown(data: bytes) -> str:
    """Return the first of some output, as it is told."""
    return repr(data[:_SHOWN])[1:] + ("…" if len(data) > _SHOWN else "")


def show(tell: Tell, what: str, heard: Heard) -> None:
    """Tell what came in answer to something, and what the program did then."""
    said = shown(heard.stdout) if heard.stdout else "nothing"
    err = f", on stderr {shown(heard.stderr)}" if heard.stderr else ""
    if heard.ended:
        then = "it ended"
    elif not heard.awaits:
        then = f"then it {heard.stance}"
    elif heard.stance is Stance.READS:
        then = "then it awaits input"
    else:
        then = "then it awaits input, it seems"
    tell(f"{what} it says {said}{err}; {then}")


def try_nonsense(worker: Worker, samples: Sequence[bytes], tell: Tell) -> None:
    """Say what becomes of a message that it does not understand."""
    command, declaration = built(worker)
    if declaration.oneshot is not None or declaration.rpc is not None:
        return
    with Session(command, terminal=worker.get("stdout") == "pty") as session:
        dialogue = Dialogue(session, declaration)
        dialogue.begin(START)
        try:
            before = dialogue.ask(samples[0], ANSWER)
            asked = dialogue.ask(BAD.encode(), ANSWER / 2)
        except ProtocolError as error:
            tell(f"of a message that it may not understand nothing is known: {error}")
            return
        show(tell, f"to {BAD!r}, which it may not understand", asked.heard)
        if asked.heard.ended:
            tell("  it dies of it: its item fails, and the worker is replaced")
            return
        if not asked.is_right:
            tell("  there is no whole answer to that: set timeouts.request")
            return
        after = dialogue.ask(samples[0], ANSWER)
    if after.answers == before.answers:
        tell("  the next answer is right")
    else:
        tell("  THE NEXT ANSWER IS ANOTHER THAN BEFORE: it may remember what it was told")
    if asked.heard.stderr and not declaration.has_errors:
        tell("  what is on stderr then could be worker.protocol.error_stderr, a regex")
