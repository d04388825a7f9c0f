"""A backend for joblib: `import processpool.joblib`, then `parallel_config(backend="processpool")`.

After these lines, tasks run in workers of a pool:

    import processpool.joblib
    from joblib import Parallel, delayed, parallel_config

    with parallel_config(backend="processpool", n_jobs=4):
        Parallel()(delayed(function)(item) for item in items)

Keywords of `ProcessPool` may be given too, such as `limits={"memory": "2GiB"}`.
"""

from __future__ import annotations

from joblib import register_parallel_backend

from processpool.joblib.backend import REUSED, ProcessPoolBackend

__all__ = ["ProcessPoolBackend", "close"]

close = REUSED.close
"""End the workers, which otherwise wait for the next call of `Parallel`, five minutes at most."""

register_parallel_backend("processpool", ProcessPoolBackend)
