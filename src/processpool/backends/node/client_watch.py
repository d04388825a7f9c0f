"""Whether a pool's process is still there, as seen from a node: it may be killed and say nothing.

Dask goes on to have the plugin of a client that has left, on its nodes and on those that join.
"""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import Any, Protocol

LOOK_EVERY = 5.0
"""Seconds between two looks."""
GRACE = 30.0
"""Seconds that a client may be away: it may have lost its connection, and come back."""


class Host(Protocol):
    """What a node's pool needs of the Dask worker that it lives in."""

    address: str
    contact_address: str
    name: object
    loop: Any
    scheduler: Any

    def log_event(self, topic: str, msg: object) -> None:
        """Send a message to whoever has subscribed to the topic; may be called on any thread."""


class ClientWatch:
    """Removes a pool's plugin from all nodes when the pool's process is gone."""

    def __init__(self, host: Host, client: str, plugin: str) -> None:
        """Begin with a client that is there; both names are Dask's."""
        self._host = host
        self._client = client
        self._plugin = plugin
        self._looked_at = self._seen = monotonic()

    def tick(self) -> None:
        """Look, if it is time to; on any thread."""
        now = monotonic()
        if now - self._looked_at >= LOOK_EVERY:
            self._looked_at = now
            self._host.loop.add_callback(self._look)

    async def _look(self) -> None:
        with suppress(Exception):  # the scheduler is just not reached
            events = await self._host.scheduler.events(topic=self._client)
            if not has_left(events):
                self._seen = monotonic()
            elif monotonic() - self._seen >= GRACE:
                await self._host.scheduler.unregister_worker_plugin(name=self._plugin)


def has_left(events: Any) -> bool:
    """True if the last that Dask has noted of a client is that it left; it forgets all in time."""
    actions = [message.get("action") for _, message in events if isinstance(message, dict)]
    known = [action for action in actions if action in ("add-client", "remove-client")]
    return known[-1] == "remove-client" if known else not events
