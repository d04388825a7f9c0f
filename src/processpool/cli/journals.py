"""`processpool journal`: what is in the journal of a run."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from processpool.cli.report import NOBODY_READS, complain, say
from processpool.core.error_groups import ErrorGroups
from processpool.journal.contents import Contents
from processpool.system.units import format_measured

if TYPE_CHECKING:
    from pathlib import Path

MOST_GROUPS = 20
"""Kinds of error that are listed."""


def show_journal(path: Path) -> None:
    """Print how many items were answered, and how others have failed.

    Raises:
        JournalError: it cannot be read, or is damaged.
    """
    contents = Contents(str(path))
    groups, failed = ErrorGroups(), 0
    for item in contents.items.values():
        if (error := item.error) is not None:
            failed += 1
            groups.add(item.index, error)
    size = format_measured(contents.size)
    what = f"{contents.what['kind']} {contents.what['name']}" if contents.what else "nothing yet"
    lines = [
        f"{path}: {what}, {size}",
        f"  answered  {len(contents.items) - failed}",
        f"  failed    {failed}",
    ]
    found = groups.largest_first()
    for group in found[:MOST_GROUPS]:
        lines.append(f"    {group.count} x {group.error}")
        if group.message != group.error:
            lines.append(f"        item {group.index}: {group.message}")
    if len(found) > MOST_GROUPS:
        lines.append(f"    and {len(found) - MOST_GROUPS} other kinds")
    if contents.torn:
        lines.append(f"  its last record is not whole: {contents.torn} bytes")
    say("\n".join(lines))


def export_journal(path: Path) -> None:
    """Print each item as a line of JSON.

    Raises:
        JournalError: it cannot be read, or is damaged.
        SystemExit: nobody reads.
    """
    contents = Contents(str(path))
    try:
        for record in contents.records():
            sys.stdout.write(json.dumps(record) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stdout = None
        raise SystemExit(NOBODY_READS) from None
    if contents.torn:
        complain(f"{path}: its last record is not whole: {contents.torn} bytes are left out")
