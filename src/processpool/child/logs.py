"""Log records of a worker reach the pool's process, where they are handled by its own loggers.

`logging` takes longer to import than the rest of a worker together, so nothing is done before the
user's code has imported it.
"""

from __future__ import annotations

import sys

from processpool.child.layout import LOG
from processpool.child.pickling import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging

    from processpool.child.python_worker import Journal


class Forwarder:
    """Puts a handler on the root logger of this process, once there is one."""

    def __init__(self, journal: Journal, level: int) -> None:
        self._journal = journal
        self._level = level
        self._installed = False

    def install(self) -> None:
        """Install the handler, if `logging` has been imported and it is not there yet."""
        if self._installed or "logging" not in sys.modules:
            return
        self._installed = True
        import logging

        journal = self._journal

        class Handler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                journal.tell(LOG, dumps(_plain(record), 3))

        root = logging.getLogger()
        root.addHandler(Handler())
        if root.level == logging.WARNING:
            root.setLevel(self._level)


def _plain(record: logging.LogRecord) -> dict[str, object]:
    """The record as simple values, which can always be pickled."""
    fields = dict(record.__dict__)
    fields["msg"] = record.getMessage()
    fields["args"] = None
    if record.exc_info:
        import logging

        fields["exc_text"] = logging.Formatter().formatException(record.exc_info)
    fields["exc_info"] = None
    simple = (str, int, float, bool, type(None))
    return {
        name: value if isinstance(value, simple) else repr(value) for name, value in fields.items()
    }
