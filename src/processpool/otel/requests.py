"""The spans of single requests: one each while there are few, and one for many beyond that.

A span costs more than a fast request does. So there is an allowance of spans, and what comes beyond
it joins a *run*: requests of one thread, below one span, for one function, within a moment. A run
is one span, which says how many requests it stands for. So every request is in some span.

    caller's span ─┬▶ call resize     one request
                   └▶ calls resize    a run; what is slow or fails in it has a span below that
"""

from __future__ import annotations

from _thread import get_ident
from typing import TYPE_CHECKING, Any

from opentelemetry import context as contexts
from opentelemetry import trace

from processpool.otel.asked import Quiet, Run, Single
from processpool.otel.below import Below

if TYPE_CHECKING:
    from processpool.otel.asked import Asked
    from processpool.otel.below import Traceable
    from processpool.otel.reporter import Reporter

Key = tuple[int, int, str, str]
"""The thread, context, method and name of the function: what the requests of a run share."""


class Requests:
    """The single requests of one pool, as they are traced."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._runs: dict[Key, Asked] = {}
        """Those that requests may join."""

    def asked(self, how: str, pool: Traceable, args: tuple[Any, ...]) -> Asked:
        """Return what makes the next request, and traces it.

        Args:
            how: the method of pools that it is.
            pool: the pool, or a view of it.
            args: what the method was called with; a function comes first.
        """
        what = getattr(args[0], "__qualname__", "") if args else ""
        context = contexts.get_current()
        key = get_ident(), id(context), how, what
        run = self._runs.get(key)
        if run is not None and run.is_open:
            return run
        reporter = self._reporter
        reporter.endings.wake()
        has_own = reporter.allowance.take()
        name = pool.called(what)
        span = reporter.start(f"{how if has_own else how + 's'} {name}")
        if not span.is_recording():
            run = Quiet(reporter, span, context)
        elif has_own:
            return Single(reporter, span, context)
        else:
            run = Run(reporter, span, context, f"{how} {name}")
        self._runs[key] = run
        reporter.endings.put(lambda: self._close(key, run))
        return run

    def here(self) -> Below:
        """Return the place of requests that are below the current span, and have none."""
        travels = self._reporter.travels
        return Below(trace.get_current_span(), contexts.get_current(), travels=travels)

    def _close(self, key: Key, run: Asked) -> None:
        """Nothing joins it any more."""
        run.close()
        if self._runs.get(key) is run:
            del self._runs[key]
