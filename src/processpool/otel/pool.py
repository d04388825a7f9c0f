"""A pool that reports its single requests; its maps are followed by what `follow` was told."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from processpool.api.names import name_of
from processpool.api.pool import ProcessPool
from processpool.otel.below import FormBelow
from processpool.otel.carriers import traceparent

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from processpool.otel.tracing import Tracing


class TracedPool(ProcessPool):
    """What `instrument` makes of a pool: only such a pool asks whether it is to be traced."""

    reporting: Tracing
    """What it reports."""
    untraced_class: type[ProcessPool]
    """What it was before."""

    def untraced(self, context: Context | None) -> ProcessPool:
        """Return a view that reports nothing; its items are below the span of this context."""
        terms, form, kind = self._terms, self._form, self.untraced_class
        if context is not None:
            form = FormBelow(form, context)
            if self.config.worker.kind == "command":
                terms = replace(terms, within=traceparent(trace.get_current_span(context)))
        view: ProcessPool = self.on_terms(self._timeout, terms, kind=kind, form=form)
        return view

    def called(self, what: str) -> str:
        """Return the name of what is called, for which a function's qualified name is given."""
        return name_of(self.config, None) or what.rpartition("<locals>.")[2]

    if not TYPE_CHECKING:  # their types are those of `ProcessPool`

        def call(self, /, *args, **kwargs):
            """Like that of any pool, in a span."""
            __tracebackhide__ = True
            return self.reporting.requests.asked("call", self, args).call(self, args, kwargs)

        async def acall(self, /, *args, **kwargs):
            """Like that of any pool, in a span."""
            __tracebackhide__ = True
            return await self.reporting.requests.asked("call", self, args).acall(self, args, kwargs)

        def submit(self, /, *args, **kwargs):
            """Like that of any pool, in a span that ends with the future."""
            __tracebackhide__ = True
            return self.reporting.requests.asked("submit", self, args).submit(self, args, kwargs)

        def broadcast(self, /, *args, **kwargs):
            """Like that of any pool, below the current span."""
            return self.reporting.requests.here().view(self).broadcast(*args, **kwargs)


@cache
def _class_below(kind: Any) -> Any:
    body = {"__module__": kind.__module__, "__doc__": kind.__doc__, "untraced_class": kind}
    return type(kind.__name__, (TracedPool, kind), body)


def traced_class(kind: type[ProcessPool]) -> type[ProcessPool]:
    """Return the class of a traced pool that is of this class otherwise."""
    found: type[ProcessPool] = kind if issubclass(kind, TracedPool) else _class_below(kind)  # type: ignore[arg-type]
    return found
