"""A handler under `serve` that looks at the trace that its message is in."""

import sys
from collections.abc import Iterator
from typing import Any

from processpool import serve


def handle(message: str) -> Any:
    match message:
        case "imported":
            return "opentelemetry" in sys.modules
        case "parts":
            return parts()
    from tests.process.workers import traced

    if not traced.exported:
        traced.export_in_memory()
    match message.split():
        case ["ended"]:
            return traced.ended_here()
        case ["now"]:
            return traced.span_of_now()
        case ["fail"]:
            traced.fail_within(5)
        case ["span", number]:
            return traced.with_span(int(number))
    raise ValueError(message)


def parts() -> Iterator[Any]:
    from tests.process.workers import traced

    for number in range(3):
        yield traced.with_span(number)


if __name__ == "__main__":
    serve(handle)
