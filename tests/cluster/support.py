"""Clusters for the tests: those of Dask on this machine, whose nodes are processes."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tests.process.support import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[2]
CONFIG = {
    "distributed.comm.timeouts.tcp": "12s",
    "distributed.comm.timeouts.connect": "12s",
    "distributed.scheduler.allowed-failures": 1,
    "distributed.deploy.lost-worker-timeout": "300s",
    "logging.distributed": "critical",
}
"""Short times, and nodes that are given up after two losses."""
QUIET = ("distributed", "distributed.nanny", "distributed.scheduler", "distributed.worker")


@contextmanager
def local_cluster(nodes: int, **options: Any) -> Iterator[Any]:
    """A scheduler in this process, and nodes that are processes with one thread each."""
    import dask
    import distributed

    make: Any = distributed.LocalCluster  # which has no types

    for name in QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    settings = {"threads_per_worker": 1, "dashboard_address": ":0", **options}
    with (
        dask.config.set(CONFIG),
        make(n_workers=nodes, processes=True, **settings) as cluster,
    ):
        all_nodes_back(cluster, nodes)
        yield cluster


def node_pids(cluster: Any) -> dict[str, int]:
    """The processes of a cluster's nodes, by address."""
    return {
        nanny.worker_address: nanny.pid
        for nanny in cluster.workers.values()
        if nanny.worker_address is not None and nanny.pid is not None
    }


def power_off(cluster: Any, address: str) -> int:
    """Kill the process of a node; return what its ID was."""
    pid = node_pids(cluster)[address]
    os.kill(pid, signal.SIGKILL)
    return pid


def all_nodes_back(cluster: Any, count: int) -> None:
    """Wait until so many nodes are there again: a nanny starts a new one for each that has died."""
    eventually(lambda: len(cluster.scheduler.workers) >= count, within=60)


@contextmanager
def started_cluster(nodes: int) -> Iterator[str]:
    """A cluster in processes of its own; yields its address."""
    program = [sys.executable, "-m", "tests.cluster.support", str(nodes)]
    with subprocess.Popen(program, stdin=PIPE, stdout=PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.communicate()


@contextmanager
def started_scheduler(
    protocol: str, options: Sequence[str] = ()
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A scheduler with one node, as a user starts them; yields its address and its process."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "scheduler.json")
        program = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard"]
        where = ["--host", f"{protocol}://127.0.0.1", "--port", "0", "--scheduler-file", str(file)]
        with subprocess.Popen([*program, *where, *options], cwd=ROOT, stderr=DEVNULL) as process:
            try:
                address = eventually(lambda: _address_in(file), within=60)
                with started_node(address, options=options):
                    yield address, process
            finally:
                process.kill()


def _address_in(file: Path) -> str | None:
    try:
        address: str = json.loads(file.read_text())["address"]
    except (OSError, ValueError):  # it is not there yet, or being written
        return None
    return address


@contextmanager
def started_node(
    scheduler: str, env: dict[str, str] | None = None, options: Sequence[str] = ()
) -> Iterator[int]:
    """Another node of a cluster, without a nanny; yields its process's ID."""
    options = ["--no-nanny", "--nthreads", "1", "--no-dashboard", *options]
    program = [sys.executable, "-m", "distributed.cli.dask_worker", scheduler, *options]
    variables = {**os.environ, **(env or {})}
    with subprocess.Popen(program, env=variables, cwd=ROOT, stderr=DEVNULL) as process:
        try:
            yield process.pid
        finally:
            process.kill()


if __name__ == "__main__":
    with local_cluster(int(sys.argv[1])) as there:
        print(there.scheduler_address, flush=True)
        sys.stdin.read()
