"""The lock of an engine: threads wait for changes, and event loops get a call instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.system.monitor import Monitor

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.system.monitor import Wait


class EngineLock(Monitor):  # type: ignore[misc]
    """A monitor that also calls those who wait for room, as many as there is room for."""

    def __init__(self, wait: Wait, room: Callable[[], int]) -> None:
        """`wait` as of a monitor; `room`, called with the lock, says for how many there is room."""
        super().__init__(wait)
        self._room = room
        self._callbacks: dict[Callable[[], None], None] = {}

    @property
    def is_awaited(self) -> bool:
        """True if somebody waits for a change, or to be called."""
        return bool(self._bells or self._callbacks)

    def notify_all(self) -> None:
        """Wake every thread, and call who waits for room."""
        super().notify_all()
        if self._callbacks:
            self._call()

    def call_when_room(self, callback: Callable[[], None]) -> None:
        """Call `callback` once there is room; under the lock, so it must only tell somebody."""
        with self:
            self._callbacks[callback] = None
            self._call()

    def forget(self, callback: Callable[[], None]) -> None:
        """Who asked for a call waits no more, or has used the room: the next may have the rest."""
        with self:
            self._callbacks.pop(callback, None)
            self._call()

    def _call(self) -> None:
        for _ in range(min(self._room(), len(self._callbacks))):
            callback = next(iter(self._callbacks))
            del self._callbacks[callback]
            callback()
