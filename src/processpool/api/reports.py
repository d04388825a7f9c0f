"""Reports of maps, made by a leaf from what is known of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processpool.api.leaves import leaf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processpool.api.answered import Answered
    from processpool.api.view import Report
    from processpool.core.run_record import RunRecord


def report_of(answered: Answered, **facts: Any) -> Report:
    """Return the report of a map whose outcomes are known.

    Args:
        answered: its answers.
        **facts: what is known besides; see `processpool.report.Told`.

    Raises:
        ValueError: how it has run is not known.
    """
    if answered.run is None:
        raise ValueError("nothing is known of how these items have run")
    known = _known_args(answered)
    return make_report(answered.run, args_of=known, secrets=answered.secrets, **facts)


def _known_args(answered: Answered) -> Any:
    def args_of(index: int) -> tuple[Any, ...]:
        return answered.args(index) if index in answered.indexes else ()

    return args_of


def make_report(
    record: RunRecord,
    *,
    noun: str = "item",
    first: int = 0,
    secrets: Sequence[str] = (),
    **more: Any,
) -> Report:
    """Return the report of a record.

    Args:
        record: how the map has run.
        noun: what an item is called.
        first: the number of the first.
        secrets: texts that must not show.
        **more: what is known besides; see `processpool.report.Told`.
    """
    home = leaf("report")
    told = home.Told(record, home.Naming(noun, first), secrets=secrets, **more)
    report: Report = home.Report(told)
    return report
