"""`processpool run`: lines in, answers out.

Memory is bounded whatever the length of the input, and the answers come in the order of the lines.
However the run ends - done, interrupted, or because nobody reads the answers any more - no worker
outlives it.
"""

from __future__ import annotations

import gc
import os
import sys
import warnings
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from processpool.cli.declaring import declared_pool
from processpool.cli.echoing import Echoing
from processpool.cli.files import (
    Answers,
    FileError,
    count_lines,
    is_file,
    opened_source,
    read_lines,
    refuse_same,
    refuse_unwritable,
)
from processpool.cli.hints import Hints
from processpool.cli.lines import Messages, numbered
from processpool.cli.logs import Log, failed_line, joblog_head, joblog_line, opened_log, replayed
from processpool.cli.pools import make_pool
from processpool.cli.report import ANSWERED, FAILED, HALTED, NOBODY_READS, Report, complain
from processpool.cli.stopping import stoppable
from processpool.cli.streams import outcomes
from processpool.errors import CodecError, JournalWarning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processpool.api.pool import ProcessPool
    from processpool.cli.lines import Line
    from processpool.cli.request import Request
    from processpool.config import PoolConfig
    from processpool.core.outcome import Outcome


def run_pool(request: Request) -> int:
    """Send the lines of the input through the pool.

    Returns:
        The exit status.

    Raises:
        ConfigError: the YAML file, or what was set beside it, does not declare a pool for data.
        ProcessPoolError: the pool cannot do its work.
        Stopped: a signal ended the run.
    """
    config = declared_pool(request)
    source = request.source if request.replay is None else str(request.replay)
    try:
        with (
            stoppable(),
            _warnings_told(),
            opened_source(source) as descriptor,
            opened_log(request.failed) as failed,
            opened_log(request.joblog) as joblog,
        ):
            refuse_same(descriptor, request.output)
            refuse_unwritable(request.report)
            return Run(config, request, failed, joblog).run(descriptor)
    except BrokenPipeError:
        return NOBODY_READS
    except FileError as error:
        complain(str(error))
        return error.status


@contextmanager
def _warnings_told() -> Iterator[None]:
    """Write what there is to say of a journal in a sentence, without a line of code."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", JournalWarning)
        show = warnings.showwarning

        def tell(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if issubclass(category, JournalWarning):
                complain(f"JournalWarning: {message}")
            else:
                show(message, category, *where, **more)

        warnings.showwarning = tell
        yield


class Run:
    """One run, from its lines to its exit status."""

    def __init__(self, config: PoolConfig, request: Request, failed: Log, joblog: Log) -> None:
        self._config = config
        self._request = request
        self._failed, self._joblog = failed, joblog
        as_json = config.worker.kind == "command" and config.worker.codec == "json"
        self._format = request.format.writing_json(as_json)

    def run(self, source: int) -> int:
        """Send the lines of a descriptor through the pool; returns the exit status."""
        request = self._request
        plain = is_file(source)
        bar = request.progress and sys.stderr.isatty() and not os.isatty(source)
        counts = plain and (bar or request.halt.share is not None)
        total = count_lines(source, request.end) if counts else None
        lines = read_lines(source, request.end)
        named = numbered(lines) if request.replay is None else replayed(lines, request.replay)
        if self._joblog:
            self._joblog.write(joblog_head())
        with (
            _opened_pool(self._config) as pool,
            Answers(request.output) as answers,
            Report(answers, total, bar=bar) as report,
            self._reporting(pool),
            Echoing(pool, report.tell) if request.echo else nullcontext() as echo,
        ):
            hints = Hints(self._config, report.tell)
            messages = Messages(hints.watch_paths(named), self._config)
            for outcome in outcomes(
                pool,
                messages,
                blocking=not plain,
                ordered=not request.unordered,
                options={"journal": request.journal},
            ):
                if echo is not None:
                    echo.look()
                self._tell(report, messages.lines.pop(outcome.index), outcome)
                if hints.has_room:
                    hints.watch_pace(pool)
                if request.halt.is_due(report.failed, report.done, total):
                    pool.kill()
                    break
            else:
                if report.failed:
                    complain(report.summary())
                return FAILED if report.failed else ANSWERED
        complain(f"{report.summary()}: stopped")
        return HALTED

    @contextmanager
    def _reporting(self, pool: ProcessPool) -> Iterator[None]:
        """Write the report however the run ends, if something has run."""
        path = self._request.report
        try:
            yield
        finally:
            if path is not None and pool.records():
                try:
                    pool.report(path, noun="line", first=1)
                except OSError as error:
                    complain(f"cannot write {path}: {error.strerror}")

    def _tell(self, report: Report, line: Line, outcome: Outcome) -> None:
        error, written = outcome.error, b""
        if error is None:
            try:
                written = self._format.answer(line, outcome)
            except CodecError as refused:
                error = refused
            else:
                report.answer(written)
        if error is not None:
            if kept := self._format.failure(line, outcome, error):
                report.write(kept)
            report.failure(line, error)
            if self._failed:
                self._failed.write(failed_line(line, outcome, error))
        if self._joblog:
            self._joblog.write(joblog_line(line, outcome, error, len(written)))


@contextmanager
def _opened_pool(config: PoolConfig) -> Iterator[ProcessPool]:
    """A pool that is killed, not asked to finish, when the run is cut short."""
    with make_pool(config) as pool:
        gc.freeze()
        gc.enable()  # all that takes long to import is there; `main` has turned it off
        try:
            yield pool
        except BaseException:
            pool.kill()
            raise
