"""The `backend` section: its defaults, and what its errors say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from processpool import ConfigError
from processpool.config import DaskBackendConfig, load_pool, pool_from_dict

WORKER = {"kind": "python"}
ADDRESS = "tcp://host:8786"


def backend(**keys: Any) -> Any:
    return pool_from_dict({"worker": WORKER, "backend": keys}).backend


def test_without_it_the_workers_are_on_this_machine() -> None:
    assert pool_from_dict({"worker": WORKER}).backend.kind == "local"


def test_defaults() -> None:
    section = backend(kind="dask", scheduler=ADDRESS)
    assert isinstance(section, DaskBackendConfig)
    assert (section.workers_per_node, section.batches_per_node) == (0, 2)
    assert section.batch.model_dump() == {
        "target": 0.1,
        "max_items": 10_000,
        "max_bytes": 4_000_000,
    }
    assert (section.on_node_loss, section.wait_for_nodes.min) == ("retry", 1)
    assert section.wait_for_nodes.timeout == 60.0


def test_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "pool.yaml"
    path.write_text(
        "worker: {kind: python}\n"
        "backend:\n"
        "  kind: dask\n"
        "  scheduler: tls://${HOST}:8786\n"
        "  tls: {ca: ca.pem, cert: cert.pem, key: /keys/key.pem}\n"
        "  workers_per_node: cores\n"
        "  batches_per_node: 3\n"
        "  batch: {target: 50ms, max_items: 10, max_bytes: 1MB}\n"
        "  on_node_loss: error\n"
        "  wait_for_nodes: {min: 0, timeout: 5s}\n"
    )
    section = load_pool(path, environ={"HOST": "here"}).backend
    assert isinstance(section, DaskBackendConfig)
    assert section.scheduler == "tls://here:8786"
    assert section.tls is not None
    assert (section.tls.ca, section.tls.key) == (tmp_path / "ca.pem", Path("/keys/key.pem"))
    assert (section.batch.target, section.batch.max_bytes) == (0.05, 1_000_000)
    assert section.wait_for_nodes.min == 0


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"kind": "dsk"}, 'backend.kind: must be local or dask, got "dsk"; did you mean dask?'),
        ({"scheduler": ADDRESS}, "backend.kind: is required: local or dask"),
        (
            {"kind": "dask", "batches_per_nod": 2},
            "backend.batches_per_nod: unknown key; did you mean batches_per_node?",
        ),
        (
            {"kind": "local", "scheduler": ADDRESS},
            "backend.scheduler: unknown key; known here: kind",
        ),
        (
            {"kind": "dask", "batch": {"max_item": 1}},
            "backend.batch.max_item: unknown key; did you mean max_items?",
        ),
        (
            {"kind": "dask", "scheduler": "host:8786"},
            "backend.scheduler: must be a scheduler's address, such as tcp://host:8786, "
            'got "host:8786"',
        ),
        (
            {"kind": "dask", "workers_per_node": 0},
            "backend.workers_per_node: must be a whole number of at least 1, or cores, got 0",
        ),
        (
            {"kind": "dask", "on_node_loss": "retri"},
            'backend.on_node_loss: must be retry or error, got "retri"; did you mean retry?',
        ),
        (
            {"kind": "dask", "scheduler": ADDRESS, "tls": {"ca": "a", "cert": "b", "key": "c"}},
            "backend.tls: needs a scheduler whose address begins with tls://, got a mapping",
        ),
    ],
)
def test_one_fault(keys: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        backend(**keys)
    assert str(caught.value) == expected


def test_a_fault_has_its_place(tmp_path: Path) -> None:
    path = tmp_path / "pool.yaml"
    path.write_text("worker: {kind: python}\nbackend:\n  kind: dask\n  schedular: tcp://a:1\n")
    with pytest.raises(ConfigError) as caught:
        load_pool(path)
    assert str(caught.value).endswith(
        "pool.yaml:4:3: backend.schedular: unknown key; did you mean scheduler?"
    )
