"""The pools that a file declares: one, or several under `pools:`.

Two rules hold here. No other key is allowed beside `pools:`. And if a file declares a single pool,
the caller need not name it.
"""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import TYPE_CHECKING, NamedTuple

from processpool.config.document import kind_of
from processpool.config.nodes import Broken, Mapping, Node, Path, Place, Scalar
from processpool.config.problems import Problem, nearest, one_line

if TYPE_CHECKING:
    from processpool.config.yaml_source import Source

_POOLS = "pools"


class Declared(NamedTuple):
    """A pool in a file: its mapping, and its name unless the mapping has a `name` of its own."""

    name: str
    node: Mapping
    prefix: Path
    place: Place


def declared_pools(source: Source) -> tuple[list[Declared], list[Problem]]:
    """Return the pools of a file, and the problems at this level."""
    tree = source.tree
    if tree is None or isinstance(tree, Broken):
        return [], []
    if not isinstance(tree, Mapping):
        sentence = f"must be a mapping of keys such as worker and size, got {_kind(tree)}"
        return [], [Problem((), sentence, tree.place)]
    if _POOLS not in tree.entries:
        return [Declared(_own_name(tree) or _stem(source.label), tree, (), tree.place)], []
    return _several(tree)


def _several(tree: Mapping) -> tuple[list[Declared], list[Problem]]:
    problems = [
        Problem((key,), "nothing else may stand beside pools; put it into one of them", place)
        for key, (place, _) in tree.entries.items()
        if key != _POOLS
    ]
    place, pools = tree.entries[_POOLS]
    if not isinstance(pools, Mapping) or not pools.entries:
        if not isinstance(pools, Broken):
            sentence = "must be a mapping of at least one name to a pool"
            problems.append(Problem((_POOLS,), sentence, pools.place))
        return [], problems
    declared = []
    for name, (_, node) in pools.entries.items():
        path: Path = (_POOLS, name)
        if isinstance(node, Mapping):
            declared.append(Declared(name, node, path, place))
        elif not isinstance(node, Broken):
            problems.append(Problem(path, f"must be a mapping, got {_kind(node)}", node.place))
    return declared, problems


def choose(declared: list[Declared], pool: str | None) -> tuple[Declared | None, list[Problem]]:
    """Return the pool named `pool`, or the only one; and the problem if there is none."""
    if not isinstance(pool, str | None):
        place = declared[0].place if declared else None
        return None, [Problem((), f"pool= must be a pool's name, got {kind_of(pool)}", place)]
    if len(declared) == 1 and pool is None:
        return declared[0], []
    if not declared:
        return None, []
    found = next((each for each in declared if each.name == pool), None)
    if found is not None:
        return found, []
    names = ", ".join(one_line(each.name) for each in declared)
    return None, [Problem((), _which(pool, names, declared), declared[0].place)]


def _which(pool: str | None, names: str, declared: list[Declared]) -> str:
    if pool is None:
        return f"several pools are declared; say which with pool=: {names}"
    meant = nearest(pool, [each.name for each in declared])
    hint = f"; did you mean {meant}?" if meant else ""
    return f"there is no pool {one_line(pool)}{hint} (declared: {names})"


def _own_name(tree: Mapping) -> str | None:
    _, name = tree.entries.get("name", (None, None))
    return name.text if isinstance(name, Scalar) else None


def _stem(label: str) -> str:
    stem = FilePath(label).stem
    return stem if stem.strip() and stem.isprintable() else "pool"


def _kind(node: Node) -> str:
    if isinstance(node, Mapping):
        return "a mapping"
    return "text" if isinstance(node, Scalar) else "a list"
