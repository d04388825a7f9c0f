"""Escaping of text from workers for terminals, logs and error messages."""

from __future__ import annotations

import re

_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def escape_control(text: str) -> str:
    r"""Return the text with control characters escaped as `\x1b`, except newlines and tabs."""
    return _UNSAFE.sub(_spell, text)


def _spell(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
