"""A pytest plugin that gives a library's own tests another backend of joblib: `make test-sklearn`.

JOBLIB_BACKEND names it, `processpool` if it is not set. With JOBLIB_JOBS, calls that do not say how
many jobs they want have so many; otherwise joblib runs them where they are made.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Any

import pytest
from joblib import parallel_config

import processpool.joblib

_ended = ExitStack()


def pytest_configure() -> None:
    """Choose the backend for all tests."""
    options: dict[str, Any] = {"backend": os.environ.get("JOBLIB_BACKEND", "processpool")}
    if jobs := os.environ.get("JOBLIB_JOBS"):
        options["n_jobs"] = int(jobs)
    _ended.enter_context(parallel_config(**options))


def pytest_report_header() -> str:
    """Say which it is."""
    return f"joblib: {os.environ.get('JOBLIB_BACKEND', 'processpool')}"


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """End its workers."""
    _ended.close()
    processpool.joblib.close()
