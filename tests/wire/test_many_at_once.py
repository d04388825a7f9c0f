"""Many messages at once are encoded and decoded as they are one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processpool.api.call_forms import MessageForm
from processpool.errors import ProcessPoolError
from processpool.wire.codecs import make_codec
from processpool.wire.framing.lines import LinesFraming

if TYPE_CHECKING:
    from collections.abc import Callable

MOST = 40
"""The longest line that is allowed, in bytes."""
MESSAGES = st.lists(st.one_of(st.text(max_size=50), st.binary(max_size=50), st.integers()))


def one_by_one(codec: str, messages: list[Any], most: int) -> tuple[list[Any], str]:
    """The requests up to the first that cannot be made, or so many bytes, and why it cannot."""
    framing, encode = LinesFraming(MOST), make_codec(codec).encode
    requests: list[Any] = []
    for message in messages:
        try:
            requests.append(framing.encode(encode(message)))
        except ProcessPoolError as error:
            return requests, str(error)
        if sum(len(part) for request in requests for part in request) >= most:
            break
    return requests, ""


@pytest.mark.parametrize("codec", ["text", "bytes", "json"])
@given(messages=MESSAGES, most=st.integers(1, 200))
def test_a_chunk_of_a_map_is_what_its_items_are(codec: str, messages: list[Any], most: int) -> None:
    form = MessageForm(LinesFraming(MOST), make_codec(codec))
    requests, size, error = form.many("map", (messages,)).pack(messages, most)
    assert (requests, str(error or "")) == one_by_one(codec, messages, most)
    assert size == sum(len(part) for request in requests for part in request)


def outcome(decode: Callable[..., list[Any]], *arguments: Any) -> list[Any] | str:
    """The values, or the error in words."""
    try:
        return decode(*arguments)
    except ProcessPoolError as error:
        return repr(error)


@pytest.mark.parametrize("codec", ["text", "bytes", "json"])
@given(payloads=st.lists(st.one_of(st.binary(max_size=9), st.just(b'"\xc3\xa4"'))))
def test_answers(codec: str, payloads: list[bytes]) -> None:
    chosen = make_codec(codec)
    assert outcome(chosen.decode_many, payloads) == outcome(
        lambda: [chosen.decode(payload) for payload in payloads]
    )
