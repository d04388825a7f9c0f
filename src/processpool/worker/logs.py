"""Forwarding of a worker's log records to the pool's process, whose loggers handle them.

`logging` takes longer to import than the rest of a worker, so this waits until the user's code
imports it. Levels are those of the pool's process: of its named loggers at the time when the worker
was started, and of its root logger at any time.
"""

from __future__ import annotations

import sys

from processpool.wire.python.layout import LEVEL, LOG
from processpool.wire.python.pickling import dumps
from processpool.worker.inheritance import process_name, when_imported

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from typing import Any

    from processpool.wire.python.journal import Journal


class Forwarder:
    """Adds a handler to the root logger of this process, once `logging` is imported."""

    def __init__(self, journal: Journal, inherited: dict[str, Any], slot: int) -> None:
        """`inherited` contains the levels of the pool's loggers; `slot` names the worker."""
        level, levels = inherited["log_level"], inherited["log_levels"]
        self._name = process_name(slot)
        journal.page[LEVEL] = max(level, 0)
        self._journal = journal
        self._levels = levels
        self._level = -1
        """The level that was set on the root logger; -1 before `logging` is imported."""
        if "logging" not in sys.modules:
            when_imported("logging", lambda _: self.follow())

    def follow(self) -> None:
        """Update the root logger's level, if `logging` is imported; called before items."""
        level = self._journal.page[LEVEL]
        if level != self._level and "logging" in sys.modules:
            self._set_level(level)

    def install(self) -> None:
        """Add the handler; `logging` must have been imported."""
        import logging

        journal, name = self._journal, self._name

        class Handler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                try:
                    packed = dumps(_plain(record, name), 3)
                except Exception:  # as in any handler: the record may contain objects that raise
                    self.handleError(record)
                else:
                    journal.tell(LOG, packed)

        logging.getLogger().addHandler(Handler())
        for logger, level in self._levels.items():
            logging.getLogger(logger).setLevel(level)

    def _set_level(self, level: int) -> None:
        import logging

        root = logging.getLogger()
        if self._level < 0:
            if not any(type(handler).__module__ == __name__ for handler in root.handlers):
                self.install()
            self._level = logging.WARNING
        if root.level == self._level:  # otherwise the user's code has set it
            root.setLevel(level)
        self._level = level


def _plain(record: logging.LogRecord, name: str) -> dict[str, object]:
    """Return the record's attributes as simple values, which can always be pickled."""
    fields = dict(record.__dict__)
    fields["msg"] = record.getMessage()
    fields["args"] = None
    if record.exc_info:
        import logging

        fields["exc_text"] = logging.Formatter().formatException(record.exc_info)
    fields["exc_info"] = None
    if fields["processName"] == "MainProcess":  # the default, if multiprocessing is not loaded
        fields["processName"] = name
    return {name: _simple(value) for name, value in fields.items()}


def _simple(value: object) -> object:
    """Return a value of a basic type, which can be unpickled without the user's modules."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__int__(value)
    return value if value is None or isinstance(value, bool) else repr(value)
