"""What a type checker must pass, and what it must not: the lines that end with `# wrong`.

This file is checked and never run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

from processpool import Lease, Outcome, Outcomes, PoolConfig, PoolFuture, ProcessPool, Shared

if TYPE_CHECKING:
    from pathlib import Path


def length(text: str) -> int:
    return len(text)


def scale(number: int, *, factor: float = 1.0) -> float:
    return number * factor


def add(first: int, second: float) -> float:
    return first + second


def functions(pool: ProcessPool, paths: list[Path]) -> None:
    assert_type(pool.call(length, "a"), int)
    assert_type(pool.submit(scale, 1, factor=2.0), PoolFuture[float])
    assert_type(pool.submit(scale, 1).result(), float)
    assert_type(pool.map(length, ["a", "b"]), list[int])
    assert_type(pool.map(add, [1, 2], [1.0, 2.0]), list[float])
    assert_type(pool.map(length, ["a"], on_error="return"), list[int | Exception])
    assert_type(pool.map(length, ["a"], details=True), Outcomes)
    assert_type(next(pool.imap(length, ["a"])), int)
    assert_type(next(pool.imap_unordered(length, ["a"], details=True)), Outcome)
    pool.map(length, ["a"], timeout="30s", progress="lengths", journal="a.journal", chunksize=10)
    pool.call(length, 1)  # wrong
    pool.submit(scale, 1, facter=2.0)  # wrong
    pool.submit(add, 1, 2, 3)  # wrong
    pool.map(length, [1, 2])  # wrong
    pool.map(add, [1, 2], ["a", "b"])  # wrong
    pool.map(length, ["a"], on_eror="skip")  # wrong
    pool.map(length, ["a"], on_error="ignore")  # wrong
    pool.map(length, [1], details=True)  # wrong
    pool.map(length)  # wrong
    pool.imap(length, ["a"], timeout=b"30s")  # wrong
    length(pool.call(length, "a"))  # wrong


def data(pool: ProcessPool) -> None:
    pool.call("a message")
    pool.call({"a": 1})
    pool.call(1, 2, by_name=3)
    pool.submit(b"bytes").result()
    pool.map(["a", "b"])
    pool.map([1, 2], [3, 4], on_error="skip")
    assert_type(pool.map(["a"], details=True), Outcomes)
    pool.map(3)  # wrong


def records(pool: ProcessPool) -> None:
    outcome = pool.map(length, ["a"], details=True)[0]
    assert_type(outcome.stderr, str)
    print(outcome.stdeer)  # wrong
    print(pool.submit(length, "a").stdout)
    print(pool.submit(length, "a").stdot)  # wrong
    lease: Lease = pool.lease()
    lease.sned("a")  # wrong
    config: PoolConfig = pool.config
    print(config.size.max)
    with pool.share(b"abc") as shared:
        assert_type(shared, Shared)
        pool.call(length, shared)


async def asynchronous(pool: ProcessPool) -> None:
    assert_type(await pool.acall(length, "a"), int)
    await pool.acall(length, 1)  # wrong
    async for number in pool.aimap(length, ["a"]):
        assert_type(number, int)


def declarations() -> None:
    ProcessPool(max_workers=4, setup=print, timeouts={"request": "30s"})
    ProcessPool(command=["cat"], protocol="lines", codec="bytes")
    ProcessPool(max_worker=4)  # wrong
    ProcessPool(command=["cat"], codec="utf-8")  # wrong
    ProcessPool(4)  # wrong
