"""What is sent to the nodes of a Dask cluster, by value: it runs where this package may be missing.

Two rules hold here. Nothing of processpool is imported before a node needs it, as the scheduler
unpickles tasks too. And what goes wrong on a node is kept there and told, never only raised: Dask
merely logs the error of a plugin on a node that comes later, and gives that node work all the same.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import cloudpickle
from distributed import WorkerPlugin

cloudpickle.register_pickle_by_value(sys.modules[__name__])


class NodePlugin(WorkerPlugin):
    """Opens a local pool on each node of a cluster, and closes it."""

    idempotent = False

    def __init__(self, name: str, build: str, declaration: str, wants: dict[str, Any]) -> None:
        """Prepare what the nodes are told.

        Args:
            name: of the plugin, the resource and the topic, unique to the pool.
            build: the function that builds a node's pool, as module:attribute.
            declaration: the pool's validated configuration, as JSON.
            wants: versions, the pool's client, the number of places, and so on.
        """
        self.name = name
        self.build = build
        self.declaration = declaration
        self.wants = wants
        self.node: Any = None
        self.error = ""

    async def setup(self, worker: Any) -> None:
        """Open the node's pool, and offer its places; on failure, offer none and say why."""
        try:
            self.node = await asyncio.to_thread(self.open_pool, worker)
            await worker.set_resources(**{self.name: self.wants["places"]})
            self.node.begin(self.wants["client"])
        except BaseException as error:  # a missing program, another version, no memory left
            self.error = self.sentence(worker, error)
            worker.log_event(self.name, {"failed": worker.address, "why": self.error})
            if not isinstance(error, Exception):
                raise

    def open_pool(self, worker: Any) -> Any:
        """Build and open the node's pool, after a look at the versions."""
        import importlib

        here = f"{sys.version_info[0]}.{sys.version_info[1]}"
        if here != self.wants["python"]:
            raise RuntimeError(
                f"it has Python {here}, and the pool's process has {self.wants['python']}: "
                "use the same on both"
            )
        try:
            processpool = importlib.import_module("processpool")
        except ImportError:
            raise RuntimeError(
                "processpool is not installed there: on that machine, run "
                f"pip install 'processpool[dask]=={self.wants['version']}'"
            ) from None
        if processpool.__version__ != self.wants["version"]:
            raise RuntimeError(
                f"it has processpool {processpool.__version__}, and the pool's process has "
                f"{self.wants['version']}: install the same on both"
            )
        module, _, attribute = self.build.partition(":")
        build = getattr(importlib.import_module(module), attribute)
        engine, size = build(self.declaration, self.wants["workers"])
        from processpool.backends.node.pool import NodePool

        return NodePool(engine, worker, self.name, size, worker.state.nthreads)

    def sentence(self, worker: Any, error: BaseException) -> str:
        """Say which node it is, and what is wrong there."""
        import socket

        return f"node {worker.address} ({socket.gethostname()}) cannot run the pool: {error}"

    def transition(self, key: Any, start: str, finish: str, **kwargs: Any) -> None:
        """Abort a batch that nobody wants any more: Dask itself stops no thread."""
        if self.node is None or not isinstance(key, str) or not key.startswith(self.name):
            return
        goes_on = ("executing", "long-running", "memory", "error")
        if start in goes_on[:2] and finish not in goes_on:
            self.node.abort(int(key.rpartition("-")[2]))

    async def teardown(self, worker: Any) -> None:
        """Close the node's pool."""
        node, self.node = self.node, None
        if node is not None:
            await asyncio.to_thread(node.close)
            await worker.set_resources(**{self.name: 0})


def functions_for_nodes() -> tuple[Any, Any, Any, Any]:
    """Return what runs a batch, what runs an errand, what tells a node, and what forgets a topic.

    The last is for the scheduler, which keeps the last messages of each topic, also of old ones.

    They are made here, inside a function, so that they are always pickled by value.
    """

    def run_batch(name: str, number: int, data: bytes) -> bytes:
        from distributed import get_worker

        worker = get_worker()
        plugin: Any = worker.plugins.get(name)
        if plugin is None or plugin.node is None:
            why = "" if plugin is None else plugin.error
            raise RuntimeError(why or f"node {worker.address} has no pool {name}")
        answer: bytes = plugin.node.run(number, data)
        return answer

    async def run_errand(name: str, data: bytes, dask_worker: Any) -> bytes | None:
        plugin = dask_worker.plugins.get(name)
        if plugin is None or plugin.node is None:
            return None
        answer: bytes = await asyncio.to_thread(plugin.node.run_errand, data)
        return answer

    def tell(name: str, what: str, arguments: tuple[Any, ...], dask_worker: Any) -> None:
        plugin = dask_worker.plugins.get(name)
        if plugin is not None and plugin.node is not None:
            plugin.node.told(what, *arguments)

    def forget(topic: str, dask_scheduler: Any) -> None:
        broker = getattr(dask_scheduler, "_broker", None)
        topics = dask_scheduler.events if broker is None else broker._topics
        topics.pop(topic, None)

    return run_batch, run_errand, tell, forget
