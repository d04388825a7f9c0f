"""Declaration of a pool by keyword arguments: `ProcessPool(command=["sed", "-u", "p"], size=…)`.

Two rules hold here. Every argument is a key of the YAML file: one of the pool, or one of `worker`,
whose `kind` follows from whether there is a `command`. The only other name is `max_workers`, which
is `size.max`, as executors call it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from processpool.config.known_keys import models_of
from processpool.config.loading import pool_from_dict
from processpool.config.models import PoolConfig
from processpool.config.problems import Problem, config_error, nearest

if TYPE_CHECKING:
    from processpool.config.section import Section

SIZE = "size"
WORKER = "worker"
"""The section whose keys may be given without it."""
MAX_WORKERS = "max_workers"
"""The argument that means `size.max`, and the section that this is in."""
_MAX = f"{MAX_WORKERS}=…"
_RECYCLE = "recycle={'after_requests': …}"
FOREIGN_ARGUMENTS = {
    "num_workers": _MAX,
    "n_workers": _MAX,
    "workers": _MAX,
    "processes": _MAX,
    "n_jobs": _MAX,
    "min_workers": "size={'min': …}",
    "timeout": "timeouts={'request': …}",
    "initializer": "setup=…, a function without arguments (functools.partial gives it some)",
    "max_tasks_per_child": _RECYCLE,
    "maxtasksperchild": _RECYCLE,
    "chunksize": "nothing: fast items travel together by themselves",
}
"""Arguments of other process pools, with what to write instead."""


def pool_from_keywords(keywords: Mapping[str, Any], *, has_setup: bool = False) -> PoolConfig:
    """Build a pool's configuration from keyword arguments.

    Args:
        keywords: keys of a pool and of its worker, and `max_workers`.
        has_setup: True if there is a `setup` beside them that is a function.

    Raises:
        ConfigError: they do not declare a valid pool; the message lists all problems.
    """
    of_pool = PoolConfig.model_fields.keys() - {WORKER}
    models = models_of(PoolConfig, WORKER)
    of_worker = {key for model in models.values() for key in model.model_fields}
    known = [MAX_WORKERS, *sorted(of_pool | of_worker | {WORKER})]
    unknown = [key for key in keywords if key not in known]
    if unknown:
        raise config_error(Problem((key,), _unknown(key, known)) for key in unknown)
    data = {key: value for key, value in keywords.items() if key in of_pool}
    if MAX_WORKERS in keywords:
        data[SIZE] = _with_max(data.get(SIZE), keywords[MAX_WORKERS])
    given = {key: value for key, value in keywords.items() if key in of_worker}
    data[WORKER] = _worker(keywords.get(WORKER), given, models, has_setup=has_setup)
    return pool_from_dict(data)


def _worker(
    section: object, given: dict[str, Any], models: dict[str, Any], *, has_setup: bool
) -> object:
    """Return the `worker` section, made from a mapping and the arguments that belong into it."""
    if section is not None and not isinstance(section, Mapping):
        return section  # refused later, where it is validated
    worker = {**(section or {}), **given}
    kind = worker.setdefault("kind", "command" if "command" in worker else "python")
    model: type[Section] | None = models.get(kind) if isinstance(kind, str) else None
    if model is None:
        return worker
    strange = [key for key in given if key not in model.model_fields]
    problems = [Problem((key,), _misplaced(kind)) for key in strange]
    if has_setup and kind != "python":
        problems.append(Problem(("setup",), _misplaced(kind)))
    if problems:
        raise config_error(problems)
    return worker


def _misplaced(kind: str) -> str:
    if kind == "command":
        return "is for pools of Python functions, and this one has a command"
    return "is for programs; name one with command=[…]"


def _with_max(size: object, most: object) -> object:
    if size is None:
        return {"max": most}
    if not isinstance(size, Mapping):
        return size  # refused later, where it is validated
    if "max" in size:
        sentence = "is the same as size['max']; leave out one of them"
        raise config_error([Problem((MAX_WORKERS,), sentence)])
    return {**size, "max": most}


def _unknown(key: str, known: list[str]) -> str:
    """Return the sentence that there is no argument `key`, with what may be meant."""
    if key in FOREIGN_ARGUMENTS:
        return f"unknown argument; write {FOREIGN_ARGUMENTS[key]}"
    meant = nearest(key, known)
    if meant is not None:
        return f"unknown argument; did you mean {meant}?"
    for section, field in PoolConfig.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, BaseModel) and key in model.model_fields:
            return f"unknown argument; write {section}={{'{key}': …}}"
    return f"unknown argument; these are known: {', '.join(known)}"
