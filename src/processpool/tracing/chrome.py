"""Conversion of facts to Chrome trace events, for Perfetto and chrome://tracing.

The format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU (JSON
array; times in microseconds; `X` is a span, `i` a mark, `C` a counter, `M` a name). Workers appear
as threads of the pool's process, and marks of the whole pool on thread 0, since Perfetto drops the
details of marks without a thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processpool.tracing.recorder import Born, Died, Mark, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processpool.tracing.recorder import Fact

TraceEvent = dict[str, Any]
COLOURS = {"bad": "terrible", "start": "yellow"}
"""The colours of kinds of marks and spans, by the names that viewers define."""


def opening(name: str, pid: int) -> Iterator[TraceEvent]:
    """Yield the events at the beginning of a trace of the pool `name`."""
    common = {"ph": "M", "pid": pid, "tid": 0, "ts": 0}
    yield {**common, "name": "process_name", "args": {"name": f"pool {name}"}}
    yield {**common, "name": "thread_name", "args": {"name": "the pool"}}
    yield {**common, "name": "thread_sort_index", "args": {"sort_index": -1}}


def trace_events(fact: Fact, began: float, pid: int) -> Iterator[TraceEvent]:
    """Yield the trace events of one fact; `began` is the time of the trace's beginning."""
    match fact:
        case Span():
            yield _span(fact, began, pid)
        case Mark():
            yield _mark(fact, began, pid)
        case Born(worker, at, worker_pid, alive):
            name = f"worker {worker} (pid {worker_pid})"
            named = {"ph": "M", "pid": pid, "tid": worker, "ts": 0}
            yield {**named, "name": "thread_name", "args": {"name": name}}
            yield {**named, "name": "thread_sort_index", "args": {"sort_index": worker}}
            yield _counter(at, alive, began, pid)
        case Died(_, at, alive):
            yield _counter(at, alive, began, pid)


def _span(span: Span, began: float, pid: int) -> TraceEvent:
    begin = _micros(span.begin, began)
    event: TraceEvent = {
        "name": span.name,
        "cat": span.kind,
        "ph": "X",
        "ts": begin,
        "dur": _micros(span.end, began) - begin,  # the rounded ends, so that no spans overlap
        "pid": pid,
        "tid": span.worker,
    }
    if span.kind in COLOURS:
        event["cname"] = COLOURS[span.kind]
    if span.kind == "item":
        event["args"] = {"map": span.job, "index": span.index, "items": span.count}
        if span.failed:
            event["args"]["failed"] = span.failed
            event["cname"] = COLOURS["bad"]
    return event


def _mark(mark: Mark, began: float, pid: int) -> TraceEvent:
    event: TraceEvent = {
        "name": mark.name,
        "cat": mark.kind,
        "ph": "i",
        "s": "t",
        "ts": _micros(mark.at, began),
        "pid": pid,
        "tid": mark.worker or 0,
    }
    if mark.kind in COLOURS:
        event["cname"] = COLOURS[mark.kind]
    if mark.details:
        event["args"] = {"details": mark.details}
    return event


def _counter(at: float, alive: int, began: float, pid: int) -> TraceEvent:
    common = {"name": "workers", "ph": "C", "pid": pid, "tid": 0}
    return {**common, "ts": _micros(at, began), "args": {"alive": alive}}


def _micros(at: float, began: float) -> int:
    return max(round((at - began) * 1e6), 0)
