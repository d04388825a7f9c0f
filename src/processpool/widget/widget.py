"""The live widget: one anywidget model, which passes frames to the browser and messages back.

Its JavaScript and style sheet are files of this package, and travel inline: nothing is fetched from
anywhere. This module needs the `notebook` extra.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

if TYPE_CHECKING:
    from collections.abc import Callable

SCRIPTS = ("words.js", "store.js", "dom.js", "actions.js", "head.js", "maps.js", "table.js",
           "timeline.js", "log.js", "widget.js")  # fmt: skip
"""One module in several files, in the order in which they are put together."""

_front = files("processpool.widget") / "front"


class PoolWidget(anywidget.AnyWidget):
    """Shows frames, and hands on what comes from the front end."""

    _esm = "\n".join((_front / name).read_text("utf-8") for name in SCRIPTS)
    _css = (_front / "widget.css").read_text("utf-8")

    first = traitlets.Dict().tag(sync=True)
    """The frame with which it begins; later ones are messages."""

    def __init__(self, first: dict[str, Any], on_message: Callable[[Any], None]) -> None:
        """`on_message` is called with every message, on the kernel's threads: it must be quick."""
        super().__init__(first=first)
        self.on_msg(lambda _, content, __: on_message(content))
        answer_anywhere(self.comm)

    def close(self) -> None:
        """Take it out of every page, its layout too, which would stay behind otherwise."""
        layout = self.layout
        super().close()
        if layout is not None:
            layout.close()


def answer_anywhere(comm: object) -> None:
    """Let messages from the front end be handled while a cell blocks.

    ipykernel 7.4 sends them to the shell that last published on this comm, which is the blocked
    one; without that they go to a subshell, as in 7.1 to 7.3.
    """
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda _, default: default
