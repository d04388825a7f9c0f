"""Modules that workers could not import by name, so that their contents are pickled by value.

The name of a module that was loaded by `importlib.util.spec_from_file_location`, or created by
hand, does not exist in another process, or is that of another module.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_found: dict[str, bool] = {}
"""Whether importing a name leads to the module of this process, by name."""
_looked_at: set[str] = set()
_MAIN = ("__main__", "__mp_main__")
names: set[bytes] = set()
"""The names of modules that workers could not import, as bytes to search for in pickles."""


def note_module_of(value: Any) -> None:
    """Check the module in which a function, or the class of an object, is defined."""
    name = getattr(value, "__module__", None)
    if type(name) is str:
        _note(name)


def look_around() -> None:
    """Check newly imported modules whose files are not on `sys.path`."""
    new = set(sys.modules) - _looked_at
    if new:
        _looked_at.update(new)
        path = {_absolute(entry) for entry in sys.path if isinstance(entry, str)}
        for name in new:
            file = _names(sys.modules.get(name)).get("__file__")
            if type(file) is str and file.endswith(".py") and not _is_on(path, name, file):
                _note(name)


def _is_on(path: set[str], name: str, file: str) -> bool:
    """True if importing `name` certainly leads to `file`, without accessing the disk."""
    place = _absolute(file).removesuffix(".py").removesuffix("/__init__")
    tail = os.sep + name.replace(".", os.sep)
    return place.endswith(tail) and place.removesuffix(tail) in path


def _note(name: str) -> None:
    if name in _MAIN or name in _found or name not in sys.modules:
        return
    _found[name] = _is_found(name)
    if not _found[name]:
        import cloudpickle

        cloudpickle.register_pickle_by_value(sys.modules[name])
        names.add(name.encode())


def _is_found(name: str) -> bool:
    """True if importing `name` in a worker leads to the same file."""
    top, _, _ = name.partition(".")
    if top in sys.stdlib_module_names:
        return True
    parent, _, _ = name.rpartition(".")
    above = _names(sys.modules.get(parent)) if parent else {}
    if parent and not (above and _is_found(parent)):
        return False
    try:
        finders = (finder.find_spec(name, above.get("__path__")) for finder in sys.meta_path)
        spec = next((spec for spec in finders if spec is not None), None)
    except Exception:  # raised by a custom or outdated finder
        return True
    file = _names(sys.modules[name]).get("__file__")
    if spec is None or type(file) is not str or not spec.has_location:
        return spec is not None
    return _absolute(str(spec.origin)) == _absolute(file)


def _absolute(path: str) -> str:
    """Return the absolute path; unchanged, if the current folder was deleted."""
    try:
        return os.path.abspath(path)
    except OSError:
        return path


def _names(module: Any) -> dict[str, Any]:
    """Return a module's namespace, without `getattr`, which would load lazy modules."""
    try:
        found: dict[str, Any] = object.__getattribute__(module, "__dict__")
    except AttributeError:
        return {}
    return found
