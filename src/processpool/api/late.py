"""Names that the modules of a pool's class use only once there is a pool.

    late(globals(), {"processpool.api.futures": "PoolFuture"})

Such a module imports them for type checkers only, and gives their homes here; they are among its
globals from the moment when the first pool is made. So importing the class costs less than
importing the standard library's own pool, and what runs with every item is as fast as if they had
been imported as usual. A lookup at each use would not be.
"""

from __future__ import annotations

from importlib import import_module
from threading import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_lock = Lock()
_waiting: list[tuple[dict[str, Any], Mapping[str, str]]] = []


def late(namespace: dict[str, Any], homes: Mapping[str, str]) -> None:
    """Have names put into the namespace of a module, by the modules that define them."""
    _waiting.append((namespace, homes))


def arrive() -> None:
    """Import what was named; called whenever a pool is made."""
    if not _waiting:
        return
    with _lock:
        for namespace, homes in _waiting:
            for home, names in homes.items():
                module = import_module(home)
                namespace.update((name, getattr(module, name)) for name in names.split())
        _waiting.clear()
