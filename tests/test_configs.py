"""The ready pools in configs/: all of them load, and do what their comments say."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml

from processpool import ProcessPool
from processpool.config import load_pool

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIGS = Path(__file__).parent.parent / "configs"
FILES = sorted(CONFIGS.glob("*.yaml"))
WORKER = CONFIGS / "workers" / "code_metrics.py"

SAMPLE = '''\
import os

LIMIT = 3 if os.name == "posix" else 4          # conditional: 1


class Reader:
    def read(self, names):
        """Complexity 1 + for + if + and + or + comprehension (2) + except = 8."""
        for name in names:
            if name and len(name) > 2 or not name:
                names = [n for n in names if n]
        try:
            return names
        except ValueError:
            return None

    async def inner(self):
        def deepest():
            while True:
                pass
        return deepest


def match_it(value):
    match value:
        case 1:
            return lambda x: 1 if x else 2
        case [a, b]:
            return a
        case _:
            return None
'''


def pools() -> Iterator[Any]:
    """Every pool of every file, as (file, name)."""
    for file in FILES:
        declared = yaml.safe_load(file.read_text())
        for name in declared.get("pools", [declared.get("name")]):
            yield pytest.param(file, name, id=f"{file.stem}-{name}")


@pytest.mark.parametrize(("file", "name"), list(pools()))
def test_every_pool_loads_under_its_name(file: Path, name: str) -> None:
    several = "pools" in yaml.safe_load(file.read_text())
    config = load_pool(file, pool=name if several else None)
    assert config.name == name
    assert config.worker.cwd.is_dir()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_file_is_known_to_editors(file: Path) -> None:
    text = file.read_text()
    assert text.startswith("# yaml-language-server: $schema=pool.schema.json\n")
    schema = json.loads((CONFIGS / "pool.schema.json").read_text())
    jsonschema.validate(yaml.safe_load(text), schema)


def test_sed_writes_dates_anew() -> None:
    with ProcessPool.from_yaml(CONFIGS / "sed.yaml") as pool:
        assert pool.map(["on 2024-03-01", "never"]) == ["on 01.03.2024", "never"]


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_jq_takes_and_gives_values() -> None:
    messages = [{"a": [1, None, "\N{SNOWMAN}\n"]}, 2.5, "text"]
    with ProcessPool.from_yaml(CONFIGS / "jq.yaml") as pool:
        assert pool.map(messages) == messages


def test_both_of_several_work() -> None:
    with ProcessPool.from_yaml(CONFIGS / "several.yaml", pool="upper") as upper:
        assert upper.call("abc") == "ABC"
    with ProcessPool.from_yaml(CONFIGS / "several.yaml", pool="numbers") as numbers:
        assert numbers.call("a1b22") == "122"


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    path = tmp_path / "sample.py"
    path.write_text(SAMPLE)
    return path


def figures_of_the_sample(path: Path) -> dict[str, Any]:
    # By hand: the module 1 + 1, read 8, inner 1, deepest 1 + 1, match_it 1 + 2 + 1.
    return {
        "path": str(path),
        "lines": 31,
        "functions": 4,
        "complexity": 2 + 8 + 1 + 2 + 4,
        "max_complexity": 8,
        "max_complexity_function": "Reader.read",
        "longest": 9,
        "longest_function": "Reader.read",
    }


def test_metrics_are_right_on_a_sample_counted_by_hand(sample: Path) -> None:
    with ProcessPool.from_yaml(CONFIGS / "metrics.yaml") as pool:
        assert pool.map([str(sample)]) == [figures_of_the_sample(sample)]


def test_files_that_cannot_be_measured_cost_nothing_but_their_own_answer(
    sample: Path, tmp_path: Path
) -> None:
    files = {
        "empty.py": b"",
        "wrong.py": b"def f(:\n",
        "nul.py": b"x = 1\0\n",
        "latin.py": b"# coding: latin-1\nname = '\xe9'\n",
        "not_utf8.py": b"name = '\xe9'\n",
        "coding.py": b"# coding: no-such\n",
        "deep.py": b"(" * 5000 + b")" * 5000,
        "warns.py": b"x = '\\d' is 'd'\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    paths = [str(tmp_path / name) for name in files]
    messages = [*paths, str(tmp_path / "missing.py"), str(tmp_path), str(sample)]
    with ProcessPool.from_yaml(CONFIGS / "metrics.yaml", overrides={"size.max": 1}) as pool:
        outcomes = pool.map(messages, details=True)
    assert len({outcome.pid for outcome in outcomes}) == 1
    assert [outcome.stderr for outcome in outcomes] == [""] * len(messages)
    refused = {Path(m).name for m, o in zip(messages, outcomes, strict=True) if "error" in o.value}
    assert refused == {
        "wrong.py", "nul.py", "not_utf8.py", "coding.py", "deep.py", "missing.py", tmp_path.name
    }  # fmt: skip
    assert outcomes[0].value["complexity"] == 1
    assert outcomes[0].value["longest_function"] is None
    assert outcomes[-1].value == figures_of_the_sample(sample)


def test_the_metrics_worker_measures_without_a_pool_too(sample: Path) -> None:
    command = [sys.executable, str(WORKER), str(sample), str(sample)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        figures_of_the_sample(sample)
    ] * 2
