"""Whatever a file or a dictionary holds, the answer is a `PoolConfig` or a `ConfigError`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processpool.config import PoolConfig, load_pool, pool_from_dict
from processpool.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEYS = [
    "name",
    "worker",
    "kind",
    "command",
    "cwd",
    "env",
    "inherit_env",
    "protocol",
    "pipeline",
    "max_message",
    "codec",
    "handler",
    "path",
    "preload",
    "threads",
    "size",
    "min",
    "max",
    "spare",
    "queue",
    "max_pending",
    "when_full",
    "timeouts",
    "start",
    "request",
    "idle",
    "retry",
    "attempts",
    "on",
    "recycle",
    "jitter",
    "limits",
    "memory",
    "nice",
    "restart",
    "backoff",
    "widget",
    "pools",
    "<<",
    "a.b",
    "A=B",
]
WORDS = [
    "", "cpu", "command", "python", "framed", "off", "no", "on", "~", "010", "1:30", "1e3", "5m",
    "2GiB", "${A}", "${B:-3}", "${", "$$", "'x'", '"y"', "*a", "&a z", "!!str x", "[", "{", "- q",
    "? k", "|\n x", "\t", "#", "\0", "\ufeff", "é", "9" * 5000, "-1", ".nan", "a: b", "<<: *a",
]  # fmt: skip
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
) | st.sampled_from(WORDS)
NAMES = st.sampled_from(KEYS) | st.text(max_size=3)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=25,
)
PLAUSIBLE = st.fixed_dictionaries(
    {},
    optional={
        "name": SCALARS,
        "worker": st.fixed_dictionaries(
            {"kind": st.sampled_from(["command", "python", "x", 3])},
            optional=dict.fromkeys(KEYS[3:15], TREES),
        ),
        "size": st.dictionaries(st.sampled_from(["min", "max", "spare"]), SCALARS),
        "retry": TREES,
        "timeouts": st.dictionaries(st.sampled_from(["start", "idle"]), SCALARS),
        "restart": TREES,
    },
)
LINES = st.lists(
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(["", "  ", "    ", "- ", "\t"]),
        st.sampled_from(KEYS),
        st.sampled_from([": ", ":", " ", ": &a ", ":\n  "]),
        st.sampled_from(WORDS),
    ),
    max_size=12,
).map("\n".join)
ORDINARY = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def outcome(make: Callable[..., PoolConfig], *given: object, **keywords: Any) -> None:
    """Call `make`, and look at its answer or its error."""
    found: ConfigError | None = None
    try:
        assert isinstance(make(*given, **keywords), PoolConfig)
    except ConfigError as error:
        found = error
    if found is not None:
        assert found.problems
        assert all("\n" not in line and line.isprintable() for line in found.problems)
        assert not re.search("pydantic|Input should|is not valid, got", str(found))


def check(folder: Path, content: bytes, **keywords: Any) -> None:
    path = folder / "fuzz.yaml"
    path.write_bytes(content)
    outcome(load_pool, path, environ={"A": "v"}, **keywords)


@ORDINARY
@given(st.binary())
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    check(tmp_path, content)


@ORDINARY
@given(st.text() | LINES)
def test_any_text(tmp_path: Path, content: str) -> None:
    check(tmp_path, content.encode("utf-8", "replace"))


@ORDINARY
@given(TREES | PLAUSIBLE)
def test_any_yaml(tmp_path: Path, tree: object) -> None:
    content = yaml.dump(tree, allow_unicode=True).encode("utf-8", "replace")
    check(tmp_path, content)
    check(tmp_path, content.replace(b"!!binary ", b""), overrides={"size.max": 3})


@ORDINARY
@given(PLAUSIBLE | st.dictionaries(NAMES | st.integers() | st.none(), TREES))
def test_any_dictionary(data: dict[str, object]) -> None:
    outcome(pool_from_dict, data)


@ORDINARY
@given(st.dictionaries(st.lists(NAMES, max_size=4).map(".".join), TREES, max_size=4))
def test_any_overrides(overrides: dict[str, object]) -> None:
    data = {"worker": {"kind": "command", "command": "cat", "protocol": "lines"}}
    outcome(pool_from_dict, data, overrides=overrides)


def test_nothing_recurses(tmp_path: Path) -> None:
    deep: list[object] = []
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(ConfigError):
        pool_from_dict({"worker": deep, "name": deep})
    check(tmp_path, b"- " * 20_000)
    check(tmp_path, b"? " * 20_000)
