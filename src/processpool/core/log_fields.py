"""What the log records of this package carry for handlers and formatters, as their `extra`."""

from __future__ import annotations


def log_fields(
    pool: str | None = None, worker: int | None = None, item: int | None = None
) -> dict[str, str | int | None]:
    """Return the attributes of a record: the pool's name, the worker's number, the item's index.

    All three are there in any case, so that a format may name them.
    """
    return {"pool": pool, "worker_id": worker, "item": item}
