from __future__ import annotations

import json
from typing import Any

import pytest

from processpool.tracing.chrome import opening
from tests.tracing.checker import read

SPAN = {"name": "a", "cat": "item", "ph": "X", "ts": 0, "dur": 10, "pid": 7, "tid": 0}


def trace(*events: dict[str, Any]) -> str:
    lines = [json.dumps(event) for event in [*opening("demo", 7), *events]]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def test_a_trace_that_is_right_is_read() -> None:
    nested = {**SPAN, "ts": 2, "dur": 8}
    after = {**SPAN, "ts": 10}
    assert len(read(trace(SPAN, nested, after))) == 6


@pytest.mark.parametrize(
    "wrong",
    [
        {**SPAN, "ts": 1.5},
        {**SPAN, "ts": -1},
        {**SPAN, "dur": True},
        {**SPAN, "pid": "7"},
        {**SPAN, "ph": "B"},
        {**SPAN, "name": ""},
        {**SPAN, "tid": 3},
        {**SPAN, "pid": 8},
        {**SPAN, "more": 1},
        {**SPAN, "cname": "red"},
        {**SPAN, "ts": 5},
        {key: value for key, value in SPAN.items() if key != "dur"},
        {"name": "c", "ph": "C", "ts": 0, "pid": 7, "tid": 0, "args": {"n": "1"}},
        {"name": "c", "ph": "C", "ts": 0, "pid": 7, "tid": 0, "args": {}},
        {"name": "m", "cat": "note", "ph": "i", "ts": 0, "s": "x", "pid": 7, "tid": 0},
        {"name": "thread_name", "ph": "M", "ts": 0, "pid": 7, "tid": 0, "args": {"name": 1}},
    ],
)
def test_whatever_is_wrong_is_found(wrong: dict[str, Any]) -> None:
    with pytest.raises((AssertionError, KeyError)):
        read(trace(SPAN, wrong))


def test_a_trace_may_only_lack_its_closing_bracket() -> None:
    whole = trace(SPAN)
    cut = whole.removesuffix("\n]\n")
    assert len(read(cut, cut_off=True)) == 4
    with pytest.raises(AssertionError):
        read(cut)
    with pytest.raises((AssertionError, json.JSONDecodeError)):
        read(cut[:-5], cut_off=True)
