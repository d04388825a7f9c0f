"""Application of the settings that a worker inherits from the pool's process.

`engine/inheritance.py` has the list. Settings of modules that are slow to import are applied once
the user's code imports them.
"""

from __future__ import annotations

import _warnings
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any


def process_name(slot: int) -> str:
    """Return `multiprocessing.current_process().name` of the worker in this slot."""
    return f"PoolWorker-{slot + 1}"


def take(inherited: dict[str, Any], slot: int) -> None:
    """Apply the inherited settings, except log levels, which `logs` applies."""
    sys.path[:] = inherited["path"]
    sys.argv[:] = inherited["argv"]
    sys.setrecursionlimit(inherited["recursion_limit"])
    sys.set_int_max_str_digits(inherited["int_digits"])
    authkey = inherited["authkey"]
    tracker, errors = inherited["tracker"], inherited["numpy_errors"]
    _Filters(inherited["warnings"])

    def name_process(module: Any) -> None:
        process = module._current_process
        process._identity, process._name = (slot + 1,), process_name(slot)
        if authkey is not None:
            process.authkey = authkey

    def share_tracker(module: Any) -> None:
        module._resource_tracker._fd = tracker

    def set_errors(module: Any) -> None:
        module.seterr(**errors)

    when_imported("multiprocessing.process", name_process)
    if tracker is not None:
        when_imported("multiprocessing.resource_tracker", share_tracker)
    if errors is not None:
        when_imported("numpy", set_errors)


def when_imported(name: str, action: Callable[[Any], None]) -> None:
    """Call `action` with the module of this name, as soon as it is imported."""
    if name in sys.modules:
        action(sys.modules[name])
    else:
        sys.meta_path.insert(0, _Watcher(name, action))


class _Watcher:
    """An import finder that calls a function when a certain module is imported."""

    def __init__(self, name: str, action: Callable[[Any], None]) -> None:
        self._name = name
        self._action = action

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self._name:
            return None
        sys.meta_path.remove(self)
        found = (finder.find_spec(name, path, target) for finder in list(sys.meta_path))
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_act(module: ModuleType) -> None:
                execute(module)
                self._action(module)

            spec.loader.exec_module = execute_and_act  # type: ignore[method-assign]
        return spec


class _Filters:
    """Sets the warning filters; those with a category from another module, once it is imported."""

    def __init__(self, filters: list[tuple[Any, ...]]) -> None:
        self._filters = filters
        self._set: list[tuple[Any, ...]] | None = None
        self._put(None)
        when_imported("warnings", self._put_again)
        for name in {module for _, _, (module, _), _, _ in filters}:
            if name not in sys.modules:
                when_imported(name, self._put)

    def _put_again(self, module: Any) -> None:
        """Set the filters again, as the import of `warnings` has put those of `-W` before them."""
        self._set = None
        self._put(module)

    def _put(self, _: Any) -> None:
        # Before `warnings` is imported, the filters are in `_warnings`; then both share the list.
        warnings = sys.modules.get("warnings", _warnings)
        if self._set is not None and warnings.filters != self._set:
            return  # the user's code has set others
        found = [entry for entry in map(_filter, self._filters) if entry is not None]
        warnings.filters[:] = found
        warnings._filters_mutated()
        self._set = found


def _filter(entry: tuple[Any, ...]) -> tuple[Any, ...] | None:
    action, message, (module, name), where, line = entry
    category = sys.modules.get(module)
    for part in name.split("."):
        category = getattr(category, part, None)
    if not isinstance(category, type):
        return None
    return action, _pattern(message), category, _pattern(where), line


def _pattern(found: Any) -> Any:
    if not isinstance(found, tuple):
        return found
    import re

    return re.compile(*found)
