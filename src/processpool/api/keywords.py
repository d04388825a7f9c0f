"""The keywords of `ProcessPool(…)`, for type checkers and for whoever looks them up.

They are the keys of the YAML file, which says more about each; `config/keywords.py` reads them. A
test compares this list with the models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    Section = Mapping[str, Any]
    """A section of the file, as a mapping of its keys."""


class PoolKeywords(TypedDict, total=False):
    """What a pool can be declared by, in the call that makes it; besides, there is `setup`."""

    max_workers: int | str
    """The most workers: `size.max`."""
    name: str
    """The pool's name in logs and the widget."""
    worker: Section
    """The keys below that are about the worker, as a mapping."""
    size: Section
    """The number of workers: `min`, `max`, `spare`."""
    queue: Section
    """The items that wait: `max_pending`, `when_full`."""
    timeouts: Section
    """Time limits: `start`, `request`, `idle`, `exit`."""
    retry: Section
    """Retries of failed items: `attempts`, `on`."""
    recycle: Section
    """The regular replacement of workers: `after_requests`, `after`, `above_memory`, `jitter`."""
    memory: Section
    """The memory of all workers together: `budget`, `per_item`, `on_exceeded`."""
    limits: Section
    """Limits on each worker: `memory`, `cpu_time`, `open_files`, `nice`."""
    restart: Section
    """What failed starts lead to: `max_failures`, `within`, `backoff`."""
    backend: Section
    """Where the workers are: `kind: local`, or `kind: dask` and more."""
    telemetry: Section
    """What others are told of the pool's work: `otel`."""
    inline: bool
    """Run the functions in this process, for a debugger or a profiler."""
    widget: Literal["auto", "off"]
    """Whether a notebook shows the live widget."""

    kind: Literal["command", "python"]
    """The kind of worker: by default `command` if there is one, otherwise `python`."""
    cwd: str | os.PathLike[str]
    """The workers' current folder."""
    env: Mapping[str, str]
    """Environment variables of the workers."""
    inherit_env: bool | Sequence[str]
    """Whether workers inherit this environment: True, False, or a list of names."""
    each: Mapping[str, Sequence[str | int]]
    """Environment variables with a list of values, one for each slot in turn."""

    command: str | Sequence[str]
    """The program and its arguments: a list, or a string that is split as a shell would."""
    protocol: str | Section
    """The protocol: a preset's name, or a mapping."""
    stdout: Literal["pipe", "pty"]
    """The program's stdout."""
    codec: Literal["text", "bytes", "json"]
    """A message's form in Python."""

    handler: str
    """The function that answers a message, as `package.module:attribute`."""
    teardown: str
    """A function called once in each worker, when it is asked to exit."""
    path: Sequence[str | os.PathLike[str]]
    """Folders put in front of `sys.path`."""
    preload: Sequence[str]
    """Modules that are imported before a worker counts as ready."""
    threads: int | None
    """How many threads numerical libraries may use in each worker."""
    reload: Literal["auto", "never"]
    """Whether workers reload source files that have changed."""
