"""How throughput, queue and memory went over the last minute: a sample each second.

Front ends sample by themselves what they are sent; this is for one that comes later.
"""

from __future__ import annotations

from collections import deque

SECONDS = 60
"""How far back it goes."""

Sample = list[float]
"""The second on the pool's clock, items per second, queued items, bytes of memory."""


class Trends:
    """The samples of the last minute."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=SECONDS)

    def note(self, at: float, rate: float, queued: int, memory: int) -> None:
        """Take the figures of a time; of one second, the last ones count."""
        sample: Sample = [int(at), rate, queued, memory]
        if self._samples and self._samples[-1][0] == sample[0]:
            self._samples[-1] = sample
        else:
            self._samples.append(sample)

    def all(self) -> list[Sample]:
        """Return the samples, the oldest first; seconds that were not looked at have none."""
        since = self._samples[-1][0] - SECONDS if self._samples else 0
        return [sample for sample in self._samples if sample[0] > since]
