"""Makes the workers of programs, each with the protocol of its kind."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from processpool.engine.workers.attribution import LatenessEvent
from processpool.engine.workers.channel import Channel
from processpool.engine.workers.command import CommandProtocol
from processpool.engine.workers.oneshot import OneshotProtocol, TracedOneshot
from processpool.engine.workers.readiness import Readiness
from processpool.engine.workers.stderr import StderrLog
from processpool.engine.workers.talkative import TalkativeProtocol
from processpool.engine.workers.trial import TRIAL, Trial
from processpool.engine.workers.worker import Worker
from processpool.wire.framing.start import StartDialogue

if TYPE_CHECKING:
    from processpool.system.process import Process
    from processpool.wire.codecs import Codec
    from processpool.wire.framing.declaration import Declaration


def command_worker(
    number: int, process: Process, declaration: Declaration, codec: Codec, ready: int
) -> Worker:
    """A worker of a program that has just been started; `ready` is where it may say it is ready."""
    if ready >= 0:
        os.set_blocking(ready, False)
    channel, stderr = Channel(process), StderrLog(process.stderr)
    dialogue = StartDialogue(declaration) if declaration.has_start else None
    readiness = Readiness(ready, dialogue=dialogue)
    kind = TalkativeProtocol if declaration.skips else CommandProtocol
    protocol = kind(channel, declaration, codec, stderr, readiness)
    worker = Worker(number, channel, protocol, readiness, stderr)
    worker.trial = Trial(TRIAL)
    return worker


def oneshot_worker(
    number: int, process: Process, declaration: Declaration, codec: Codec, *, traced: bool
) -> Worker:
    """A worker for one item; if `traced`, its shell waits for the span that this is below."""
    channel, stderr = Channel(process), StderrLog(process.stderr)
    readiness = Readiness(-1)
    kind = TracedOneshot if traced else OneshotProtocol
    protocol = kind(channel, declaration, codec, stderr, readiness)
    worker = Worker(number, channel, protocol, readiness, stderr)
    worker.attribution.on(LatenessEvent.PROVED)  # all that it writes belongs to its item
    return worker
