"""The live widget: an anywidget model that sends frames to the browser and receives messages.

Its JavaScript and style sheet are files of this package, and are sent inline: the browser fetches
nothing. This module needs the `notebook` extra.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

if TYPE_CHECKING:
    from collections.abc import Callable

SCRIPTS = ("words.js", "store.js", "dom.js", "actions.js", "trends.js", "head.js", "maps.js",
           "failures.js", "table.js", "timeline.js", "crowd.js", "log.js", "strip.js", "mount.js",
           "widget.js")  # fmt: skip
"""The files of the front end's one JavaScript module, in the order of concatenation."""

_front = files("processpool.widget") / "front"


class PoolWidget(anywidget.AnyWidget):
    """The model: frames go out as its messages, and the front end's come in."""

    _esm = "\n".join((_front / name).read_text("utf-8") for name in SCRIPTS)
    _css = (_front / "widget.css").read_text("utf-8")

    first = traitlets.Dict().tag(sync=True)
    """The first frame; later ones are sent as messages."""

    key = traitlets.Unicode().tag(sync=True)
    """Marks the outputs in which the front end shows its views."""

    def __init__(
        self, first: dict[str, Any], on_message: Callable[[Any], None], key: str = ""
    ) -> None:
        """`on_message` is called with every message, on a thread of the kernel: be quick."""
        super().__init__(first=first, key=key)
        self.on_msg(lambda _, content, __: on_message(content))
        answer_anywhere(self.comm)

    def close(self) -> None:
        """Remove the widget from every page, and its layout model, which would leak otherwise."""
        layout = self.layout
        super().close()
        if layout is not None:
            layout.close()


def answer_anywhere(comm: object) -> None:
    """Have messages from the front end handled while a cell blocks the main shell.

    ipykernel 7.4 routes them to the shell that last published on this comm, which is the blocked
    one. This undoes that, so that they go to a subshell as in 7.1 to 7.3.
    """
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda _, default: default
