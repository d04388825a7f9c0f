"""Ends of answers that a program can be made to say: marks, tried language by language."""

from __future__ import annotations

import secrets
from itertools import product
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from processpool.cli.candidates import SHORT, START, has_error, repeats, trouble
from processpool.cli.guesses import prompt_of, said_in
from processpool.cli.idioms import BETWEEN, IDIOMS, Idiom
from processpool.wire.framing.presets import PRESETS

if TYPE_CHECKING:
    from processpool.cli.candidates import Worker
    from processpool.cli.guesses import Guess
    from processpool.cli.program import Program, Way


_SHORT_PROMPT = 3
"""Characters of a prompt up to which other prompts, and answers, are likely to end like it."""


PATIENCE = 30.0
"""Seconds that are given to all the languages together."""


class _Said(NamedTuple):
    """What a program says when it is told to say a mark: the line, and all that follows."""

    idiom: Idiom
    line: str
    is_clean: bool
    """True if it says the mark and nothing before it or beside it."""


def marked(program: Program, way: Way, banner: bytes, weak: Guess | None) -> Worker | None:
    """Return the declaration by which a program says a mark, if it can be made to.

    Args:
        program: the program.
        way: how its output is had.
        banner: what it writes at its start.
        weak: what else its answers may end with.
    """
    program.tell("trying to make it say a mark")
    unclean = []
    end = monotonic() + PATIENCE
    for number, idiom in enumerate(IDIOMS):
        if monotonic() > end:
            program.tell(f"  it takes long: {number} of {len(IDIOMS)} languages were tried")
            return None
        said = _said(program, way, idiom)
        if said is None:
            continue
        if not said.is_clean:
            unclean.append(said)
            continue
        worker = _tried(program, way, banner, said)
        if worker is not None:
            break
    else:
        tried = (_tried(program, way, banner, said) for said in unclean)
        worker = next(filter(None, tried), None)
    if worker is None:
        program.tell("  it cannot be made to" + (", so that must do" if weak else ""))
        return None
    if repeats(worker, program.samples[0]):
        program.tell("  its answers repeat what it is told: see whether an option stops that")
        if weak is not None and len(prompt_of(banner)) > _SHORT_PROMPT:
            program.tell("  the prompt is the better end, then")
            return None
    return worker


def _tried(program: Program, way: Way, banner: bytes, said: _Said) -> Worker | None:
    """The declaration with a mark said in this way, if the samples are answered."""
    ends = dict.fromkeys((prompt_of(banner) + said.line, said.line))
    betweens = dict.fromkeys((said.idiom.before, *BETWEEN))
    for end, between in product(ends, betweens):
        request = "{message}" + between + said.idiom.text + "\n"
        worker = program.declared(way, banner, request, {"until": end})
        if trouble(worker, program.samples, program.tell) is None:
            program.tell(f"  it does, as in {said.idiom.language}")
            with_errors = {**worker["protocol"], **_errors_of(said.idiom)}
            if has_error({**worker, "protocol": with_errors}):
                worker["protocol"] = with_errors
            return worker
    return None


def _said(program: Program, way: Way, idiom: Idiom) -> _Said | None:
    """What it says to this; None if that holds no mark."""
    mark = "pp" + secrets.token_hex(8)
    with program.session(way) as session:
        session.listen(START)
        session.write(idiom.text.replace("{mark}", mark).encode() + b"\n")
        heard = session.listen(SHORT)
        if heard.ended:
            return None
    output = heard.stdout.decode("utf-8", "replace")
    line = said_in(output, mark, idiom.text)
    if line is None:
        return None
    is_clean = output.startswith(f"{mark}\n") and line.count(mark) == 1
    return _Said(idiom, line.replace(mark, "{mark}"), is_clean)


def _errors_of(idiom: Idiom) -> dict[str, Any]:
    """What errors look like in that language."""
    protocol = PRESETS[idiom.preset].protocol if idiom.preset else {}
    return {key: protocol[key] for key in ("error", "error_stderr") if key in protocol}
