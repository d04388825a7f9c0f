"""`processpool run`: lines in, answers out.

Memory is bounded whatever the length of the input, and the answers come in the order of the lines.
However the run ends - done, interrupted, or because nobody reads the answers any more - no worker
outlives it.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from processpool.api.pool import ProcessPool
from processpool.cli.files import (
    Answers,
    FileError,
    count_lines,
    is_file,
    opened_source,
    read_lines,
    refuse_same,
)
from processpool.cli.lines import Messages, answer_line
from processpool.cli.report import ANSWERED, FAILED, NOBODY_READS, Report, complain
from processpool.cli.stopping import stoppable
from processpool.cli.streams import outcomes
from processpool.config import load_pool
from processpool.errors import CodecError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from processpool.config import PoolConfig
    from processpool.core.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for."""

    config: Path
    source: str
    """The file with the messages; `-` for stdin."""
    output: Path | None
    """The file for the answers; None for stdout."""
    pool: str | None
    overrides: Mapping[str, Any]
    progress: bool
    """Whether a progress bar is welcome."""


def run_pool(request: Request) -> int:
    """Send the lines of the input through the pool.

    Returns:
        The exit status.

    Raises:
        ConfigError: the YAML file, or what was set beside it, does not declare a pool for data.
        ProcessPoolError: the pool cannot do its work.
        Stopped: a signal ended the run.
    """
    config = load_pool(request.config, pool=request.pool, overrides=request.overrides)
    _require_handler(config, request)
    try:
        with stoppable(), opened_source(request.source) as source:
            refuse_same(source, request.output)
            return _run(config, source, request)
    except BrokenPipeError:
        return NOBODY_READS
    except FileError as error:
        complain(str(error))
        return error.status


def _require_handler(config: PoolConfig, request: Request) -> None:
    if config.worker.kind == "python" and config.worker.handler is None:
        raise ConfigError(
            f"{request.config}: pool {config.name} takes functions, and here there are only lines "
            "of input; name the function that answers them: worker.handler: package.module:function"
        )


def _run(config: PoolConfig, source: int, request: Request) -> int:
    plain = is_file(source)
    bar = request.progress and sys.stderr.isatty() and not os.isatty(source)
    total = count_lines(source) if bar and plain else None
    as_json = config.worker.kind == "command" and config.worker.codec == "json"
    messages = Messages(read_lines(source), config)
    with (
        _opened_pool(config) as pool,
        Answers(request.output) as answers,
        Report(answers, total, bar=bar) as report,
    ):
        for outcome in outcomes(pool, messages, blocking=not plain):
            _tell(report, outcome, as_json=as_json)
    if report.failed:
        complain(report.summary())
    return FAILED if report.failed else ANSWERED


@contextmanager
def _opened_pool(config: PoolConfig) -> Iterator[ProcessPool]:
    """A pool that is killed, not asked to finish, when the run is cut short."""
    with ProcessPool.from_config(config) as pool:
        try:
            yield pool
        except BaseException:
            pool.kill()
            raise


def _tell(report: Report, outcome: Outcome, *, as_json: bool) -> None:
    error = outcome.error
    if error is None:
        try:
            line = answer_line(outcome.value, as_json=as_json)
        except CodecError as refused:
            error = refused
        else:
            report.answer(line)
            return
    report.failure(outcome.index, error)
