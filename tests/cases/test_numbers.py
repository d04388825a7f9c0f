"""A number may come out of a variable, and a time be written as in the YAML."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from processpool import ConfigError, ProcessPool
from processpool.config import CommandWorkerConfig, load_pool

if TYPE_CHECKING:
    from pathlib import Path

ENVIRON = {"MAX": "3", "T": "30", "MEM": "1048576", "NICE": "-1", "J": "0.5", "DIR": "data"}


@pytest.mark.parametrize("mark", ["${%s}", '"${%s}"', "'${%s}'"])
def test_interpolated_numbers(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "pool.yaml"
    put = {name.lower(): mark % name for name in ENVIRON}
    path.write_text(
        "worker: {{kind: python, cwd: {dir}}}\n"
        "size: {{max: {max}, min: 1}}  # ${{COMMENT}}\n"
        "timeouts: {{request: {t}}}\n"
        "recycle: {{jitter: {j}, above_memory: {mem}, after_requests: {max}}}\n"
        "limits: {{nice: {nice}}}\n".format(**put)
    )
    config = load_pool(path, environ=ENVIRON)
    assert config.size.max == config.recycle.after_requests == 3
    assert config.timeouts.request == 30.0
    assert (config.recycle.jitter, config.recycle.above_memory) == (0.5, 1 << 20)
    assert config.limits.nice == -1
    assert config.worker.cwd == tmp_path / "data"


def test_what_is_no_number_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pool.yaml"
    path.write_text('worker: {kind: python}\nsize: {max: "${MAX}", min: "1"}\n')
    with pytest.raises(ConfigError) as refused:
        load_pool(path, environ={"MAX": "many"})
    assert [line.partition(": ")[2] for line in refused.value.problems] == [
        'size.max: must be a whole number or cpu, got "${MAX}"',
        'size.min: must be a whole number or cpu, got "1"',
    ]


def test_a_name_may_be_made_of_digits(tmp_path: Path) -> None:
    path = tmp_path / "pool.yaml"
    path.write_text('name: "${NAME}"\nworker: {kind: python, env: {A: "${NAME}"}}\n')
    config = load_pool(path, environ={"NAME": "7"})
    assert config.name == "7"
    assert config.worker.env["A"].get_secret_value() == "7"


@pytest.mark.parametrize("value", ["8080", "0.5", "yes", "null", "08"])
def test_what_can_only_be_text_needs_no_quotes(tmp_path: Path, value: str) -> None:
    path = tmp_path / "pool.yaml"
    path.write_text("name: ${V}\nworker: {kind: command, command: [cat, ${V}, -${V}], cwd: ${V}}\n")
    config = load_pool(path, environ={"V": value})
    assert config.name == value
    assert isinstance(config.worker, CommandWorkerConfig)
    assert config.worker.command == ("cat", value, f"-{value}")
    assert config.worker.cwd == tmp_path / value


@pytest.mark.parametrize(
    ("key", "where"), [("max_workers", "size: {max: …}"), ("timeout", "timeouts: {request: …}")]
)
def test_what_other_pools_call_it(key: str, where: str) -> None:
    with pytest.raises(ConfigError, match="write " + where):
        ProcessPool.from_dict({"worker": {"kind": "python"}, key: 4})


def test_times_and_chunk_sizes_in_python() -> None:
    with ProcessPool.from_dict({"worker": {"kind": "python"}, "size": {"max": 1}}) as pool:
        assert pool.wait_ready("30s")
        assert pool.map(abs, [-1], timeout="1m", chunksize=4) == [1]
        assert list(pool.imap(abs, [-1], chunksize=4)) == [1]
        assert list(pool.imap_unordered(abs, [-1], chunksize=4)) == [1]

        async def listed() -> list[int]:
            return [value async for value in pool.aimap(abs, [-1], chunksize=4)]

        assert asyncio.run(listed()) == [1]
        with pytest.raises(ValueError, match=r"timeout must be a duration such as .* got '30x'"):
            pool.map(abs, [1], timeout="30x")
        assert pool.drain("1s")
        pool.close("2s")
