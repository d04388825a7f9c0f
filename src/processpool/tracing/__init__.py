"""What happened in a pool, recorded: as a file for Perfetto or Chrome, and as a figure.

    events ─▶ recorder (spans and marks) ─▶ chrome (trace events, into a file)
                                        └─▶ figure (SVG)

`pool.trace("run.json")` starts a recording, `with pool.tracing("run.json"):` brackets one. Memory
is bounded: the file is written as it goes, and the figure keeps the last few thousand spans.
"""

from processpool.tracing.trace import Trace as Trace

__all__ = ["Trace"]
