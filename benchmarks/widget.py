"""What the notebook's live widget costs: an update, its bytes, a watched pool's speed, memory.

There is no browser and no kernel: what would be sent is serialized and signed as a kernel does it,
and counted.
"""

from __future__ import annotations

import gc
import threading
from contextlib import contextmanager
from statistics import mean, median
from time import perf_counter, sleep, thread_time
from typing import TYPE_CHECKING, Any

from benchmarks.harness import OURS, Case, Figures, Probe, Row, at_least, at_most
from benchmarks.meters import resident
from benchmarks.pools import command_pool, echo_worker, function_pool
from benchmarks.units import ITEMS_PER_SECOND, MEGABYTES, MILLISECONDS, Unit
from benchmarks.work import inc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

CAT = {"kind": "command", "command": ["cat"], "protocol": "lines"}
PER_SECOND = 4
KILOBYTES = Unit("KB", more_is_better=False, scale=1e-3)
LIMITS = {64: (0.001, 4_000), 500: (0.003, 30_000)}
"""Workers → CPU seconds and bytes that an update may take."""


def cases(scale: float) -> Sequence[Case]:
    """All cases; `scale` shortens them."""
    return [
        *(_update(workers, max(round(15 * scale), 5)) for workers in LIMITS),
        _strip(max(round(15 * scale), 5)),
        _watch("command", round(300_000 * scale)),
        _watch("function", round(2_000_000 * scale)),
        _hour(round(3600 * scale)),
    ]


def _update(workers: int, seconds: int) -> Case:
    cpu_time, size = LIMITS[workers]
    rows = (
        Row("seconds", MILLISECONDS, (), at_most(cpu_time), "CPU time of an update"),
        Row("bytes", KILOBYTES, (), at_most(size), "sent in an update"),
    )
    probe = Probe("benchmarks.widget:measure_update", {"workers": workers, "seconds": seconds})
    return Case(f"widget-update-{workers}", f"{workers} busy workers on show", {OURS: probe}, rows)


def _strip(seconds: int) -> Case:
    row = Row("seconds", MILLISECONDS, (), at_most(0.0003), "CPU time of an update")
    probe = Probe("benchmarks.widget:measure_strip", {"workers": 16, "seconds": seconds})
    return Case("widget-strip", "16 busy workers, the map in its cell alone", {OURS: probe}, (row,))


def _watch(kind: str, items: int) -> Case:
    row = Row(
        "with", ITEMS_PER_SECOND, (OURS,), at_least(0.97), "map, on show", OURS, "without", "none"
    )
    probe = Probe("benchmarks.widget:measure_watch", {"kind": kind, "items": items})
    return Case(f"widget-watch-{kind}", f"{kind} workers: {items:,} items", {OURS: probe}, (row,))


def _hour(seconds: int) -> Case:
    row = Row("growth", MEGABYTES, (), at_most(15e6), "growth of the kernel")
    probe = Probe("benchmarks.widget:measure_hour", {"seconds": seconds})
    title = f"{seconds} s at {PER_SECOND} updates a second, 64 workers of which half change"
    return Case("widget-hour", title, {OURS: probe}, (row,))


class Wire:
    """Where a kernel's messages end: counts the bytes of each."""

    def __init__(self) -> None:
        from comm.base_comm import BaseComm
        from jupyter_client.session import Session

        session = Session(key=b"a key")
        sizes = self.sizes = list[int]()

        class CountingComm(BaseComm):
            def publish_msg(self, msg_type: str, data: Any = None, *_: Any, **__: Any) -> None:
                message = session.msg(msg_type, {"data": data, "comm_id": self.comm_id})
                sizes.append(sum(map(len, session.serialize(message))))

        self.comm = CountingComm

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Widgets that are made meanwhile talk to this."""
        import comm

        before = comm.create_comm
        comm.create_comm = self.comm
        try:
            yield
        finally:
            comm.create_comm = before


class _Output:
    def update(self, bundle: object, *, raw: bool) -> None:
        pass


def _display(pool: Any, wire: Wire) -> Any:
    from processpool.widget.display import Display

    display = Display(pool, lambda _: _Output())
    with wire.connected():
        display.show()
    display._updater.post({"kind": "hello"})
    return display


def measure_update(workers: int, seconds: int) -> Figures:
    """Look at a pool that works: CPU time of the thread that does, and bytes; of an average look.

    The looks of a second differ, so they are averaged first; the median is that of the seconds.
    """
    wire, stop = Wire(), threading.Event()
    with command_pool("cats", CAT, workers) as pool:
        pool.wait_ready()
        display = _display(pool, wire)
        display._updater.stop()
        display._answer({"kind": "hello"})
        work = threading.Thread(target=_keep_busy, args=(pool, workers, stop))
        work.start()
        sleep(0.5)
        wire.sizes.clear()
        times = [mean(_look(display) for _ in range(PER_SECOND)) for _ in range(seconds)]
        stop.set()
        work.join()
    return {"seconds": median(times), "bytes": mean(wire.sizes)}


def measure_strip(workers: int, seconds: int) -> Figures:
    """Look at a map that is shown in its cell only; as `measure_update`."""
    from processpool.widget.display import Display

    wire, stop = Wire(), threading.Event()
    with command_pool("cats", CAT, workers) as pool:
        pool.wait_ready()
        display: Any = Display(pool, lambda _: _Output())
        with wire.connected():
            display._start()
        display._updater.stop()
        display._answer({"kind": "hello"})
        work = threading.Thread(target=_keep_mapping, args=(pool, stop))
        work.start()
        while not (runs := list(pool._engine.maps.running.values())):
            sleep(0.01)
        display.began(runs[0])
        sleep(0.5)
        times = [mean(_look(display) for _ in range(PER_SECOND)) for _ in range(seconds)]
        stop.set()
        work.join()
    return {"seconds": median(times)}


def _keep_mapping(pool: Any, stop: threading.Event) -> None:
    """One map, as long as is needed."""
    lines = iter(lambda: "line", None)
    for _ in pool.imap(lines):
        if stop.is_set():
            return


def _look(display: Any) -> float:
    sleep(1 / PER_SECOND)
    began = thread_time()
    display._update()
    return thread_time() - began


def _keep_busy(pool: Any, workers: int, stop: threading.Event) -> None:
    while not stop.is_set():
        pool.map(["line"] * (20 * workers))


def measure_watch(kind: str, items: int) -> Figures:
    """Map while the pool is on show, and while it is not, in turns."""
    pools = {
        "command": lambda: command_pool("echoes", echo_worker(pipeline=64), 2),
        "function": lambda: function_pool(2),
    }
    with pools[kind]() as shown, pools[kind]() as plain:
        _display(shown, Wire())
        turns = [(_rate(shown, kind, items), _rate(plain, kind, items)) for _ in range(6)][1:]
    return {"with": median(a for a, _ in turns), "without": median(b for _, b in turns)}


def _rate(pool: Any, kind: str, items: int) -> float:
    batch: list[Any] = [1] * items if kind == "function" else ["line"] * items
    mapped: Callable[[], list[Any]] = (
        (lambda: pool.map(inc, batch)) if kind == "function" else (lambda: pool.map(batch))
    )
    start = perf_counter()
    mapped()
    return items / (perf_counter() - start)


def measure_hour(seconds: int) -> Figures:
    """Send an hour's updates in a row, of workers that are not there; by how much memory grew."""
    from tests.widget.crowd import Crowd

    from processpool.widget.feed import Feed
    from processpool.widget.widget import PoolWidget

    wire = Wire()
    crowd, feed = Crowd(64, step=1 / PER_SECOND), Feed()
    feed.take(crowd.snapshot())
    with wire.connected():
        widget = PoolWidget(feed.everything(), lambda _: None)
    _send(crowd, feed, widget, PER_SECOND * 120)
    gc.collect()
    before = resident()
    _send(crowd, feed, widget, PER_SECOND * seconds)
    gc.collect()
    return {"growth": float(max(resident() - before, 0))}


def _send(crowd: Any, feed: Any, widget: Any, updates: int) -> None:
    for _ in range(updates):
        frame = feed.take(crowd.snapshot(resources=feed.next_looks()))
        if frame is not None:
            widget.send(frame)
