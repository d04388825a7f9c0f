"""The choice of the framing for a declaration.

One rule holds here: other modules call `make_framing`, and use the result as a `Framing`.
"""

from __future__ import annotations

from processpool.wire.framing.base import Framing
from processpool.wire.framing.counted_lines import CountedLinesFraming
from processpool.wire.framing.declaration import FRAMED, LINES, Declaration
from processpool.wire.framing.framed import FramedFraming
from processpool.wire.framing.jsonrpc import JsonRpcFraming
from processpool.wire.framing.lengths import LengthFraming
from processpool.wire.framing.lines import LinesFraming
from processpool.wire.framing.oneshot import OneshotFraming
from processpool.wire.framing.until import UntilFraming
from processpool.wire.framing.until_line import UntilLineFraming

__all__ = ["Framing", "make_framing"]


def make_framing(declaration: Declaration) -> Framing:
    """Return a new framing for one worker.

    Raises:
        ValueError: the declaration has a mistake.
    """
    if declaration.rpc is not None:
        rpc = declaration.rpc
        return JsonRpcFraming(rpc.over, declaration.max_message, rpc.cancel)
    if declaration.oneshot is not None:
        return OneshotFraming(declaration)
    said = (declaration.request, declaration.refuse, declaration.answer)
    for known, fast in ((LINES, LinesFraming), (FRAMED, FramedFraming)):
        if said == (known.request, known.refuse, known.answer):
            framing = fast(declaration.max_message)
            framing.exit_message = declaration.exit.encode()
            return framing
    answer = declaration.answer
    if answer.until is not None:
        return UntilFraming(declaration)
    if answer.until_line is not None:
        return UntilLineFraming(declaration)
    if answer.length is not None:
        return LengthFraming(declaration)
    return CountedLinesFraming(declaration)
