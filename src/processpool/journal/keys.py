"""What an item is known by in a journal: its content, and how many of the same came before it.

bytes          the content itself, of short items
str            a digest of it, of others
(key, n)       the item with that content that was read after `n` others
"""

from __future__ import annotations

from marshal import dumps
from typing import TYPE_CHECKING, Any

from processpool.wire.python.arguments import Pickled

if TYPE_CHECKING:
    from collections.abc import Callable

Key = bytes | str | tuple[bytes | str, int]

SHORT = 64
"""Bytes of content up to which it is its own key."""
STABLE = 2
"""The version of `marshal` that writes equal values alike, whether they are interned or not."""
_KEYS = (str, bytes, int, float, bool, type(None))
"""What a key of the user's may be made of."""


def key_of_bytes(content: bytes) -> bytes | str:
    """Return the key of encoded content."""
    return content if len(content) <= SHORT else _digest([content])


def _digest(parts: list[Any]) -> str:
    from hashlib import blake2b  # only where it is needed: it takes a while to import

    digest = blake2b(parts[0], digest_size=20)
    for part in parts[1:]:
        digest.update(b"%d " % len(part))
        digest.update(part)
    return digest.hexdigest()


def keys_of_arguments(items: list[Any], payloads: list[Any]) -> list[bytes | str]:
    """Return the keys of items of a Python function, which are simple or pickled."""
    if Pickled not in set(map(type, payloads)):
        contents = [dumps(payload, STABLE) for payload in payloads]
        if max(map(len, contents), default=0) <= SHORT:
            return list(contents)
        return [key_of_bytes(content) for content in contents]
    return [
        _key_of_pickled(item, payload)
        if type(payload) is Pickled
        else key_of_bytes(dumps(payload, STABLE))
        for item, payload in zip(items, payloads, strict=False)
    ]


def _key_of_pickled(item: Any, payload: Pickled) -> bytes | str:
    if payload.classes is not None:  # it refers to classes by numbers, which may be others tomorrow
        from processpool.wire.python.class_table import NameTable

        stream, *buffers = NameTable().pack_item(item)
    else:
        stream, buffers = payload.stream, payload.buffers
    return _digest([stream, *buffers]) if buffers else key_of_bytes(stream)


def keys_by(function: Callable[..., Any], items: list[Any], *, spread: bool) -> list[bytes | str]:
    """Return the keys that a function of the user's gives items.

    Args:
        function: takes an item; with `spread`, the arguments that it is made of.
        items: the items.
        spread: whether an item is several arguments.

    Raises:
        TypeError: a key is nothing that stays the same from one run to the next.
    """
    keys = []
    for item in items:
        key = function(*item) if spread else function(item)
        if not _is_lasting(key):
            raise TypeError(
                "journal_key must return a str, bytes or a number, or a tuple of these; got "
                f"{type(key).__name__}"
            )
        keys.append(key_of_bytes(dumps(key, STABLE)))
    return keys


def _is_lasting(key: Any) -> bool:
    return all(map(_is_lasting, key)) if type(key) is tuple else type(key) in _KEYS


class Occurrences:
    """Tells items of the same content apart, in the order in which they are read."""

    def __init__(self) -> None:
        self._seen: set[Any] = set()
        self._again: dict[Any, int] = {}
        """How often those were read that were read more than once."""

    def number(self, keys: list[bytes | str]) -> list[Key]:
        """Return the keys of the next items, each of which is there only once."""
        fresh = set(keys)
        if len(fresh) == len(keys) and self._seen.isdisjoint(fresh):
            self._seen |= fresh
            return list(keys)
        numbered: list[Key] = []
        for key in keys:
            if key in self._seen:
                count = self._again[key] = self._again.get(key, 0) + 1
                numbered.append((key, count))
            else:
                self._seen.add(key)
                numbered.append(key)
        return numbered
