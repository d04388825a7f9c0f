"""The live display of a pool: its widget, the thread that updates it, and its cell outputs.

What is put into cells is plain HTML, which every viewer can show, and which says of itself when it
was true. The widget has no output of its own: where there is a live page, its front end finds that
HTML by a key, and puts the live view in its place. So whenever a notebook is saved, it holds
something that can be read without a kernel.

A display refers to the pool weakly, so that an unused pool is closed although it is displayed.
"""

from __future__ import annotations

import os
import weakref
from collections import deque
from contextlib import contextmanager, suppress
from html import escape
from secrets import token_hex
from threading import Lock
from time import localtime, monotonic, strftime
from typing import TYPE_CHECKING, Any

from processpool.core.states import PoolState
from processpool.widget import static
from processpool.widget.actions import perform
from processpool.widget.advice import Adviser
from processpool.widget.feed import Feed
from processpool.widget.notebook import has_anywidget, thread_class
from processpool.widget.rows import Wishes
from processpool.widget.strips import Strips
from processpool.widget.updater import Updater

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from processpool.api.view import Followed, PoolView
    from processpool.widget.record import Bundle
    from processpool.widget.view import State
    from processpool.widget.widget import PoolWidget

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
MAX_OUTPUTS = 100
"""The most outputs that are replaced at the end; older ones stay as they are."""
SAVED_EVERY = 10.0
"""Seconds between two versions of the static table, for the notebook's file."""


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
        self._updater = Updater(self._update, self._answer, thread_class())
        self._strips = Strips(publish)
        self._adviser = Adviser()
        self._starting = Lock()
        self._ending = Lock()
        self._before: State = {}
        self._is_over = False
        self._saved_at = 0.0
        self._saved: State = {}
        self.key = token_hex(8)
        """Marks the outputs that the front end makes live."""
        self.final: State | None = None
        """The state that remains visible after the pool was closed; None until then."""

    shows = True
    """It shows maps, in place of progress bars."""

    @property
    def live(self) -> bool:
        """True while the pool's panel is on show: from the first `show` until it is closed."""
        return bool(self._outputs) and not self._is_over

    def show(self) -> None:
        """Show the panel in the output of the running cell."""
        self._start()
        if not self._outputs and self._widget is not None:
            self._widget.send(self._feed.everything(acknowledged=False))
        self._saved_at = monotonic()
        self._outputs.append(self._publish(self._bundle()))

    def model(self) -> PoolWidget | None:
        """Return the widget, for a page that shows it by itself; None if there can be none."""
        self._start()
        if not self._outputs:
            self._outputs.append(Elsewhere())
        return self._widget

    def began(self, run: Followed) -> None:
        """A map has begun, on this thread: its cell shows it if it takes a moment."""
        self._strips.began(run)
        self._updater.start()

    def ended(self, run: Followed) -> None:
        """A map has ended, on this thread."""
        self._strips.ended(run)

    def left(self, run: Followed) -> None:
        """A map was left early: what shows it notices that."""

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

    def _start(self) -> None:
        """Make the widget, if it can be made and there is none, and start the thread."""
        with self._starting:
            if self._widget is None and has_anywidget() and not self._is_over:
                from processpool.widget.widget import PoolWidget

                first = self._feed.everything(acknowledged=False)
                self._widget = PoolWidget(first, self._updater.post, self.key)
        self._updater.start()

    def _bundle(self) -> Bundle:
        """Return the panel as it is now, as plain HTML that the front end can make live."""
        bundle = static_bundle(self._feed.state)
        when = f"as of {strftime('%H:%M:%S', localtime())}"
        html = f"{bundle['text/html']}\n<p><small>{when}</small></p>"
        bundle["text/html"] = f'<div data-processpool="{escape(self.key)}">{html}</div>'
        if self._widget is not None and "VSCODE_PID" in os.environ:
            view = {"version_major": 2, "version_minor": 0, "model_id": self._widget.model_id}
            bundle[WIDGET_VIEW] = view
        return bundle

    def _update(self) -> bool:
        """Take a snapshot and send what has changed; False if the pool is closed or collected."""
        pool = self._pool()
        if pool is None or pool.state is PoolState.CLOSED:
            self._end(pool)
            return False
        if not (self._outputs or self._strips):
            return True
        state = self._feed.state
        if state["order"] and state["state"] != PoolState.CLOSING:
            self._before = state
        if self._outputs:
            snapshot = pool.snapshot(resources=self._feed.next_looks())
            self._adviser.look(pool, snapshot)
            self._feed.advice = self._adviser.line
            frame = self._feed.take(snapshot)
        else:
            frame = self._feed.glance(pool.snapshot(resources=False))
        if frame is not None:
            self._send(frame)
        self._update_strips()
        self._save()
        return True

    def _update_strips(self) -> None:
        feed = self._feed
        if self._strips and feed.last is not None:
            if self._widget is None and any(run.seconds > 0.3 for run in feed.last.maps):
                self._start()
            self._strips.update(
                feed.last.maps, feed.etas, feed.rates, self.key, live=feed.acknowledged
            )

    def _save(self) -> None:
        """Bring the outputs up to date for whoever saves the notebook, now and then."""
        now = monotonic()
        if not self._outputs or now < self._saved_at + SAVED_EVERY:
            return
        self._saved_at = now
        facts = {key: self._feed.state[key] for key in ("state", "ok", "failed", "cancelled")}
        if facts != self._saved:
            self._saved = facts
            bundle = self._bundle()
            for output in self._outputs:
                with suppress(Exception):
                    output.update(bundle, raw=True)

    def _answer(self, message: Any) -> None:
        """Handle a message of the front end: a request for a full frame, or an action."""
        if not isinstance(message, dict):
            return
        if message.get("kind") == "hello":
            self._send(self._feed.everything())
        elif message.get("kind") == "rows":
            wanted = [str(message.get(name, ""))[:80] for name in ("filter", "sort", "search")]
            self._feed.wishes = Wishes(*wanted)
        elif message.get("kind") == "do":
            pool = self._pool()
            answer = {"error": "the pool is gone"} if pool is None else perform(pool, message)
            self._send({"done": message.get("id"), **answer})

    def _send(self, content: dict[str, Any]) -> None:
        if self._widget is not None:
            self._widget.send(content)

    def _end(self, pool: PoolView | None) -> None:
        """Replace every output by a static table and remove the widget, the first time."""
        with self._ending:
            if self._is_over:
                return
            self._is_over = True
        widget, self._widget = self._widget, None
        if pool is not None:
            self._feed.take(pool.snapshot(resources=False))
        self.final = static.final(self._before, self._feed.state)
        bundle = static_bundle(self.final)
        for output in self._outputs:
            with suppress(Exception):
                output.update(bundle, raw=True)
        if widget is not None:
            with suppress(Exception):
                widget.send({"over": True})
                widget.close()


class Elsewhere:
    """Stands for an output that the display does not write to."""

    def update(self, bundle: Bundle, *, raw: bool) -> None:
        """Do nothing."""


def static_bundle(state: State) -> Bundle:
    """Return the static table as text and HTML, which every viewer can show."""
    return {"text/plain": static.to_text(state), "text/html": static.to_html(state)}
