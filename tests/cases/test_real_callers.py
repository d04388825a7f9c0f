"""Libraries and servers that call pools: the real ones, where they are installed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from time import monotonic, sleep
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from tests.cases.conftest import PRELUDE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cases.conftest import Ran

DEADLINE = 60
WSGI = (
    PRELUDE
    + """
import os
opened = None

def square(x): return x * x

def app(environ, start):
    global opened
    if opened is None: opened = pool.open()
    start("200 OK", [("Content-Type", "text/plain")])
    return [f"{opened.call(square, 7)} {os.getpid()}".encode()]

pool = P()  # before the server forks, and opened in each of its processes
"""
)
ASGI = (
    PRELUDE
    + """
import os

def square(x): return x * x

pool = None

async def app(scope, receive, send):
    global pool
    if scope["type"] == "lifespan":
        while True:
            what = (await receive())["type"]
            if what.endswith("startup"): pool = P().open()
            else: pool.close()
            await send({"type": what + ".complete"})
            if what.endswith("shutdown"): return
    body = f"{await pool.acall(square, 7)} {os.getpid()}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""
)


def need(*modules: str, group: str = "test") -> None:
    for module in modules:
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed: pip install -e '.[{group}]'")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(port: int) -> list[str]:
    """What the server answers, as soon as it does."""
    deadline = monotonic() + DEADLINE
    while True:
        try:
            with urlopen(f"http://127.0.0.1:{port}/", timeout=DEADLINE) as answer:
                return str(answer.read().decode()).split()
        except OSError:
            assert monotonic() < deadline
            sleep(0.05)


def children(pid: int) -> set[int]:
    """Every process that descends from this one."""
    found = set[int]()
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as children_of_task:
            direct = set(map(int, children_of_task.read().split()))
        found |= direct
        for child in direct:
            with suppress(OSError):
                found |= children(child)
    return found


def await_gone(pids: set[int]) -> None:
    deadline = monotonic() + DEADLINE
    while any(os.path.exists(f"/proc/{pid}/exe") for pid in pids):
        assert monotonic() < deadline, "processes are left"
        sleep(0.05)


@contextmanager
def served(*arguments: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server that runs; at the end it is told to stop, and nothing of it may be left."""
    server = subprocess.Popen(
        [sys.executable, "-m", *arguments], cwd=folder, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        yield server
        family = children(server.pid)
        assert family
        server.send_signal(signal.SIGTERM)
        server.wait(DEADLINE)
        await_gone(family)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["", "preload"])
@pytest.mark.parametrize("kind", ["sync", "gthread"])
def test_gunicorn(tmp_path: Path, preload: tuple[str, ...], kind: str) -> None:
    need("gunicorn")
    (tmp_path / "served.py").write_text(WSGI)
    port = free_port()
    command = ("gunicorn", "-b", f"127.0.0.1:{port}", "-k", kind, *preload, "served:app")
    with served(*command, folder=tmp_path) as server:
        value, first = ask(port)
        assert value == "49"
        family = children(server.pid)
        server.send_signal(signal.SIGHUP)
        deadline = monotonic() + DEADLINE
        while (again := ask(port))[1] == first:
            assert monotonic() < deadline
        assert again[0] == "49"
        await_gone(family - {int(again[1])} - children(server.pid))


def test_uvicorn(tmp_path: Path) -> None:
    need("uvicorn")
    (tmp_path / "served.py").write_text(ASGI)
    port = free_port()
    with served("uvicorn", "--port", str(port), "served:app", folder=tmp_path):
        assert [ask(port)[0] for _ in range(3)] == ["49"] * 3


def test_uvicorn_with_processes_of_its_own(tmp_path: Path) -> None:
    need("uvicorn")
    (tmp_path / "served.py").write_text(ASGI)
    port = free_port()
    with served("uvicorn", "--port", str(port), "--workers", "2", "served:app", folder=tmp_path):
        assert {ask(port)[0] for _ in range(5)} == {"49"}


def test_scipy(run: Callable[..., Ran]) -> None:
    need("scipy", group="callers")
    ran = run(
        """
        import numpy as np
        from scipy.optimize import brute, differential_evolution

        def bowl(x): return float(np.sum((np.asarray(x) - 1) ** 2))

        if __name__ == "__main__":
            with P() as p:
                found = differential_evolution(
                    bowl, [(-3, 3)] * 2, workers=p.map, updating="deferred", rng=1, maxiter=30)
                grid = brute(bowl, [(-3, 3, 1)], workers=p.map, finish=None)
                print([[round(float(x), 2) for x in found.x], round(float(grid), 2)])
        """
    )
    assert ran.value == [[1.0, 1.0], 1.0]


def test_emcee(run: Callable[..., Ran]) -> None:
    need("emcee", group="callers")
    ran = run(
        """
        import numpy as np, emcee

        def log_probability(x): return -0.5 * float(np.sum(x ** 2))

        if __name__ == "__main__":
            start = np.random.default_rng(1).normal(size=(8, 2))
            with P() as p:
                sampler = emcee.EnsembleSampler(8, 2, log_probability, pool=p)
                sampler.run_mcmc(start, 10)
                print(list(sampler.get_chain().shape))
        """
    )
    assert ran.value == [10, 8, 2]


def test_numba(run: Callable[..., Ran]) -> None:
    need("numba", group="callers")
    ran = run(
        """
        import numba

        @numba.njit
        def total(n):
            found = 0
            for i in range(n): found += i
            return found

        @numba.njit(cache=True)
        def kept(n): return n + 1

        @numba.vectorize
        def double(x): return 2 * x

        if __name__ == "__main__":
            with P() as p:
                print([p.map(total, [10, 100]), total(5), p.call(kept, 1), int(p.call(double, 4)),
                       p.call(lambda n: total(n) + 1, 10)])
        """
    )
    assert ran.value == [[45, 4950], 10, 2, 8, 46]


def test_pydantic(run: Callable[..., Ran]) -> None:
    need("pydantic")
    ran = run(
        """
        from typing import Annotated, Generic, Literal, TypeVar
        from pydantic import (BaseModel, ConfigDict, Field, PrivateAttr, RootModel, ValidationError,
                              computed_field, field_validator, model_validator)
        from pydantic.dataclasses import dataclass

        T = TypeVar("T")
        class Inner(BaseModel):
            model_config = ConfigDict(frozen=True, extra="forbid")
            n: Annotated[int, Field(gt=0)]
        class Box(BaseModel, Generic[T]):
            item: T
            kind: Literal["a", "b"] = "a"
            _secret: int = PrivateAttr(default=5)
            @computed_field
            @property
            def twice(self) -> int: return 2 * self.item.n
            @field_validator("kind")
            @classmethod
            def check(cls, value): return value
            @model_validator(mode="after")
            def whole(self): return self
        class Many(RootModel[list[Inner]]): pass
        @dataclass
        class D:
            inner: Inner

        def change(box):
            box._secret += 1
            return box, Box[Inner](item=Inner(n=box.item.n + 1), kind="b")
        def wrong(_): Inner(n=-1)

        if __name__ == "__main__":
            with P() as p:
                same, new = p.call(change, Box[Inner](item=Inner(n=3)))
                try: p.call(wrong, 1)
                except ValidationError as error: count = error.error_count()
                many = p.call(lambda m: Many([*m.root, Inner(n=9)]), Many([Inner(n=1)]))
                d = p.call(lambda d: D(Inner(n=d.inner.n + 1)), D(Inner(n=1)))
                print([type(same) is Box[Inner], same._secret, new.twice, new.model_dump(), count,
                       many == Many([Inner(n=1), Inner(n=9)]), d == D(Inner(n=2)),
                       p.call(lambda: Inner.model_validate({"n": 4})) == Inner(n=4)])
        """
    )
    assert ran.value == [
        True, 6, 8, {"item": {"n": 4}, "kind": "b", "twice": 8}, 1, True, True, True,
    ]  # fmt: skip


def test_frames_that_arrive_can_be_written_to(run: Callable[..., Ran]) -> None:
    need("pandas")
    ran = run(
        """
        import numpy as np, pandas as pd
        def change(frame):
            frame.loc[0, "a"] = 7
            frame["b"] = frame["a"] * 2
            return frame
        if __name__ == "__main__":
            with P() as p:
                found = []
                for size in (3, 300_000):
                    frame = p.call(change, pd.DataFrame({"a": np.zeros(size)}))
                    frame.loc[1, "b"] = 5
                    frame["a"].to_numpy(copy=True)[0] = 1
                    found.append(frame.iloc[:2].to_numpy().tolist())
                print(found)
        """
    )
    assert ran.value == [[[7.0, 14.0], [0.0, 5.0]]] * 2


@pytest.mark.parametrize("flag", ["-I", "-s", "-E", "-O", "-B", "-P", "-Xutf8"])
def test_flags_of_the_interpreter(run: Callable[..., Ran], flag: str) -> None:
    ran = run(
        """
        import sys
        def told(): return [*sys.flags], dict(sys._xoptions), __debug__
        if __name__ == "__main__":
            with P() as p: print(p.call(told) == told())
        """,
        flags=(flag,),
    )
    assert ran.value is True
