"""What a node takes for the absence of a pool's process."""

from __future__ import annotations

import pytest

from processpool.backends.node.client_watch import has_left

CAME, WENT, SENT = {"action": "add-client"}, {"action": "remove-client"}, {"action": "update-graph"}


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([CAME], False),
        ([CAME, SENT, WENT], True),
        ([CAME, WENT, CAME], False),
        ([SENT, "text"], False),  # its coming was so long ago that it is forgotten
        (["text"], False),
        ([], True),  # all is forgotten, an hour after it has left
    ],
)
def test_a_client_has_left_if_dask_noted_that_last(messages: list[object], expected: bool) -> None:
    assert has_left([(0.0, message) for message in messages]) is expected
