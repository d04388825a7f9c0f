"""What clients and workers agree on: the right answers, and the file that says who ran what.

Workers append the numbers of their items to it, each in one write.
"""

from __future__ import annotations

import struct
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LEDGER_VARIABLE = "STRESS_LEDGER"
NOTE = struct.Struct("<Q")


def read_runs(path: Path) -> Counter[int]:
    """How often each item was run."""
    return Counter(number for (number,) in NOTE.iter_unpack(path.read_bytes()))


def answer_to(message: str) -> str:
    """The right answer."""
    return message[::-1]
