"""Loading of a `PoolConfig` from a file or a dictionary.

    bytes ─yaml_source─▶ tree ─reading─▶ document ─overrides─▶ document ─models─▶ PoolConfig
                           └───────────────┴─── problems ───────┴────explain──────┘

Two rules hold here. Every stage adds its problems to one list, which is raised at the end. And all
pools of a file are validated, but only the variables of the chosen one must be set.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from processpool.config.document import Document, plain
from processpool.config.explain import explain
from processpool.config.folder import current_folder
from processpool.config.models import PoolConfig
from processpool.config.overrides import apply_overrides
from processpool.config.pools import Declared, choose, declared_pools
from processpool.config.problems import Problem, config_error
from processpool.config.reading import read_document
from processpool.config.yaml_source import Source, read_source


def load_pool(
    path: str | os.PathLike[str],
    *,
    pool: str | None = None,
    overrides: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> PoolConfig:
    """Load the pool that a YAML file declares.

    Args:
        path: The file. Folders in it are relative to the file's own folder.
        pool: The pool's name, if the file declares several under `pools:`.
        overrides: Values by dotted path, such as `{"size.max": 8}`, that replace the file's.
        environ: The variables for `${NAME}`; by default this process's environment.

    Raises:
        ConfigError: The file does not declare a valid pool. The message lists all problems, one
            a line.
    """
    source = read_source(path)
    config, problems = _load(source, pool, overrides, os.environ if environ is None else environ)
    if config is None or problems:
        raise config_error(problems, source.label)
    return config


def pool_from_dict(
    data: Mapping[str, object],
    *,
    base: str | os.PathLike[str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> PoolConfig:
    """Build a pool's configuration from a mapping with the keys of the YAML file.

    Args:
        data: The same mapping as in a file with one pool. `${NAME}` is not substituted.
        base: The folder that folders in it are relative to; by default the current folder.
        overrides: Values by dotted path that replace those in `data`.

    Raises:
        ConfigError: The data does not declare a valid pool.
    """
    if not isinstance(data, Mapping):
        raise config_error([Problem((), f"must be a mapping, got a {type(data).__name__}")])
    config, problems = _validated(Document(plain(data)), overrides, current_folder() / (base or ""))
    if config is None or problems:
        raise config_error(problems)
    return config


def _load(
    source: Source,
    pool: str | None,
    overrides: Mapping[str, object] | None,
    environ: Mapping[str, str],
) -> tuple[PoolConfig | None, list[Problem]]:
    problems = list(source.problems)
    declared, more = declared_pools(source)
    problems += more
    chosen, more = choose(declared, pool)
    problems += more
    result = None
    for each in declared:
        used = each is chosen
        config, more = _read(
            each, source.label, overrides if used else None, environ if used else None
        )
        problems += more
        result = config if used else result
    return result, problems


def _read(
    declared: Declared,
    label: str,
    overrides: Mapping[str, object] | None,
    environ: Mapping[str, str] | None,
) -> tuple[PoolConfig | None, list[Problem]]:
    document, problems = read_document(declared.node, declared.prefix, environ)
    if isinstance(document.data, dict):
        document.data.setdefault("name", declared.name)
    config, more = _validated(document, overrides, _folder_of(label))
    # A value that the caller overrides is no longer the file's problem.
    kept = [p for p in problems if not document.is_overridden(p.path[len(declared.prefix) :])]
    return config, kept + more


def _folder_of(label: str) -> Path:
    return Path(os.path.abspath(current_folder() / label)).parent


def _validated(
    document: Document, overrides: Mapping[str, object] | None, base: Path
) -> tuple[PoolConfig | None, list[Problem]]:
    problems = [] if overrides is None else apply_overrides(document, overrides)
    try:
        return PoolConfig.model_validate(document.data, context={"base": base}), problems
    except ValidationError as error:
        return None, problems + explain(error, document, PoolConfig)
