"""How a Python worker starts: its path, its preloads, its setup; then it says that it is ready.

What goes wrong here goes to stderr as a traceback, and the process exits: the pool quotes it.
"""

from __future__ import annotations

import os
import sys

from processpool.child import layout
from processpool.child.pickling import dumps, loads
from processpool.child.python_worker import Journal, PythonWorker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

HANDLER = 0
"""The number of the function that the pool's YAML names."""


def main() -> None:
    """Run a worker; the descriptors and the place of its orders are the arguments."""
    shared, outbox, stdout, stderr, ready, offset, size = map(int, sys.argv[2:9])
    orders: dict[str, Any] = loads(os.pread(shared, size, offset))
    os.pwrite(shared, bytes(size), offset)
    sys.path[:] = orders["path"]
    sys.argv[:] = orders["argv"]
    requests, answers = _take_pipes()
    worker = PythonWorker(requests, Journal(shared, answers), shared, outbox)
    _watch(worker, orders)
    _take_authkey(orders["authkey"])
    _import_all(orders["preload"])
    state = _call_setup(orders["setup"])
    if orders["handler"]:
        handler = _resolve(orders["handler"])
        worker.functions[HANDLER] = _with_state(handler, state)
    teardown = _with_state(_resolve(orders["teardown"]), state) if orders["teardown"] else None
    _start(worker, stdout, stderr)
    os.write(ready, dumps(_sources(orders)))
    os.close(ready)
    worker.run()
    worker.output.close()
    if teardown is not None:
        teardown()


def _take_pipes() -> tuple[int, int]:
    """Move the pool's pipes out of reach: 0 leads nowhere, 1 to the log."""
    import fcntl

    requests = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 100)
    answers = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 100)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return requests, answers


def _watch(worker: PythonWorker, orders: dict[str, Any]) -> None:
    """Before any code of the user's runs: have its crashes and its log records told."""
    import faulthandler

    from processpool.child.logs import Forwarder

    faulthandler.enable(file=2)
    faulthandler.register(layout.DUMP_SIGNAL, file=2)
    forwarder = Forwarder(worker.journal, orders["log_level"], orders["log_levels"])
    worker.before_items = forwarder.follow


def _start(worker: PythonWorker, stdout: int, stderr: int) -> None:
    """Everything that is for items only, when the user's setup has been done."""
    from processpool.child import progress
    from processpool.child.output import Output

    sys.stdout.flush()
    sys.stderr.flush()
    worker.output = Output(stdout, stderr, worker.journal.page)
    progress.journal = worker.journal


def _sources(orders: dict[str, Any]) -> list[tuple[str, int, int]]:
    """The files that the orders name, and which state of them was read: when written, size."""
    targets = (orders["handler"], orders["setup"], orders["teardown"], *orders["preload"])
    names = {target.partition(":")[0] for target in targets if isinstance(target, str)}
    found = []
    for name in names:
        path = getattr(sys.modules[name], "__file__", None)
        if path is not None and path.endswith(".py"):
            state = os.stat(path)
            found.append((path, state.st_mtime_ns, state.st_size))
    return found


def _take_authkey(key: bytes | None) -> None:
    """Make the managers of the pool's process, whose proxies may be among the items, reachable."""
    if key is not None:
        from multiprocessing import current_process

        current_process().authkey = key


def _import_all(names: tuple[str, ...]) -> None:
    if names:
        from importlib import import_module

        for name in names:
            import_module(name)


def _resolve(target: Any) -> Callable[..., Any]:
    """A function from `package.module:attribute`, or from its pickle."""
    if isinstance(target, bytes):
        function: Callable[..., Any] = loads(target)
        return function
    from importlib import import_module

    module, _, attribute = target.partition(":")
    found: Any = import_module(module)
    for name in attribute.split("."):
        found = getattr(found, name)
    return found  # type: ignore[no-any-return]


def _call_setup(target: Any) -> Any:
    if isinstance(target, bytes):
        from processpool.child.initializer import initialize

        return initialize(loads(target))
    return _resolve(target)() if target else None


def _with_state(function: Callable[..., Any], state: Any) -> Callable[..., Any]:
    """The function, given what `setup` returned if it has a parameter named `state`."""
    if not _takes_state(function):
        return function
    from functools import partial

    return partial(function, state=state)


def _takes_state(function: Callable[..., Any]) -> bool:
    code = getattr(function, "__code__", None)
    if code is not None:
        return "state" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    import inspect

    try:
        return "state" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
