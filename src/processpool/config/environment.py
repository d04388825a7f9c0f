"""The environment variables that a declaration gives to workers; read when a pool opens."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from processpool.wire.variables import CODEC_VARIABLE

if TYPE_CHECKING:
    from processpool.config.workers import CommandWorkerConfig, PythonWorkerConfig

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
)
"""The environment variables that set the number of threads of numerical libraries."""


def command_environment(worker: CommandWorkerConfig) -> dict[str, str]:
    """Return the environment of a program: `serve` finds the pool's codec there."""
    return {**build_environment(worker), CODEC_VARIABLE: worker.codec}


def python_environment(worker: PythonWorkerConfig) -> dict[str, str]:
    """Return the environment of a Python worker, which says how many threads libraries may use."""
    env = build_environment(worker)
    if worker.threads is not None:
        for name in THREAD_VARIABLES:
            if name not in worker.env:
                env[name] = str(worker.threads)
    return env


def build_environment(worker: CommandWorkerConfig | PythonWorkerConfig) -> dict[str, str]:
    """Return the environment of a worker: inherited variables, replaced by those of `env`."""
    inherit = worker.inherit_env
    if inherit is True:
        env = dict(os.environ)
    elif inherit is False:
        env = {}
    else:
        env = {name: os.environ[name] for name in inherit if name in os.environ}
    env.update(own_environment(worker))
    return env


def own_environment(worker: CommandWorkerConfig | PythonWorkerConfig) -> dict[str, str]:
    """Return the variables of `worker.env`."""
    return {name: secret.get_secret_value() for name, secret in worker.env.items()}
