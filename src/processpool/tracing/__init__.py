"""Recordings of a pool's events: as a trace file for Perfetto or Chrome, and as a figure.

    events ─▶ recorder (spans and marks) ─▶ chrome (trace events, into a file)
                                        └─▶ figure (SVG)

`pool.trace("run.json")` starts a recording; `with pool.tracing("run.json"):` also ends it. Memory
is bounded: the file is written continuously, and a figure shows the last few thousand spans.
"""

from processpool.tracing.trace import Trace as Trace
from processpool.tracing.trace import plot_records as plot_records

__all__ = ["Trace", "plot_records"]
