"""Modules that workers would not find: what is defined in them travels by value.

One that was loaded from its file by `importlib.util.spec_from_file_location`, or made by hand, has
a name that leads nowhere in another process, or to something else.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_found: dict[str, bool] = {}
"""Name → whether an import of it comes to where its module came from."""
_looked_at: set[str] = set()
_MAIN = ("__main__", "__mp_main__")
names: set[bytes] = set()
"""Names of modules that are not found, as they are in pickles."""


def note_module_of(value: Any) -> None:
    """Note the module in which a function, or the class of an object, is defined."""
    name = getattr(value, "__module__", None)
    if type(name) is str:
        _note(name)


def look_around() -> None:
    """Note the modules that are new here, and come from files that are on no path."""
    new = set(sys.modules) - _looked_at
    if new:
        _looked_at.update(new)
        path = {_absolute(entry) for entry in sys.path if isinstance(entry, str)}
        for name in new:
            file = _names(sys.modules.get(name)).get("__file__")
            if type(file) is str and file.endswith(".py") and not _is_on(path, name, file):
                _note(name)


def _is_on(path: set[str], name: str, file: str) -> bool:
    """True if the file surely is what an import of this name leads to, without looking at disks."""
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
    """True if a worker's import of this name comes to the same file."""
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
    except Exception:  # a finder is of the user's, or too old
        return True
    file = _names(sys.modules[name]).get("__file__")
    if spec is None or type(file) is not str or not spec.has_location:
        return spec is not None
    return _absolute(str(spec.origin)) == _absolute(file)


def _absolute(path: str) -> str:
    """The path from the root; as it is, if the current folder is gone."""
    try:
        return os.path.abspath(path)
    except OSError:
        return path


def _names(module: Any) -> dict[str, Any]:
    """What is in a module; without `getattr`, which would have lazy ones loaded."""
    try:
        found: dict[str, Any] = object.__getattribute__(module, "__dict__")
    except AttributeError:
        return {}
    return found
