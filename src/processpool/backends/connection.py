"""The connection to a Dask cluster: everything that is said to Dask is said here.

    send ──▶ client.map ──▶ scheduler ──▶ a node's `run_batch`
    on_result ◀── gather ◀───────────────────────┘
    on_event  ◀── log_event of the nodes, and what the scheduler tells of nodes that leave

The pool has a client of its own, even if it is given one: what it cancels, subscribes to and closes
is nobody else's. Results are looked at as such; what Dask says of a future goes back when a node
leaves, although the result has come.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import CancelledError
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from distributed import KilledWorker

from processpool.backends.address import PATIENCE, said
from processpool.backends.plugin import NodePlugin, functions_for_nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from concurrent.futures import Future

    from processpool.backends.address import Address

log = logging.getLogger("processpool")

GROUP_BYTES = 8_000_000
"""The most bytes that are handed to Dask at a time; it warns of more."""
ECHO = 0.005
"""Seconds between two attempts to hear oneself."""
_ECHO = "subscribed"
_LOST = (CancelledError, asyncio.CancelledError)


class Heard(Protocol):
    """Who is told what comes from the cluster, on Dask's thread; must return at once."""

    def on_result(self, number: int, data: bytes) -> None:
        """The result of a batch has come."""

    def on_killed(self, number: int, error: BaseException) -> None:
        """Dask has given a batch up: too many nodes were lost while they had it."""

    def on_trouble(self, number: int, error: BaseException) -> None:
        """A node could not so much as begin a batch."""

    def on_lost(self, number: int) -> None:
        """Dask has forgotten a batch."""

    def on_event(self, message: dict[str, Any]) -> None:
        """A node has told something."""

    def on_left(self, address: str) -> None:
        """A node has left."""


class Parcel:
    """A batch, packed to be sent."""

    __slots__ = ("cost", "data", "node", "number", "time")

    def __init__(self, number: int, data: bytes, cost: float, node: str, time: int) -> None:
        """`time` says how often it was sent before, as Dask knows each only once."""
        self.number = number
        self.time = time
        self.data = data
        self.cost = cost
        self.node = node


class Connection:
    """A client, and the pool's plugin on the nodes."""

    def __init__(self, address: Address, heard: Heard, name: str) -> None:
        """`name` is unique to the pool: that of its plugin, its resource and its topic."""
        self.address = str(address)
        self._name = name
        self._heard = heard
        self._run, self._do_errand, self._tell, self._forget = functions_for_nodes()
        self._futures: dict[int, Any] = {}
        self._call: Any = None
        """Waits for a node, while there is none."""
        self._subscribed = threading.Event()
        self._client: Any = address.connect()
        self._comm = self._client.scheduler_comm
        self._subscribe()

    def _subscribe(self) -> None:
        """Have events sent here, and return when they are.

        Dask subscribes in its own time, and what a node says before is lost. So something is said
        until it is heard.
        """
        self._client.subscribe_topic("all", self._on_any)
        self._client.subscribe_topic(self._name, self._on_event)
        until = monotonic() + PATIENCE
        while not self._subscribed.wait(ECHO) and monotonic() < until:
            self._client.log_event(self._name, {_ECHO: True})

    def register(self, build: str, declaration: str, wants: dict[str, Any]) -> None:
        """Have every node open a pool, now or when it joins; return when those there have."""
        plugin = NodePlugin(self._name, build, declaration, wants)
        try:
            self._client.register_plugin(plugin)
        except (OSError, TimeoutError) as error:  # a node is being lost; others have it
            log.warning("not every node of %s has answered: %s", self.address, said(error))

    def send(self, parcels: Iterable[Parcel]) -> None:
        """Send batches, grouped as Dask likes it."""
        groups: dict[tuple[float, str], list[Parcel]] = {}
        for parcel in parcels:
            groups.setdefault((parcel.cost, parcel.node), []).append(parcel)
        for group in groups.values():
            part: list[Parcel] = []
            size = 0
            for parcel in group:
                if part and size + len(parcel.data) > GROUP_BYTES:
                    self._send(part)
                    part, size = [], 0
                part.append(parcel)
                size += len(parcel.data)
            self._send(part)

    def _send(self, group: list[Parcel]) -> None:
        cost, node = group[0].cost, group[0].node
        futures = self._client.map(
            self._run,
            [self._name] * len(group),
            [parcel.number for parcel in group],
            [parcel.data for parcel in group],
            key=[f"{self._name}-{parcel.time}-{parcel.number}" for parcel in group],
            pure=False,
            resources={self._name: cost},
            workers=[node] if node else None,
        )
        earlier = [self._futures.pop(parcel.number, None) for parcel in group]
        self._cancel([future for future in earlier if future is not None])
        for parcel, future in zip(group, futures, strict=True):
            self._futures[parcel.number] = future
            self._spawn(self._await(parcel.number, future))

    async def _await(self, number: int, future: Any) -> None:
        heard: Callable[[], None]
        try:
            data = await self._client.gather(future, asynchronous=True)
        except KilledWorker as error:
            heard = partial(self._heard.on_killed, number, error)
        except _LOST:
            heard = partial(self._heard.on_lost, number)
        except Exception as error:  # the plugin is missing there, or a class
            heard = partial(self._heard.on_trouble, number, error)
        else:
            heard = partial(self._heard.on_result, number, data)
        if self._futures.get(number) is future:  # otherwise it was cancelled, or sent again
            heard()

    def forget(self, number: int) -> None:
        """Let the cluster drop the result of a batch."""
        self._futures.pop(number, None)

    @property
    def being_fetched(self) -> frozenset[int]:
        """The batches that a node has done, but whose results are still to be fetched from it."""
        futures = list(self._futures.items())
        return frozenset(number for number, one in futures if one.status == "finished")

    def cancel(self, numbers: Iterable[int]) -> None:
        """Cancel batches; where one runs, the node ends it."""
        found = [self._futures.pop(number, None) for number in numbers]
        self._cancel([future for future in found if future is not None])

    def call_for_nodes(self) -> None:
        """Have something wait for a node, so that an adaptive cluster grows."""
        if self._call is None:
            self._call = self._client.submit(int, pure=False, resources={self._name: 1})

    def stop_calling(self) -> None:
        """Have it wait no longer."""
        self._call = None

    def _cancel(self, futures: list[Any]) -> None:
        if futures:
            self._spawn(self._quietly(self._client.cancel(futures, asynchronous=True)))

    def tell(self, what: str, *arguments: Any, node: str = "") -> None:
        """Tell one node something, or all."""
        self._spawn(
            self._quietly(
                self._client.run(
                    self._tell,
                    self._name,
                    what,
                    arguments,
                    workers=[node] if node else None,
                    on_error="ignore",
                    asynchronous=True,
                )
            )
        )

    def ask(self, data: bytes, wake: Callable[[], None]) -> Future[dict[str, Any]]:
        """Have all nodes do an errand; `wake` is called when all have answered, or are lost."""
        asked = asyncio.run_coroutine_threadsafe(
            self._client.run(
                self._do_errand, self._name, data, on_error="return", asynchronous=True
            ),
            self._client.loop.asyncio_loop,
        )
        asked.add_done_callback(lambda _: wake())
        return asked

    async def _quietly(self, what: Any) -> None:
        try:
            await what
        except Exception as error:
            log.debug("the cluster was not reached: %s", error)

    def _spawn(self, what: Coroutine[Any, Any, None]) -> None:
        loop = self._client.loop.asyncio_loop
        if loop.is_closed():
            what.close()
        else:
            asyncio.run_coroutine_threadsafe(what, loop)

    @property
    def client_name(self) -> str:
        """What Dask calls this connection."""
        return str(self._client.id)

    @property
    def is_up(self) -> bool:
        """True while the scheduler is there, and knows this client.

        Dask connects again to a scheduler that it has lost, but that has forgotten all of ours.
        """
        return self._client.status == "running" and self._client.scheduler_comm is self._comm

    def close(self) -> None:
        """End the pools of the nodes, and the connection."""
        self._futures.clear()
        self._call = None
        try:
            self._client.unsubscribe_topic("all")  # which tells of clients that leave
            if self.is_up:
                self._client.unregister_worker_plugin(self._name)
                self._client.run_on_scheduler(self._forget, self._name)
        except Exception as error:  # a node or the scheduler is gone
            log.debug("the plugin was not taken from every node: %s", error)
        self._client.close(timeout=PATIENCE)

    # -- what is heard -----------------------------------------------------------------------------

    def _on_event(self, event: tuple[float, Any]) -> None:
        if _ECHO in event[1]:
            self._subscribed.set()
        else:
            self._heard.on_event(event[1])

    def _on_any(self, event: tuple[float, Any]) -> None:
        message = event[1]
        if isinstance(message, dict) and message.get("action") == "remove-worker":
            self._heard.on_left(message["worker"])
