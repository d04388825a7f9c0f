"""`pool.debug`: runs a failed item once more, in this process, and stops where it fails."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from processpool.core.outcome import Outcome
from processpool.factory import build_inline

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from processpool.api.call_forms import Form
    from processpool.config import PoolConfig


def debug(
    config: PoolConfig,
    form: Form,
    failed: Outcome | BaseException,
    function: Callable[..., Any] | None,
    make_pool: Callable[..., Any],
) -> Any:
    """Run an item again; `make_pool` makes the inline pool for it. The rest is as for `debug`."""
    record = failed if isinstance(failed, Outcome) else getattr(failed, "record", None)
    if not isinstance(record, Outcome):
        raise TypeError(f"debug takes an Outcome, or an error that has one; got {failed!r}")
    if config.worker.kind == "command":
        raise TypeError(
            "this pool runs a command, and only Python functions can be debugged here; see what "
            "the program says with `processpool check CONFIG --try MESSAGE`"
        )
    call: tuple[Any, ...] = record.args
    if config.worker.handler is None:
        call = (function or _function_of(form, record), *call)
    elif function is not None:
        raise TypeError("the pool has a handler, which is what is run; give no function")
    with make_pool(build=build_inline) as pool:
        try:
            return pool.call(*call, **record.kwargs)
        except Exception as error:
            __tracebackhide__ = True
            trace = error.__traceback__
            assert trace is not None
            _stop_at(error, trace)
            raise


def _function_of(form: Form, record: Outcome) -> Callable[..., Any]:
    """Return the function of an item, by its name."""
    found: list[Callable[..., Any]] = getattr(form, "named", lambda name: [])(record.name)
    if len(found) != 1:
        several = "several functions have" if found else "no function of this pool has"
        raise TypeError(
            f"{several} the name {record.name!r}; say which it was: pool.debug(outcome, function)"
        )
    return found[0]


def _stop_at(error: BaseException, trace: TracebackType) -> None:
    """Start the debugger in the innermost frame of an error."""
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    shell = _shell()
    if shell is None:
        import pdb

        pdb.post_mortem(trace)
        return
    debugger = shell.debugger_cls()
    debugger.reset()
    debugger.interaction(None, trace)


def _shell() -> Any:
    """Return IPython's shell, if this is one."""
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()
