"""Reads a trace as strictly as any viewer does, and says what is wrong with it.

The rules are those of the Chrome trace event format's JSON array, narrowed to what Perfetto's
importer shows: spans of a thread that overlap without being nested are dropped there, and not all
of its readers know escapes of the form `\\uXXXX`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

TraceEvent = dict[str, Any]

KEYS = {
    "X": {"name", "cat", "ph", "ts", "dur", "pid", "tid"},
    "i": {"name", "cat", "ph", "ts", "s", "pid", "tid"},
    "C": {"name", "ph", "ts", "pid", "tid", "args"},
    "M": {"name", "ph", "ts", "pid", "tid", "args"},
}
OPTIONAL = {"X": {"args", "cname"}, "i": {"args", "cname"}, "C": set(), "M": set()}
METADATA = {"process_name": ("name", str), "thread_name": ("name", str),
            "thread_sort_index": ("sort_index", int)}  # fmt: skip
COLOURS = {"good", "bad", "terrible", "yellow", "olive", "grey", "black", "white"}
LARGEST = {"ts": 2**53, "dur": 2**53, "pid": 2**32, "tid": 2**32}


def read(text: str, *, cut_off: bool = False) -> list[TraceEvent]:
    """The events of a trace that breaks no rule.

    Args:
        text: the file.
        cut_off: the process was killed, and the closing bracket is missing.
    """
    assert "\\u" not in text
    assert text.startswith("[\n")
    assert text.endswith("}" if cut_off else "}\n]\n")
    events: list[TraceEvent] = json.loads(text + "]" if cut_off else text)
    assert text.count("\n") == len(events) + (0 if cut_off else 2), "an event is a line"
    for event in events:
        check_event(event)
    check_names(events)
    check_lanes(events)
    return events


def check_event(event: TraceEvent) -> None:
    """Each has exactly the fields of its kind, of the right types."""
    assert isinstance(event, dict)
    phase = event.get("ph")
    assert phase in KEYS, event
    assert KEYS[phase] <= event.keys() <= KEYS[phase] | OPTIONAL[phase], event
    for key in ("name", "cat"):
        assert key not in event or (isinstance(event[key], str) and event[key]), event
    for key in LARGEST.keys() & event.keys():
        assert type(event[key]) is int, event
        assert 0 <= event[key] < LARGEST[key], event
    assert event["pid"] > 0, event
    assert event.get("s", "t") in ("t", "p", "g"), event
    assert event.get("cname", "good") in COLOURS, event
    assert isinstance(event.get("args", {}), dict), event
    if phase == "C":
        assert event["args"], event
        assert all(type(value) in (int, float) for value in event["args"].values()), event
    if phase == "M":
        key, kind = METADATA[event["name"]]
        assert list(event["args"]) == [key], event
        assert type(event["args"][key]) is kind, event


def check_names(events: Iterable[TraceEvent]) -> None:
    """Every process and every thread in which something happens has a name."""
    named = {(e["name"], e["pid"], e["tid"]) for e in events if e["ph"] == "M"}
    for event in events:
        assert ("process_name", event["pid"], 0) in named, event
        assert ("thread_name", event["pid"], event["tid"]) in named, event


def check_lanes(events: Iterable[TraceEvent]) -> None:
    """The spans of a thread follow each other, or lie within each other."""
    lanes = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            lanes[event["pid"], event["tid"]].append(event)
    for spans in lanes.values():
        around: list[int] = []
        for span in sorted(spans, key=lambda span: (span["ts"], -span["dur"])):
            end = span["ts"] + span["dur"]
            while around and around[-1] <= span["ts"]:
                around.pop()
            assert not around or end <= around[-1], f"overlaps what is before it: {span}"
            around.append(end)
