"""The environment variables by which a pool tells a worker what it has to know.

All workers have them, whatever program they run; their child processes inherit them.
"""

from __future__ import annotations

SLOT_VARIABLE, WORKER_VARIABLE = "PROCESSPOOL_SLOT", "PROCESSPOOL_WORKER"
POOL_VARIABLE = "PROCESSPOOL_POOL"
"""Tell who this worker is: the index of its slot, its number, and the name of its pool."""

CODEC_VARIABLE = "PROCESSPOOL_CODEC"
"""Names the codec of the pool; for workers under `serve`."""

READY_VARIABLE = "PROCESSPOOL_READY_FD"
"""The descriptor on which the pool is told that this worker is ready, and more: the channel. Where
it is no socket, what is told is a newline; and a dot with the number of the last answer, after
which nothing is begun."""
