"""A worker of a program that says more than it was asked: notifications, log lines.

Complete messages that are no answers do no harm, whenever they come; they are in the record of the
item that they came with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processpool.engine.workers.command import CommandWorker

if TYPE_CHECKING:
    from processpool.system.process import Process
    from processpool.wire.codecs import Codec
    from processpool.wire.framing.declaration import Declaration


class TalkativeWorker(CommandWorker):
    """A program whose framing skips messages."""

    def __init__(
        self, number: int, process: Process, protocol: Declaration, codec: Codec, ready: int
    ) -> None:
        super().__init__(number, process, protocol, codec, ready)
        self._notes = True
        self._whole = _never
        self._decode_skipped = codec.decode_any

    def _begin(self, *payloads: tuple[bytes, ...]) -> None:
        """Note requests that are about to be written."""
        if len(self._open) <= 1:  # what came before is no business of theirs
            self.framing.take_skipped()
        super()._begin(*payloads)

    def _read_unasked(self) -> bytes:
        """What it has written though nobody asked, unless that is no answer to anything."""
        data = super()._read_unasked()
        return data if data and (self.feed(data) or self.fault() is not None) else b""

    @property
    def is_clean(self) -> bool:
        """True unless an error ends it: what has come of a message need not be an answer."""
        return self.framing.error is None and (self._errors is None or not self._errors.spent)

    @property
    def has_surplus(self) -> bool:
        """True if it has broken the rules."""
        return self.framing.error is not None

    def item_skipped(self) -> tuple[Any, ...]:
        """Messages that came during the last request and were no answers."""
        return tuple(map(self._decode_skipped, self.framing.take_skipped()))

    def dump_stacks(self) -> bool:
        """Tell it that its answer is not awaited any more; False where there is no such message."""
        told = self.framing.take_cancellation()
        if told:
            self.write_on(told)
        return bool(told)


def _never(data: bytes) -> None:
    """Instead of `Framing.whole`: what comes is not looked at as if it were one answer."""
