"""Who writes to a worker's pipe, and when: no answer may come before it is noted as due."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from processpool.engine import closed_pipes
from tests.process.support import core_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from processpool import ProcessPool
    from processpool.core.jobs import Batch
    from processpool.engine.dispatcher import Dispatcher
    from processpool.engine.workers.worker import Worker


def test_what_a_thread_is_about_to_write_is_written_by_no_other(
    python_pool: Callable[..., ProcessPool], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = python_pool(1)
    core = core_of(pool)
    dispatcher: Dispatcher = core.stage.__self__  # type: ignore[attr-defined]
    send_single = dispatcher.send_single

    def send_late(worker: Worker, batch: Batch) -> None:
        closed_pipes._on_stdin(core, worker)  # just now, the leader finds its stdin writable
        send_single(worker, batch)

    monkeypatch.setattr(dispatcher, "send_single", send_late)
    for number in range(5):
        assert pool.submit(partial(pow, 2), number).result(30) == 2**number
