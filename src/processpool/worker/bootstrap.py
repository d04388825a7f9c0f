"""The start of a Python worker: it sets its path, imports, runs the setup, and reports readiness.

If anything fails, the traceback is written to stderr and the process exits; the pool quotes it.
"""

from __future__ import annotations

import os
import sys

from processpool.wire.python import layout
from processpool.wire.python.journal import Journal
from processpool.wire.python.pickling import dumps, loads
from processpool.worker.current import find_item, introduce
from processpool.worker.descriptors import high
from processpool.worker.inheritance import take
from processpool.worker.loop import PythonWorker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType
    from typing import Any

HANDLER = 0
"""The number of the function that the pool's YAML names."""
MAX_REPORT, REPORT_OVERHEAD = 16 * 1024, 64
"""The most characters of the report of source files, and how many of them each file takes besides
its path. Even with four bytes per character, the report fits into a pipe."""


def main() -> None:
    """Run a worker; the arguments are descriptors, and the place of its orders in shared memory."""
    shared, outbox, stdout, stderr, ready, offset, size = map(int, sys.argv[2:9])
    orders: dict[str, Any] = loads(os.pread(shared, size, offset))
    os.pwrite(shared, bytes(size), offset)
    inherited: dict[str, Any] = orders["inherited"]
    slot, number, pool = orders["who"]
    take(inherited, slot)
    introduce(slot, number, pool)
    requests, answers = _take_pipes()
    worker = PythonWorker(requests, Journal(shared, answers), shared, outbox)
    find_item(worker.current)
    _watch(worker, inherited, slot)
    sys.breakpointhook = _on_breakpoint
    sys.modules["__main__"].__getattr__ = _find_class  # type: ignore[method-assign]
    teardown = _prepare(worker, orders)
    _start(worker, stdout, stderr)
    _say(ready, dumps(_sources(orders)))
    worker.run()
    worker.output.close()
    if teardown is not None:
        teardown()


def _prepare(worker: PythonWorker, orders: dict[str, Any]) -> Callable[..., Any] | None:
    """Run the user's code that precedes the first item; return the teardown function, if any."""
    if not any(map(orders.get, ("preload", "setup", "handler", "teardown"))):
        return None
    from processpool.worker.targets import prepare

    try:
        handler, teardown = prepare(orders)
        if handler is not None:
            worker.functions[HANDLER] = handler
    except SystemExit as error:  # show its traceback, which Python does not
        _show(SystemExit, error, error.__traceback__)
        raise
    except BaseException:
        if sys.excepthook is sys.__excepthook__:
            sys.excepthook = _show
        raise
    return teardown


def _show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Write a traceback that begins with the user's code: ours says nothing of what is wrong."""
    while trace is not None and _is_before_users(trace.tb_frame):
        trace = trace.tb_next
    sys.__excepthook__(kind, error.with_traceback(trace), trace)


def _is_before_users(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__", "")
    return frame.f_back is None or name.partition(".")[0] in ("processpool", "importlib")


def _on_breakpoint(*args: Any, **keywords: Any) -> Any:
    from processpool.worker.breakpoints import on_breakpoint

    return on_breakpoint(*args, **keywords)


def _say(ready: int, what: bytes) -> None:
    """Report to the pool that this worker is ready.

    The length comes first, since the pipe's end may be held open by other processes.
    """
    with open(ready, "wb") as pipe:
        pipe.write(layout.READY.pack(len(what)) + what)


def _take_pipes() -> tuple[int, int]:
    """Move the pool's pipes to high descriptors; 0 becomes /dev/null, and 1 the log."""
    requests, answers = high(os.dup(0)), high(os.dup(1))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return requests, answers


def _watch(worker: PythonWorker, inherited: dict[str, Any], slot: int) -> None:
    """Before any of the user's code runs: have its crashes and log records reported."""
    import _signal
    import faulthandler

    from processpool.worker.logs import Forwarder

    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)  # if it is ignored, no child has a status
    faulthandler.enable(file=2)
    faulthandler.register(layout.DUMP_SIGNAL, file=2)
    _never_block(layout.DUMP_SIGNAL)
    forwarder = Forwarder(worker.journal, inherited, slot)
    worker.before_items = forwarder.follow


def _never_block(number: int) -> None:
    """Keep a signal unblocked, so that it shows where code hangs that has blocked all signals."""
    import _signal

    block = _signal.pthread_sigmask

    def pthread_sigmask(how: int, mask: Any, /) -> Any:
        return block(how, mask if how == _signal.SIG_UNBLOCK else {*mask} - {number})

    block(_signal.SIG_UNBLOCK, {number})  # it may have been inherited so
    _signal.pthread_sigmask = pthread_sigmask


def _start(worker: PythonWorker, stdout: int, stderr: int) -> None:
    """Set up the capture of output and of progress reports, after the user's own setup."""
    from processpool.worker import progress
    from processpool.worker.output import Output

    sys.stdout.flush()
    sys.stderr.flush()
    worker.output = Output(stdout, stderr, worker.journal)
    progress.journal = worker.journal
    os.register_at_fork(after_in_child=progress.forget)


def _sources(orders: dict[str, Any]) -> list[tuple[str, int, int, bool]]:
    """Return the source files that were read: path, mtime, size, and whether the orders name them.

    The orders name the modules of the handler, setup, teardown and preloads, and the modules in
    which the objects that those functions refer to are defined.
    """
    targets = [orders["handler"], orders["setup"], orders["teardown"], *orders["preload"]]
    if not any(targets):
        return []
    from processpool.wire.python.source_files import path_of_module, sources_of
    from processpool.worker.targets import resolve

    named: set[Any] = set()
    for target in targets:
        if isinstance(target, str):
            module, _, attribute = target.partition(":")
            named.add(path_of_module(sys.modules[module]))
            named.update(sources_of(resolve(target), by_value=False) if attribute else ())
    paths = set(filter(None, map(path_of_module, list(sys.modules.values()))))
    found, room = [], MAX_REPORT
    for path in sorted(paths, key=lambda path: path not in named):
        room -= len(path) + REPORT_OVERHEAD
        if room < 0:
            break
        try:
            state = os.stat(path)
        except OSError:  # it is in an archive, or was deleted
            continue
        found.append((path, state.st_mtime_ns, state.st_size, path in named))
    return found


def _find_class(name: str) -> type:
    """Return a received class of the user's `__main__`, for code that looks it up in this one."""
    known = sys.modules.get("cloudpickle.cloudpickle")
    if known is not None:
        for found in reversed(list(known._DYNAMIC_CLASS_TRACKER_BY_ID.values())):
            if found.__module__ == "__main__" and found.__qualname__ == name:
                return found  # type: ignore[no-any-return]
    raise AttributeError(f"module '__main__' has no attribute {name!r}", name=name)
