"""Log records of a Python worker, handled by the loggers of this process."""

from __future__ import annotations

import logging
from pickle import loads

from processpool.core.log_fields import log_fields
from processpool.system.text import escape_control
from processpool.wire.python.remote_errors import RemoteTraceback, ends_the_program

log = logging.getLogger("processpool")


def handle_record(body: bytes, pool: str, worker: int, index: int | None) -> None:
    """Let the loggers of this process handle a record of the worker's, made harmless."""
    carried = log_fields(pool, worker, index)
    try:
        fields = {
            name: escape_control(value) if type(value) is str else value
            for name, value in loads(body).items()
        }
        record = logging.makeLogRecord({**fields, **carried})
        if record.exc_text:  # for handlers that look at this alone
            trouble = RemoteTraceback(record.exc_text)
            record.exc_info = type(trouble), trouble, None
        logger = logging.getLogger(record.name)
        if logger.isEnabledFor(record.levelno):
            logger.handle(record)
    except BaseException as error:  # a filter of the user's
        if ends_the_program(error):
            raise
        text = "a log record of worker %d could not be handled"
        log.exception(text, worker, extra=carried)
