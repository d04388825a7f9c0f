"""The framings by the name that a pool's YAML gives them.

One rule holds here: whoever needs a framing asks `make_framing` for it and knows only `Framing`.
"""

from __future__ import annotations

from processpool.wire.framing.base import Framing
from processpool.wire.framing.framed import FramedFraming
from processpool.wire.framing.lines import LinesFraming

__all__ = ["Framing", "make_framing"]

_FRAMINGS: dict[str, type[Framing]] = {"framed": FramedFraming, "lines": LinesFraming}


def make_framing(kind: str, max_message: int) -> Framing:
    """Return a new framing for one worker.

    Args:
        kind: `framed` or `lines`.
        max_message: the most bytes that one request or answer may have.

    Raises:
        ValueError: there is no such framing.
    """
    try:
        framing = _FRAMINGS[kind]
    except KeyError:
        known = ", ".join(_FRAMINGS)
        raise ValueError(f"no framing is called {kind!r}; there are {known}") from None
    return framing(max_message)
