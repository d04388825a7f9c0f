"""Sending the lines of a file or a stream through a pool, in order.

Reading a regular file does not block, so `imap` reads lines as it needs them, which is fastest. A
pipe or terminal may have no input for hours while an answer is due: there a separate thread reads
lines, so that no answer waits for the next line.

In both cases, the number of lines read ahead is bounded.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from processpool.api.feed import Feed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from processpool.api.pool import ProcessPool
    from processpool.cli.lines import Messages
    from processpool.core.outcome import Outcome


def outcomes(
    pool: ProcessPool,
    messages: Messages,
    *,
    blocking: bool,
    ordered: bool,
    options: Mapping[str, Any],
) -> Iterator[Outcome]:
    """The outcomes of all messages.

    Args:
        pool: an open pool.
        messages: what to send.
        blocking: whether reading them may take arbitrarily long.
        ordered: whether they come in the order of the messages.
        options: further arguments of `imap`.
    """
    source = Feed(messages) if blocking else messages
    run = pool.imap if ordered else pool.imap_unordered
    for outcome in run(source, details=True, on_error="return", **options):
        error = messages.refused.pop(outcome.index, None)
        yield outcome if error is None else replace(outcome, error=error)
