"""The live display of a pool: its widget, the thread that updates it, and its cell outputs.

It refers to the pool weakly, so that an unused pool is closed although it is displayed. When the
pool is closed, every output is replaced by a static table, and the widget is removed.
"""

from __future__ import annotations

import weakref
from collections import deque
from contextlib import contextmanager, suppress
from threading import Lock
from typing import TYPE_CHECKING, Any

from processpool.core.states import PoolState
from processpool.widget import static
from processpool.widget.actions import perform
from processpool.widget.feed import Feed
from processpool.widget.updater import Updater

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from processpool.api.view import PoolView
    from processpool.widget.view import State
    from processpool.widget.widget import PoolWidget

Bundle = dict[str, Any]
"""A MIME bundle: the same content by MIME type."""

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
MAX_OUTPUTS = 100
"""The most outputs that are replaced at the end; older ones stay as they are."""


class Display:
    """The live display of one pool."""

    def __init__(self, pool: PoolView, publish: Callable[[Bundle], Any]) -> None:
        """`publish` adds a bundle to the running cell's output, and returns a handle to it."""
        self._publish = publish
        self._pool = weakref.ref(pool)
        self._feed = Feed()
        self._feed.take(pool.snapshot(resources=False))
        self._widget: PoolWidget | None = None
        self._outputs: deque[Any] = deque(maxlen=MAX_OUTPUTS)
        self._updater = Updater(self._update, self._answer)
        self._ending = Lock()
        self._before: State = {}
        self.final: State | None = None
        """The state that remains visible after the pool was closed; None until then."""

    @property
    def live(self) -> bool:
        """True while the widget exists: from the first `show` until the pool is closed."""
        return self._widget is not None

    def show(self) -> None:
        """Show the widget in the output of the running cell."""
        from processpool.widget.widget import PoolWidget

        if self._widget is None:
            self._widget = PoolWidget(self._feed.everything(acknowledged=False), self._updater.post)
            self._updater.start()
        view = {"version_major": 2, "version_minor": 0, "model_id": self._widget.model_id}
        bundle: Bundle = {WIDGET_VIEW: view, **static_bundle(self._feed.state)}
        self._outputs.append(self._publish(bundle))

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Return a context to close the pool in: the display is updated before it, ended after."""
        self._feed.read_next()
        self._updater.look_now()
        self._before = self._feed.state
        try:
            yield
        finally:
            pool = self._pool()
            if pool is not None and pool.state is PoolState.CLOSED:
                self._updater.stop()
                self._end(pool)

    def _update(self) -> bool:
        """Take a snapshot and send what has changed; False if the pool is closed or collected."""
        pool = self._pool()
        if pool is None or pool.state is PoolState.CLOSED:
            self._end(pool)
            return False
        state = self._feed.state
        if state["order"] and state["state"] != PoolState.CLOSING:
            self._before = state
        frame = self._feed.take(pool.snapshot(resources=self._feed.next_looks()))
        if frame is not None:
            self._send(frame)
        return True

    def _answer(self, message: Any) -> None:
        """Handle a message of the front end: a request for a full frame, or an action."""
        if not isinstance(message, dict):
            return
        if message.get("kind") == "hello":
            self._send(self._feed.everything())
        elif message.get("kind") == "do":
            pool = self._pool()
            error = "the pool is gone" if pool is None else perform(pool, message)
            self._send({"done": message.get("id"), "error": error})

    def _send(self, content: dict[str, Any]) -> None:
        if self._widget is not None:
            self._widget.send(content)

    def _end(self, pool: PoolView | None) -> None:
        """Replace every output by a static table and remove the widget, the first time."""
        with self._ending:
            widget, self._widget = self._widget, None
        if widget is None:
            return
        if pool is not None:
            self._feed.take(pool.snapshot(resources=False))
        self.final = static.final(self._before, self._feed.state)
        bundle = static_bundle(self.final)
        for output in self._outputs:
            with suppress(Exception):
                output.update(bundle, raw=True)
        self._outputs.clear()
        with suppress(Exception):
            widget.close()


def static_bundle(state: State) -> Bundle:
    """Return the static table as text and HTML, which every viewer can show."""
    return {"text/plain": static.to_text(state), "text/html": static.to_html(state)}
