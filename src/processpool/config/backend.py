"""The `backend` section: where the workers are, on this machine or on the nodes of a cluster.

Two rules hold here. `kind` decides which other keys are valid. And nothing here says what a worker
is: the same `worker` section holds wherever it runs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema
from pydantic import field_validator as validates

from processpool.config.fields import (
    Count,
    Duration,
    File,
    Interpolatable,
    Positive,
    PositiveDuration,
    PositiveSize,
)
from processpool.config.section import Section

_ADDRESS = re.compile(r"[a-z]+://\S+")


def _address(value: str) -> str:
    if not _ADDRESS.fullmatch(value):
        raise ValueError("must be a scheduler's address, such as tcp://host:8786")
    return value


def _whole_or_cores(value: object) -> object:
    if value == "cores" and isinstance(value, str):
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("must be a whole number of at least 1, or cores")
    return value


_CORES_SCHEMA = {"anyOf": [{"type": "integer", "minimum": 1}, {"const": "cores"}]}
Address = Annotated[str, AfterValidator(_address)]
PerNode = Annotated[
    int, BeforeValidator(_whole_or_cores), Interpolatable, WithJsonSchema(_CORES_SCHEMA)
]


class LocalBackendConfig(Section):
    """The workers are processes of this machine."""

    kind: Literal["local"] = "local"
    """local: on this machine."""


class TlsConfig(Section):
    """The files with which this process and the cluster trust each other."""

    ca: File
    """The certificate of the authority that both trust."""
    cert: File
    """This process's certificate."""
    key: File
    """The key of that certificate."""


class BatchConfig(Section):
    """How much travels to a node at a time."""

    target: PositiveDuration = 0.1
    """How long a node should work on a batch."""
    max_items: Positive = 10_000
    """The most items of a batch."""
    max_bytes: PositiveSize = 4_000_000
    """The most bytes of a batch; an item that is larger travels by itself."""


class WaitForNodesConfig(Section):
    """The nodes that must be ready before a pool counts as open."""

    min: Count = 1
    """So many nodes. 0: work may be submitted before there are any."""
    timeout: Duration = 60.0
    """How long to wait for them."""


class DaskBackendConfig(Section):
    """The workers are on the nodes of a Dask cluster, a pool of them on each."""

    kind: Literal["dask"]
    """dask: on the nodes of a Dask cluster."""
    scheduler: Address | None = None
    """The scheduler's address: tcp://host:8786 or tls://host:8786. Without it, a client must be
    passed to ProcessPool.from_yaml."""
    tls: TlsConfig | None = None
    """The certificates for a tls:// address."""
    workers_per_node: PerNode = Field(
        default=0, validate_default=False, json_schema_extra={"default": "cores"}
    )
    """The most workers of each node, in the place of size.max: a number, or cores."""
    batches_per_node: Positive = 2
    """How many batches a node may have at a time: one is worked on, the others are at hand."""
    batch: BatchConfig = BatchConfig()
    """How much travels to a node at a time."""
    on_node_loss: Literal["retry", "error"] = "retry"
    """What becomes of a lost node's items: done again, maybe twice, or failed."""
    wait_for_nodes: WaitForNodesConfig = WaitForNodesConfig()
    """The nodes that must be ready before a pool counts as open."""

    if TYPE_CHECKING:
        # Sections may be given as mappings, which the signature from the fields does not allow.
        def __init__(self, /, **data: Any) -> None: ...

    @validates("tls")
    @classmethod
    def _fits_address(cls, value: TlsConfig | None, info: ValidationInfo) -> TlsConfig | None:
        address = info.data.get("scheduler")
        if value is not None and address is not None and not address.startswith("tls://"):
            raise ValueError("needs a scheduler whose address begins with tls://")
        return value


BackendSection = Annotated[LocalBackendConfig | DaskBackendConfig, Field(discriminator="kind")]
