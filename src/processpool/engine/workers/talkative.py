"""A program that says more than it was asked: notifications, log lines.

Complete messages that are no answers do no harm, whenever they come; they are in the record of the
item that they came with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processpool.engine.workers.command import CommandProtocol

if TYPE_CHECKING:
    from processpool.engine.workers.channel import Channel
    from processpool.engine.workers.readiness import Readiness
    from processpool.engine.workers.stderr import StderrLog
    from processpool.wire.codecs import Codec
    from processpool.wire.framing.declaration import Declaration


class TalkativeProtocol(CommandProtocol):
    """A protocol whose framing skips messages."""

    def __init__(
        self,
        channel: Channel,
        declaration: Declaration,
        codec: Codec,
        stderr: StderrLog,
        readiness: Readiness,
    ) -> None:
        super().__init__(channel, declaration, codec, stderr, readiness)
        self._notes = True
        self._whole = _never
        self._decode_skipped = codec.decode_any

    def _begin(self, *payloads: tuple[bytes, ...]) -> None:
        """Note requests that are about to be written."""
        if len(self._open) <= 1:  # what came before is no business of theirs
            self._framing.take_skipped()
        super()._begin(*payloads)

    def unsolicited(self, data: bytes) -> bytes:
        """What of this, which came though nobody had asked, may be an answer."""
        return data if data and (self.feed(data) or self.fault() is not None) else b""

    @property
    def is_clean(self) -> bool:
        """True unless an error ends it: what has come of a message need not be an answer."""
        return self._framing.error is None and (self._errors is None or not self._errors.spent)

    @property
    def has_surplus(self) -> bool:
        """True if it has broken the rules."""
        return self._framing.error is not None

    def take_skipped(self) -> tuple[Any, ...]:
        """Messages that came during the last request and were no answers."""
        return tuple(map(self._decode_skipped, self._framing.take_skipped()))

    def dump_stacks(self) -> bool:
        """Tell it that its answer is not awaited any more; False where there is no such message."""
        told = self._framing.take_cancellation()
        if told:
            self._channel.write_on(told)
        return bool(told)


def _never(data: bytes) -> None:
    """Instead of `Framing.whole`: what comes is not looked at as if it were one answer."""
