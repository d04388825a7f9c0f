"""Resolution of plain (unquoted) YAML scalars to values.

Two rules hold here. A number or date that YAML 1.1 and 1.2 read differently (`010`, `1:30`) stays
text, so that nobody gets a number they did not write. And where text is required (`env`), a scalar
that *either* version would read as something else is reported, so that it can be quoted.
"""

from __future__ import annotations

import re

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})
_FALSE = frozenset({"no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})

_INT = re.compile(r"[-+]?(0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|0b[01_]+)")
_FLOAT = re.compile(
    r"[-+]?([0-9][0-9_]*\.[0-9_]*([eE][-+]?[0-9]+)?|\.[0-9][0-9_]*([eE][-+]?[0-9]+)?"
    r"|[0-9][0-9_]*[eE][-+]?[0-9]+)"
)
_SPECIAL = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan"}
_NUMBER_IN_SOME_VERSION = re.compile(
    r"[-+]?([0-9][0-9_]*|0o[0-7]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?")

Value = None | bool | int | float | str


def resolve(text: str) -> Value:
    """Return the value of the plain scalar `text`."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    try:
        if _INT.fullmatch(text):
            return int(text, 0)
        if _FLOAT.fullmatch(text):
            return float(text)
        return float(_SPECIAL.get(text.lower(), "")) if text.lower() in _SPECIAL else text
    except ValueError:  # "1__0", or more digits than Python converts
        return text


def not_text(text: str) -> str | None:
    """Return the type that some YAML version reads `text` as, such as "a date"; None for text."""
    value = resolve(text)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if _DATE.fullmatch(text):
        return "a date"
    return (
        "a number"
        if not isinstance(value, str) or _NUMBER_IN_SOME_VERSION.fullmatch(text)
        else None
    )
