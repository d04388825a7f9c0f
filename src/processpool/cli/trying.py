"""`processpool check --try`: one worker is asked, and everything that passes is shown as bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from processpool.cli.dialogue import Dialogue
from processpool.cli.lines import Line, Messages, Unreadable, numbered
from processpool.cli.pools import make_pool
from processpool.cli.report import failure_text, say
from processpool.cli.session import Session
from processpool.config.environment import build_environment
from processpool.errors import AnswerError, CodecError, ProcessPoolError, ProtocolError
from processpool.factory import build_command
from processpool.system.awaiting import Stance
from processpool.wire.codecs import make_codec
from processpool.wire.framing.declared import make_framing
from processpool.wire.framing.oneshot import MESSAGE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from processpool.cli.session import Heard
    from processpool.config import CommandWorkerConfig, PoolConfig
    from processpool.system.process import Command

_SHOWN = 400
"""Bytes of a request or an answer that are shown."""
_LIMIT = 10.0
"""Seconds for an answer, where `timeouts.request` says nothing."""


def try_messages(config: PoolConfig, texts: Sequence[str]) -> bool:
    """Ask one worker, and show what passes; True if each message had its answer, and no more.

    Raises:
        WorkerStartFailed: the program cannot be started.
    """
    worker = config.worker
    messages = Messages(numbered(text.encode() for text in texts), config)
    if worker.kind == "python":
        if worker.handler is None:
            say("  failed   it has no worker.handler: it takes functions, and no messages")
            return False
        return _call(config, list(messages))
    good = True
    for fine, text in _Trial(config, worker).run(list(messages)):
        say(text)
        good = good and fine
    return good


def _call(config: PoolConfig, messages: list[Any]) -> bool:
    """Python workers have no bytes to be shown: only values."""
    good = True
    with make_pool(config) as pool:
        outcomes = pool.map(messages, details=True, on_error="return")
        for message, record in zip(messages, outcomes, strict=True):
            say(f"  message  {message!r}")
            if record.error is None:
                say(f"  value    {record.value!r}")
            else:
                good = False
                line = Line(record.index + 1, repr(message).encode())
                say(f"  failed   {failure_text(line, record.error)}")
            say(f"  stderr   {record.stderr!r}")
            say(f"  time     {record.seconds:.4f} s")
    return good


class _Trial:
    """One program and its declaration."""

    def __init__(self, config: PoolConfig, worker: CommandWorkerConfig) -> None:
        self._declaration = worker.declaration
        self._codec = make_codec("jsonrpc" if self._declaration.rpc else worker.codec)
        self._command = replace(build_command(worker), env=build_environment(worker))
        self._terminal = worker.stdout == "pty"
        self._limit = config.timeouts.request or _LIMIT
        self._start_limit = config.timeouts.start or _LIMIT

    def run(self, messages: Sequence[Any]) -> Iterator[tuple[bool, str]]:
        """Ask all of it; yields lines, each with whether all is well so far."""
        if self._declaration.oneshot is not None:
            for message in messages:
                yield from self._ask_once(message)
            return
        with self._session(self._command) as session:
            dialogue = Dialogue(session, self._declaration)
            yield from self._begin(dialogue)
            for message in messages:
                yield from self._ask(dialogue, message)
                ended = session.exit_sentence
                if ended is not None:
                    yield False, f"  then it {ended}"
                    return
            ended = dialogue.end(_LIMIT)
        if ended is None:
            yield False, "  end      it outlives the end of its input: give worker.protocol.exit"
        else:
            yield True, f"  end      it {ended} when its input ended"

    def _session(self, command: Command) -> Session:
        return Session(command, terminal=self._terminal)

    def _begin(self, dialogue: Dialogue) -> Iterator[tuple[bool, str]]:
        heard, missing = dialogue.begin(self._start_limit)
        if missing:
            yield False, f"  start    {missing}"
        yield True, f"  start    {heard.seconds:.4f} s; {_stance(heard)}"
        if heard.stderr:
            yield True, f"  stderr   {_bytes(heard.stderr)}"
        if heard.stdout:
            yield False, f"  banner   {_bytes(heard.stdout)}: declare it in worker.protocol.start"

    def _ask(self, dialogue: Dialogue, message: Any) -> Iterator[tuple[bool, str]]:
        try:
            asked = dialogue.ask(self._payload(message), self._limit)
        except (CodecError, ProtocolError) as error:
            yield False, f"  refused  {error}"
            return
        heard = asked.heard
        yield True, f"  request  {_bytes(asked.request)}"
        yield bool(asked.answers), f"  answer   {_bytes(heard.stdout)}"
        for answer in asked.answers[:1]:
            yield self._value(answer)
        for surplus in [*asked.answers[1:2], asked.surplus]:
            if surplus:
                yield False, f"  surplus  {_bytes(surplus)}: a request is to have one answer"
        if asked.broken:
            yield False, f"  broken   {asked.broken}"
        elif not asked.answers:
            yield False, f"  failed   no answer in {heard.seconds:.2f} s, or no end of one"
        for skipped in asked.skipped:
            yield True, f"  skipped  {_bytes(skipped)}"
        yield True, f"  stderr   {_bytes(heard.stderr)}"
        pattern = self._declaration.error_stderr_pattern
        if pattern is not None and pattern.search(heard.stderr):
            yield True, "  error    worker.protocol.error_stderr finds it on stderr"
        yield True, f"  time     {heard.seconds:.4f} s; {_stance(heard)}"

    def _payload(self, message: Any) -> bytes:
        if isinstance(message, Unreadable):
            raise CodecError("it is no message for this codec")
        return self._codec.encode(message)

    def _value(self, answer: bytes) -> tuple[bool, str]:
        pattern = self._declaration.error_pattern
        if pattern is not None and pattern.search(answer):
            return True, f"  error    {_bytes(answer)}: worker.protocol.error finds it"
        try:
            return True, f"  value    {self._codec.decode(answer)!r}"
        except AnswerError as error:
            return True, f"  error    {error}"
        except ProcessPoolError as error:
            return False, f"  failed   {error}"

    def _ask_once(self, message: Any) -> Iterator[tuple[bool, str]]:
        """A process for one message."""
        try:
            data = b"".join(make_framing(self._declaration).encode(self._payload(message)))
        except (CodecError, ProtocolError) as error:
            yield False, f"  refused  {error}"
            return
        command = self._command
        if self._declaration.oneshot == "argument":
            data = data[:-1]
            words = (word.replace(MESSAGE, data.decode()) for word in command.argv[1:])
            command = replace(command, argv=(command.argv[0], *words))
        with self._session(command) as session:
            if self._declaration.oneshot == "input":
                session.write(data)
                yield True, f"  request  {_bytes(data)}"
            else:
                yield True, f"  argument {_bytes(data)}"
            session.end_input(self._limit)
            heard = session.listen(self._limit, to_the_end=True)
            status = session.exit_status
            yield status is not None, f"  answer   {_bytes(heard.stdout)}"
            yield True, f"  stderr   {_bytes(heard.stderr)}"
            ended = session.exit_sentence or "did not end"
            if status:
                yield True, "  error    its exit status is not 0: the item fails with AnswerError"
            yield status is not None, f"  time     {heard.seconds:.4f} s; it {ended}"


def _bytes(data: bytes) -> str:
    more = f"… {len(data):,} bytes" if len(data) > _SHOWN else ""
    return f"{data[:_SHOWN]!r}{more}"


def _stance(heard: Heard) -> str:
    if heard.ended:
        return "then it ended"
    if not heard.awaits:
        return f"then it did not await input: it {heard.stance}"
    if heard.stance is Stance.READS:
        return "then it awaited input"
    return f"then it awaited input, as far as can be seen: it {heard.stance}"
