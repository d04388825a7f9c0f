"""A cluster under TLS, with certificates made here: who is trusted, and what others are told."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from processpool import ProcessPool, WorkerStartFailed
from tests.cluster.support import started_scheduler

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")

Files = dict[str, str]


def double(number: int) -> int:
    return 2 * number


def _openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], check=True, cwd=folder, capture_output=True)


def _make_certificate(folder: Path) -> Files:
    """An authority, and a certificate that it has signed."""
    folder.mkdir()
    new = ("req", "-newkey", "rsa:2048", "-nodes", "-keyout")
    _openssl(folder, *new, "ca.key", "-x509", "-out", "ca.pem", "-subj", f"/CN={folder.name}")
    _openssl(folder, *new, "me.key", "-out", "me.csr", "-subj", "/CN=localhost")
    sign = ("x509", "-req", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial")
    _openssl(folder, *sign, "-in", "me.csr", "-out", "me.pem")
    names = {"ca": "ca.pem", "cert": "me.pem", "key": "me.key"}
    return {key: str(folder / name) for key, name in names.items()}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The files of somebody whom the cluster trusts."""
    return _make_certificate(tmp_path_factory.mktemp("tls") / "good")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Those of somebody else."""
    return _make_certificate(tmp_path_factory.mktemp("tls") / "other")


@pytest.fixture(scope="module")
def scheduler(good: Files) -> Iterator[str]:
    """The address of a cluster of one node."""
    words = ["--tls-ca-file", good["ca"], "--tls-cert", good["cert"], "--tls-key", good["key"]]
    with started_scheduler("tls", words) as (address, _):
        yield address


def _pool(scheduler: str, tls: Files | None) -> ProcessPool:
    place: dict[str, Any] = {"kind": "dask", "scheduler": scheduler, "workers_per_node": 1}
    if tls is not None:
        place["tls"] = tls
    return ProcessPool.from_dict({"worker": {"kind": "python"}, "backend": place})


def test_with_the_right_files_all_is_as_ever(scheduler: str, good: Files) -> None:
    with _pool(scheduler, good) as pool:
        assert pool.map(double, range(500)) == [*map(double, range(500))]


@pytest.mark.parametrize("wrong", ["all", "cert", "ca", "none"])
def test_who_is_not_trusted_is_told_so(
    scheduler: str, good: Files, other: Files, wrong: str
) -> None:
    tls = {
        "all": other,
        "cert": {**other, "ca": good["ca"]},
        "ca": {**good, "ca": other["ca"]},
        "none": None,
    }[wrong]
    with pytest.raises(WorkerStartFailed, match=r"do not trust each other: .*backend\.tls") as told:
        _pool(scheduler, tls).open()
    assert scheduler in str(told.value)
    assert "dask scheduler" not in str(told.value)


def test_a_file_that_is_missing_is_named(scheduler: str, good: Files) -> None:
    tls = {**good, "key": f"{good['key']}.gone"}
    with pytest.raises(WorkerStartFailed, match=r"backend\.tls\.key: .*me\.key\.gone"):
        _pool(scheduler, tls).open()
