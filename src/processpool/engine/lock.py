"""The lock of an engine: threads can wait for changes, and event loops can be called back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.system.monitor import Monitor

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.system.monitor import Wait


class EngineLock(Monitor):  # type: ignore[misc]
    """A monitor that also calls callbacks for room in the queue, as many as there is room for."""

    def __init__(self, wait: Wait, room: Callable[[], int]) -> None:
        """`wait` as for a monitor; `room` returns the free room, and is called under the lock."""
        super().__init__(wait)
        self._room = room
        self._callbacks: dict[Callable[[], None], None] = {}

    def notify_all(self) -> None:
        """Wake every waiting thread, and call callbacks if there is room."""
        if self._bells:
            super().notify_all()
        if self._callbacks:
            self._call()

    def call_when_room(self, callback: Callable[[], None]) -> None:
        """Call `callback` once there is room; under the lock, so it must return at once."""
        with self:
            self._callbacks[callback] = None
            self._call()

    def forget(self, callback: Callable[[], None]) -> None:
        """Withdraw `callback`, or confirm that its caller has used the room; call the next ones."""
        with self:
            self._callbacks.pop(callback, None)
            self._call()

    def _call(self) -> None:
        for _ in range(min(self._room(), len(self._callbacks))):
            callback = next(iter(self._callbacks))
            del self._callbacks[callback]
            callback()
