"""A pool that reports its single requests; its maps are followed by what `follow` was told."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from processpool.api.names import name_of
from processpool.api.pool import ProcessPool
from processpool.api.timing import when_ended
from processpool.otel.carriers import traceparent

if TYPE_CHECKING:
    from processpool.api.call_forms import Call
    from processpool.api.futures import PoolFuture
    from processpool.core.terms import Terms
    from processpool.otel.tracing import Tracing
    from processpool.wire.python.functions import Request


class TracedPool(ProcessPool):
    """What `instrument` makes of a pool: only such a pool asks whether it is to be traced."""

    reporting: Tracing
    """What it reports."""

    def _called(self, args: tuple[Any, ...]) -> str:
        """Return the name of what is called."""
        name = name_of(self.config, None)
        if not name and args:
            name = getattr(args[0], "__qualname__", "").rpartition("<locals>.")[2]
        return name

    if not TYPE_CHECKING:  # their types are those of `ProcessPool`

        def call(self, /, *args, **kwargs):
            """Like that of any pool, in a span of its own."""
            if self.config.worker.kind == "command" and self._engine.policy.single_use:
                return self.submit(*args, **kwargs).result()  # whose process is told of its span
            with self.reporting.calling(self._called(args)):
                return super().call(*args, **kwargs)

        async def acall(self, /, *args, **kwargs):
            """Like that of any pool, in a span of its own."""
            with self.reporting.calling(self._called(args)):
                return await super().acall(*args, **kwargs)

    def _packed(self, call: Call) -> Request:
        """Return an item as it travels, below the current span."""
        payload, task = super()._packed(call)
        return payload, self.reporting.within(task)

    def _submit(
        self, request: Request, call: Call, *, streamed: bool = False, terms: Terms | None = None
    ) -> PoolFuture[Any]:
        """Hand in a request, in a span that ends with it."""
        payload, task = request
        span = self.reporting.submitting(name_of(self.config, task))
        if span is None:
            return super()._submit(request, call, streamed=streamed, terms=terms)
        request = payload, self.reporting.within(task, span)
        terms = replace(terms or self._terms, within=traceparent(span))
        try:
            future = super()._submit(request, call, streamed=streamed, terms=terms)
        except BaseException:
            self.reporting.submitted(span, None)
            raise
        when_ended(future, partial(self.reporting.submitted, span))
        return future


@cache
def _class_below(kind: Any) -> Any:
    body = {"__module__": kind.__module__, "__doc__": kind.__doc__}
    return type(kind.__name__, (TracedPool, kind), body)


def traced_class(kind: type[ProcessPool]) -> type[ProcessPool]:
    """Return the class of a traced pool that is of this class otherwise."""
    found: type[ProcessPool] = kind if issubclass(kind, TracedPool) else _class_below(kind)  # type: ignore[arg-type]
    return found
