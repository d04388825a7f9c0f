"""The pools of the process tests, also for reports."""

from __future__ import annotations

from tests.process.conftest import python_pool

__all__ = ["python_pool"]
