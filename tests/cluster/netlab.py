"""Hosts made of network namespaces on one machine: a bridge, veth pairs, a scheduler, and nodes.

    with Lab(nodes=3) as lab:
        pool = ProcessPool.from_dict({..., "backend": {"kind": "dask", "scheduler": lab.address}})
        lab.cut(1)        # nothing that host 1 sends arrives any more, and nobody is told
        lab.power_off(2)  # all processes of host 2 are killed
        pool.close()      # before the lab: a client whose scheduler is gone waits for it

It takes root and a kernel that allows network namespaces; `why_not` says what is missing. Names are
random, and short, as those of network interfaces have 15 characters at most.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from subprocess import DEVNULL
from typing import TYPE_CHECKING

from tests.process.support import eventually

if TYPE_CHECKING:
    from typing import Self

ROOT = Path(__file__).parents[2]
TIMEOUT = 12.0
"""Seconds after which a connection over which nothing comes counts as lost."""
PORT = 8786


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, stdout=DEVNULL, stderr=subprocess.PIPE)


def why_not() -> str:
    """Say why there can be no lab here; empty if there can."""
    if os.geteuid() != 0:
        return "network namespaces take root"
    if shutil.which("ip") is None:
        return "there is no `ip`: install iproute2"
    name = f"pp{secrets.token_hex(3)}"
    try:
        _ip("netns", "add", name)
        _ip("link", "add", f"{name}b", "type", "bridge")
        _ip("link", "del", f"{name}b")
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", b"") or b""
        return f"the kernel allows no network namespaces: {said.decode().strip() or error}"
    finally:
        with suppress(subprocess.CalledProcessError):
            _ip("netns", "del", name)
    return ""


class Lab:
    """A network of a scheduler's host and several nodes' hosts, numbered from 1."""

    def __init__(self, nodes: int) -> None:
        self._name = f"pp{secrets.token_hex(3)}"
        self._net = f"10.{secrets.randbelow(100) + 100}.{secrets.randbelow(250)}"
        self._nodes = nodes
        self._stack = ExitStack()
        self._processes: dict[int, list[subprocess.Popen[bytes]]] = {}
        self.address = f"tcp://{self._net}.1:{PORT}"
        """The scheduler's."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._stack = stack
            bridge = f"{self._name}b"
            _ip("link", "add", bridge, "type", "bridge")
            stack.callback(_ip, "link", "del", bridge)
            _ip("addr", "add", f"{self._net}.254/24", "dev", bridge)
            _ip("link", "set", bridge, "up")
            self._add_host(0)
            program = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard"]
            self.start(0, [*program, "--host", f"{self._net}.1", "--port", str(PORT)])
            for number in range(1, self._nodes + 1):
                self.join(number)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # -- hosts -------------------------------------------------------------------------------------

    def _add_host(self, number: int) -> None:
        host, outside = self._host(number), self._outside(number)
        _ip("netns", "add", host)
        self._stack.callback(_ip, "netns", "del", host)
        _ip("link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", host)
        _ip("link", "set", outside, "master", f"{self._name}b", "up")
        _ip("-n", host, "addr", "add", f"{self._net}.{number + 1}/24", "dev", "eth0")
        _ip("-n", host, "link", "set", "eth0", "up")
        _ip("-n", host, "link", "set", "lo", "up")
        self._stack.callback(self.power_off, number)

    def _host(self, number: int) -> str:
        return f"{self._name}h{number}"

    def _outside(self, number: int) -> str:
        return f"{self._name}v{number}"

    def join(self, number: int, env: dict[str, str] | None = None) -> None:
        """Add a host, and start a node on it."""
        self._add_host(number)
        options = ["--nthreads", "1", "--no-dashboard", "--no-nanny"]
        program = [sys.executable, "-m", "distributed.cli.dask_worker", self.address, *options]
        here = f"{self._net}.{number + 1}"
        self.start(number, [*program, "--host", here, "--name", f"host{number}"], env)

    def start(self, number: int, command: list[str], env: dict[str, str] | None = None) -> None:
        """Start a program on a host."""
        variables = {
            **os.environ,
            "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": f"{TIMEOUT:g}s",
            "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": f"{TIMEOUT:g}s",
            **(env or {}),
        }
        process = subprocess.Popen(
            [shutil.which("ip") or "ip", "netns", "exec", self._host(number), *command],
            env=variables,
            cwd=ROOT,
            stdout=DEVNULL,
            stderr=DEVNULL,
            start_new_session=True,
        )
        self._processes.setdefault(number, []).append(process)

    def pids(self, number: int) -> list[int]:
        """The processes that run on a host."""
        found = subprocess.run(
            ["ip", "netns", "pids", self._host(number)], check=False, capture_output=True, text=True
        )
        return [int(word) for word in found.stdout.split()]

    # -- what happens to them ----------------------------------------------------------------------

    def power_off(self, number: int) -> None:
        """Kill all processes of a host at once."""

        def is_off() -> bool:
            for pid in self.pids(number):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not self.pids(number)

        eventually(is_off)
        for process in self._processes.pop(number, []):
            process.wait()

    def link(self, number: int, *, up: bool) -> None:
        """Pull out a host's cable, or put it in again."""
        _ip("-n", self._host(number), "link", "set", "eth0", "up" if up else "down")

    def cut(self, number: int) -> None:
        """Let a host's packets vanish: its cable is in, and nobody is told."""
        _ip("link", "set", self._outside(number), "nomaster")

    def heal(self, number: int) -> None:
        """Let them through again."""
        _ip("link", "set", self._outside(number), "master", f"{self._name}b")
