"""Log records of a worker reach the pool's process, where they are handled by its own loggers.

`logging` takes longer to import than the rest of a worker together, so nothing is done before the
user's code imports it. Which records are made is decided by the levels of the pool's process: those
of its loggers when the worker was started, and that of its root logger whenever it changes.
"""

from __future__ import annotations

import sys

from processpool.wire.python.layout import LEVEL, LOG
from processpool.wire.python.pickling import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from processpool.wire.python.journal import Journal


class Forwarder:
    """Puts a handler on the root logger of this process, as soon as there is one."""

    def __init__(self, journal: Journal, level: int, levels: dict[str, int]) -> None:
        """`level` is that of the root logger, `levels` those of named ones."""
        journal.page[LEVEL] = max(level, 0)
        self._journal = journal
        self._levels = levels
        self._level = -1
        """The level that the root logger was given; -1 as long as there is none."""
        if "logging" not in sys.modules:
            sys.meta_path.insert(0, _Watcher(self))

    def follow(self) -> None:
        """Before items: see whether `logging` is there, and whether the pool's level is another."""
        level = self._journal.page[LEVEL]
        if level != self._level and "logging" in sys.modules:
            self._set_level(level)

    def install(self) -> None:
        """Take up the records of this process; `logging` must have been imported."""
        import logging

        journal = self._journal

        class Handler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                journal.tell(LOG, dumps(_plain(record), 3))

        logging.getLogger().addHandler(Handler())
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)

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


class _Watcher:
    """A finder of modules that waits for `logging` to be imported."""

    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "logging":
            return None
        sys.meta_path.remove(self)
        found = (finder.find_spec(name, path, target) for finder in sys.meta_path)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            loader, forwarder = spec.loader, self._forwarder
            execute = loader.exec_module

            def execute_and_follow(module: ModuleType) -> None:
                execute(module)
                forwarder.follow()

            loader.exec_module = execute_and_follow  # type: ignore[method-assign]
        return spec


def _plain(record: logging.LogRecord) -> dict[str, object]:
    """The record as simple values, which can always be pickled."""
    fields = dict(record.__dict__)
    fields["msg"] = record.getMessage()
    fields["args"] = None
    if record.exc_info:
        import logging

        fields["exc_text"] = logging.Formatter().formatException(record.exc_info)
    fields["exc_info"] = None
    return {name: _simple(value) for name, value in fields.items()}


def _simple(value: object) -> object:
    """A value that is read without any of the user's modules: of a subclass what it is made of."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__int__(value)
    return value if value is None or isinstance(value, bool) else repr(value)
