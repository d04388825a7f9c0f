"""What good configurations become: defaults, units, paths, variables, overrides, several pools."""

from __future__ import annotations

import copy
import pickle
import sys
from pathlib import Path
from textwrap import dedent
from types import MappingProxyType
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from processpool import ProcessPool
from processpool.config import (
    CommandWorkerConfig,
    PoolConfig,
    PythonWorkerConfig,
    SizeConfig,
    load_pool,
    pool_from_dict,
)
from processpool.errors import ConfigError
from processpool.system.cpus import usable_cpus
from tests.process.support import run_python

CAT = {"kind": "command", "command": ["cat"]}
FRAMED = {
    "kind": "framed",
    "request": "1;{length}\n{message}",
    "refuse": None,
    "answer": {
        "lines": None,
        "until": None,
        "until_line": None,
        "length": r"(\d+);",
        "count": 1,
        "after": "",
        "keep": False,
        "skip": None,
    },
    "error": None,
    "error_stderr": None,
    "after_error": "keep",
    "start": (),
    "exit": "0;\n",
    "over": None,
    "cancel": "$/cancelRequest",
    "initialize": None,
    "initialized": "initialized",
    "pipeline": "auto",
    "max_message": 1 << 30,
}
COMMAND = """\
# yaml-language-server: $schema=pool.schema.json
name: metrics
worker:
  kind: command
  command: [python, code_metrics.py]
  cwd: workers
  env: {LANG: C.UTF-8, TOKEN: "${TOKEN}", REGION: "${REGION:-eu}"}
  inherit_env: true
  protocol: framed
  codec: text
size: {min: 1, max: 4, spare: 2}
queue: {max_pending: 10000, when_full: wait}
timeouts: {start: 10s, request: 30s, idle: 5m, exit: 5s}
retry: {attempts: 1, on: [crash]}
recycle: {after_requests: 10000, after: 1h, above_memory: 2GiB, jitter: 0.1}
limits: {memory: 4GiB, cpu_time: 10m, open_files: 1024, nice: 5}
restart: {max_failures: 5, within: 10s, backoff: [0.1s, 30s]}
"""
PYTHON = """\
name: resize
worker:
  kind: python
  handler: mypackage.tasks:resize
  setup: mypackage.tasks:load_model
  teardown: mypackage.tasks:close
  path: [../src]
  preload: [numpy]
  threads: 1
size: {min: 2, max: cpu}
"""


def load(
    folder: Path, content: str | bytes, environ: dict[str, str] | None = None, **keywords: Any
) -> PoolConfig:
    path = folder / "configs" / "some.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load_pool(path, environ=environ or {}, **keywords)


def worker(config: PoolConfig) -> CommandWorkerConfig:
    assert isinstance(config.worker, CommandWorkerConfig)
    return config.worker


def test_the_command_pool_of_the_design(tmp_path: Path) -> None:
    config = load(tmp_path, COMMAND, {"TOKEN": "x"})
    env = worker(config).env
    assert {name: value.get_secret_value() for name, value in env.items()} == {
        "LANG": "C.UTF-8",
        "TOKEN": "x",
        "REGION": "eu",
    }
    assert config.model_dump(exclude={"worker": {"env"}}) == {
        "name": "metrics",
        "worker": {
            "kind": "command",
            "command": ("python", "code_metrics.py"),
            "cwd": tmp_path / "configs" / "workers",
            "inherit_env": True,
            "protocol": FRAMED,
            "stdout": "pipe",
            "each": {},
            "codec": "text",
        },
        "size": {"min": 1, "max": 4, "spare": 2},
        "queue": {"max_pending": 10_000, "when_full": "wait"},
        "timeouts": {"start": 10.0, "request": 30.0, "idle": 300.0, "exit": 5.0},
        "retry": {"attempts": 1, "on": ("crash",)},
        "recycle": {
            "after_requests": 10_000,
            "after": 3600.0,
            "above_memory": 2 << 30,
            "jitter": 0.1,
        },
        "memory": None,
        "limits": {"memory": 4 << 30, "cpu_time": 600.0, "open_files": 1024, "nice": 5},
        "restart": {"max_failures": 5, "within": 10.0, "backoff": (0.1, 30.0)},
        "backend": {"kind": "local"},
        "telemetry": {"otel": False},
        "inline": False,
        "widget": "auto",
    }


def test_the_python_pool_of_the_design(tmp_path: Path) -> None:
    config = load(tmp_path, PYTHON)
    assert isinstance(config.worker, PythonWorkerConfig)
    assert config.worker.model_dump(exclude={"env"}) == {
        "kind": "python",
        "cwd": tmp_path / "configs",
        "inherit_env": True,
        "each": {},
        "handler": "mypackage.tasks:resize",
        "setup": "mypackage.tasks:load_model",
        "teardown": "mypackage.tasks:close",
        "path": (tmp_path / "src",),
        "preload": ("numpy",),
        "threads": 1,
        "reload": "auto",
    }
    assert config.size.max == max(2, usable_cpus())


def test_the_smallest_file(tmp_path: Path) -> None:
    config = load(tmp_path, "worker: {kind: command, command: [cat], protocol: lines}")
    cpus = usable_cpus()
    assert config.name == "some"
    assert worker(config).protocol.kind == "lines"
    assert config.size == SizeConfig(min=1, max=cpus, spare=min(6, cpus))
    assert config.timeouts.model_dump() == {
        "start": 30.0,
        "request": None,
        "idle": 300.0,
        "exit": 5.0,
    }


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ({"min": 3, "max": 20}, (3, 20, 8)),
        ({"min": 3, "max": 4}, (3, 4, 4)),
        ({"min": 5000}, (5000, 5000, 5000)),
        ({"min": 0, "max": 9}, (0, 9, 5)),
        ({"min": 0, "max": 9, "spare": 0}, (0, 9, 0)),
        ({"min": "cpu", "max": 4096, "spare": "cpu"}, (usable_cpus(), 4096, usable_cpus())),
    ],
)
def test_sizes(size: dict[str, Any], expected: tuple[int, int, int]) -> None:
    config = pool_from_dict({"worker": CAT, "size": size})
    assert (config.size.min, config.size.max, config.size.spare) == expected


def test_bom_crlf_and_unicode(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + COMMAND.replace("metrics", "größe").replace("\n", "\r\n").encode()
    assert load(tmp_path, content, {"TOKEN": "x"}).name == "größe"


def test_yaml_words(tmp_path: Path) -> None:
    content = (
        "worker: {kind: command, command: cat -n 'a b', inherit_env: no}\n"
        "widget: off\ntimeouts: {idle: ~, request: null}\nlimits: {memory: 1_000}\n"
        "recycle: {jitter: 1e-1}\n"
    )
    config = load(tmp_path, content)
    assert worker(config).command == ("cat", "-n", "a b")
    assert worker(config).inherit_env is False
    assert config.widget == "off"
    assert config.timeouts.idle is None
    assert config.limits.memory == 1000
    assert config.recycle.jitter == 0.1


def test_variables_in_every_string(tmp_path: Path) -> None:
    content = (
        "worker:\n  kind: command\n  command: [run, '$$HOME', $5, 'a${A}b$$${B:-x}']\n"
        "  env: {PORT: '${N}', FLAG: 'yes-${A}'}\nsize:\n  max: ${N}\n"
        "timeouts:\n  start: ${T}\n  request: ${NONE:-}\n"
    )
    config = load(tmp_path, content, {"A": "${N}", "N": "7", "T": "2m", "B": ""})
    assert worker(config).command == ("run", "$HOME", "$5", "a${N}b$x")
    assert worker(config).env["PORT"].get_secret_value() == "7"
    assert worker(config).env["FLAG"].get_secret_value() == "yes-${N}"
    assert config.size.max == 7
    assert (config.timeouts.start, config.timeouts.request) == (120.0, None)


def test_an_interpolated_env_value_stays_text(tmp_path: Path) -> None:
    content = "worker:\n  kind: command\n  command: cat\n  env:\n    A: ${A}\n    B: ${B}\n"
    env = worker(load(tmp_path, content, {"A": "no", "B": ""})).env
    assert [value.get_secret_value() for value in env.values()] == ["no", ""]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("${NONE}", "the environment variable NONE is not set and has no default"),
        ("${}", "must be ${NAME} or ${NAME:-default} (write $${ for the characters ${)"),
        ("${A", "must be ${NAME} or ${NAME:-default} (write $${ for the characters ${)"),
        ("${A-b}", "must be ${NAME} or ${NAME:-default} (write $${ for the characters ${)"),
        ("${1}", "must be ${NAME} or ${NAME:-default} (write $${ for the characters ${)"),
    ],
)
def test_faulty_variables(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"worker: {{kind: command, command: ['{text}']}}\nname: '{text}'")
    path = tmp_path / "configs" / "some.yaml"
    assert caught.value.problems == (
        f"{path}:1:35: worker.command[0]: {says}",
        f"{path}:2:7: name: {says}",
    )


def test_environment_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCESSPOOL_TEST_NAME", "from-outside")
    path = tmp_path / "a.yaml"
    path.write_text("name: ${PROCESSPOOL_TEST_NAME}\nworker: {kind: python}")
    assert load_pool(path).name == "from-outside"
    assert load_pool(str(path), environ={"PROCESSPOOL_TEST_NAME": "x"}).name == "x"


def test_anchors_and_merges(tmp_path: Path) -> None:
    content = (
        "pools:\n  a: &a\n    worker: {kind: command, command: [cat]}\n    size: &s {max: 3}\n"
        "  b:\n    size: {<<: *s, min: 2}\n    <<: *a\n"
        "  c: {<<: [*a, {widget: off}], size: {max: 1}}\n"
    )
    assert load(tmp_path, content, pool="a").size.max == 3
    b = load(tmp_path, content, pool="b")
    assert (b.name, worker(b).command, b.size.min, b.size.max) == ("b", ("cat",), 2, 3)
    c = load(tmp_path, content, pool="c")
    assert (c.widget, c.size.max) == ("off", 1)


SEVERAL = """\
pools:
  first:
    worker: {kind: command, command: [cat]}
  second:
    name: other
    worker:
      kind: command
      command: ["${TOOL}"]
    size:
      max: ${MAX}
"""


def test_only_the_chosen_pool_needs_its_variables(tmp_path: Path) -> None:
    assert load(tmp_path, SEVERAL, pool="first").name == "first"
    chosen = load(tmp_path, SEVERAL, {"TOOL": "sed", "MAX": "2"}, pool="second")
    assert (chosen.name, chosen.size.max) == ("other", 2)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, SEVERAL, pool="second")
    path = tmp_path / "configs" / "some.yaml"
    assert caught.value.problems == (
        f"{path}:8:17: pools.second.worker.command[0]: the environment variable TOOL is not set"
        " and has no default",
        f"{path}:10:12: pools.second.size.max: the environment variable MAX is not set"
        " and has no default",
    )


@pytest.mark.parametrize(
    ("content", "pool", "expected"),
    [
        (SEVERAL, None, "1:1: several pools are declared; say which with pool=: first, second"),
        (
            SEVERAL,
            "frist",
            "1:1: there is no pool frist; did you mean first? (declared: first, second)",
        ),
        ("pools: {}", None, "1:8: pools: must be a mapping of at least one name to a pool"),
        ("pools:", None, "1:7: pools: must be a mapping of at least one name to a pool"),
        ("pools: [a]", None, "1:8: pools: must be a mapping of at least one name to a pool"),
        ("pools: {a: b}", None, "1:12: pools.a: must be a mapping, got text"),
        (
            "pools:\n  a: {worker: {kind: python}}\nsize: {}",
            None,
            "3:1: size: nothing else may stand beside pools; put it into one of them",
        ),
        (
            SEVERAL + "    widgit: off",
            "first",
            "11:5: pools.second.widgit: unknown key; did you mean widget?",
        ),
        (
            "name: me\nworker: {kind: python}",
            "you",
            "1:1: there is no pool you (declared: me)",
        ),
    ],
)
def test_faulty_pools(tmp_path: Path, content: str, pool: str | None, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, content, pool=pool)
    assert caught.value.problems == (f"{tmp_path}/configs/some.yaml:{expected}",)


def test_one_pool_may_be_named(tmp_path: Path) -> None:
    assert load(tmp_path, "name: me\nworker: {kind: python}", pool="me").name == "me"
    assert load(tmp_path, "pools: {me: {worker: {kind: python}}}").name == "me"


def test_overrides(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        COMMAND,
        overrides={
            "size.max": 8,
            "worker.env.TOKEN": "from the caller",
            "worker.env.with.dots": "x",
            "worker.protocol.pipeline": 4,
            "timeouts.request": "2m",
            "limits": {},
        },
    )
    assert config.size.max == 8
    assert worker(config).env["TOKEN"].get_secret_value() == "from the caller"
    assert worker(config).env["with.dots"].get_secret_value() == "x"
    assert worker(config).protocol.model_dump() == {**FRAMED, "pipeline": 4}
    assert config.timeouts.request == 120.0
    assert config.limits.memory is None


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (
            {"size.max": 1, "size.min": 3, "size.spare": 3},
            "size.max: must be at least size.min (3), got 1",
        ),
        ({"size.max": "4"}, 'size.max: must be a whole number or cpu, got "4"'),
        ({"size.max": True}, "size.max: must be a whole number or cpu, got True"),
        ({"size.maxx": 4}, "size.maxx: unknown key; did you mean max?"),
        ({"sizes.max": 4}, "sizes: unknown key; did you mean size?"),
        ({"name.x": 4}, "name.x: name is not a mapping, so nothing in it can be set"),
        ({"size..max": 4}, "must be a dotted path such as size.max, got 'size..max'"),
        ({"worker.env.TOKEN": 12345}, "worker.env.TOKEN: must be text, got a number"),
        ({"worker.env.T": None}, "worker.env.T: must be text, got nothing"),
        (
            {"worker.protocol.kind": "x"},
            'worker.protocol.kind: must be the name of a protocol, got "x"; '
            "`processpool presets` lists them",
        ),
    ],
)
def test_faulty_overrides(tmp_path: Path, overrides: dict[str, object], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, COMMAND, {"TOKEN": "x"}, overrides=overrides)
    assert str(caught.value) == f"overrides: {expected}"


def test_overrides_leave_the_dictionary_alone(tmp_path: Path) -> None:
    data = {"worker": CAT, "size": {"max": 4}}
    before = copy.deepcopy(data)
    config = pool_from_dict(data, base=tmp_path, overrides={"size.max": 2, "worker.cwd": "w"})
    assert (config.size.max, config.worker.cwd) == (2, tmp_path / "w")
    assert data == before


def test_dictionaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = pool_from_dict(MappingProxyType({"worker": {**CAT, "cwd": Path("w")}}))
    assert (config.name, config.worker.cwd) == ("pool", tmp_path / "w")
    assert pool_from_dict({"worker": CAT}, base="sub").worker.cwd == tmp_path / "sub"
    assert pool_from_dict({"worker": {**CAT, "command": "${X}"}}).worker == CommandWorkerConfig(
        kind="command", command=("${X}",)
    )


def test_dictionaries_from_pyyaml() -> None:
    data = yaml.safe_load("worker: {kind: python}\nretry: {on: [timeout]}\nwidget: off")
    config = pool_from_dict(data)
    assert (config.retry.on, config.widget) == (("timeout",), "off")
    with pytest.raises(ConfigError) as caught:
        pool_from_dict(data | {"retry": {True: ["no"]}})
    assert str(caught.value) == 'retry.on[0]: must be crash, timeout or error, got "no"'


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, "worker: is required"),
        ({"worker": CAT, "size": {"min": 10, "max": 4}},
         "size.max: must be at least size.min (10), got 4"),
        ({"worker": CAT, "sise": 1}, "sise: unknown key; did you mean size?"),
        ({"worker": CAT, 3: 1}, "a key must be text, got 3"),
        ({"worker": CAT, "size": {3: 1}}, "size: a key must be text, got 3"),
        ({"worker": CAT, "name": None}, "name: must be text, got None"),
        ({"worker": CAT, "size": [1]}, "size: must be a mapping, got a list"),
        ({"worker": CAT, "size": object()}, "size: must be a mapping, got a object"),
        ({"worker": {**CAT, "cwd": b"x"}}, "worker.cwd: must be the path of a folder, got a bytes"),
        ({"worker": {**CAT, "env": {3: "x"}}}, "worker.env: a key must be text, got 3"),
        ({"worker": {**CAT, "command": "a\0b"}}, "worker.command: must not hold a NUL,"
         ' got "a\\x00b"'),
        ({"worker": CAT, "limits": {"memory": 2**70}},
         f"limits.memory: must be a size from 0 to {2**63 - 1} bytes, got {2**70}"),
    ],
)  # fmt: skip
def test_faulty_dictionaries(data: dict[str, object], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pool_from_dict(data)
    assert str(caught.value) == expected


@pytest.mark.parametrize("data", [None, [], "worker", 3])
def test_no_dictionary(data: Any) -> None:
    with pytest.raises(ConfigError, match=r"^must be a mapping, got a "):
        pool_from_dict(data)


def test_models_in_python() -> None:
    config = PoolConfig(
        name="x", worker={"kind": "command", "command": ["cat"]}, size=SizeConfig(min=2, max=3)
    )
    assert worker(config).command == ("cat",)
    with pytest.raises(ConfigError) as caught:
        PoolConfig(worker={"kind": "command", "comand": ["cat"]}, size={"min": 10, "max": 4})
    assert caught.value.problems == (
        "worker.command: is required",
        "worker.comand: unknown key; did you mean command?",
        "size.max: must be at least size.min (10), got 4",
    )
    with pytest.raises(ConfigError, match=r"^max: must be at least min \(10\), got 4$"):
        SizeConfig(min=10, max=4)


def test_models_do_not_change() -> None:
    config = PoolConfig(worker={**CAT, "env": {"A": "b"}})
    with pytest.raises(ValidationError):
        config.name = "y"
    with pytest.raises(ValidationError):
        config.size.max = 3
    with pytest.raises(TypeError):
        config.worker.env["A"] = "c"  # type: ignore[index]
    assert hash(config) == hash(PoolConfig(worker={**CAT, "env": {"A": "b"}}))


def test_models_can_be_dumped_copied_and_pickled() -> None:
    config = PoolConfig(worker={**CAT, "env": {"A": "b"}}, size={"max": 3})
    assert PoolConfig(**config.model_dump()) == config
    assert copy.deepcopy(config) == config
    assert pickle.loads(pickle.dumps(config)) == config


@pytest.mark.parametrize(
    ("overrides", "found"),
    [([1], "a list"), ([], "a list"), ("hunter2", "text"), ("", "text"), (1, "a number")],
)
def test_overrides_that_are_none(tmp_path: Path, overrides: Any, found: str) -> None:
    expected = f'overrides: must be a mapping such as {{"size.max": 8}}, got {found}'
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, yaml.safe_dump({"worker": CAT}), overrides=overrides)
    assert str(caught.value) == expected
    with pytest.raises(ConfigError) as caught:
        pool_from_dict({"worker": CAT}, overrides=overrides)
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("pool", "found"), [(1, "a number"), (b"some", "a bytes"), (["some"], "a list")]
)
def test_the_name_of_a_pool_that_is_none(tmp_path: Path, pool: Any, found: str) -> None:
    for declared in {"worker": CAT}, {"pools": {"some": {"worker": CAT}, "other": {"worker": CAT}}}:
        with pytest.raises(ConfigError, match=rf":1:\d+: pool= must be a pool's name, got {found}"):
            load(tmp_path, yaml.safe_dump(declared), pool=pool)


def test_a_configuration_that_is_none() -> None:
    with pytest.raises(TypeError, match="PoolConfig, got dict; for a dictionary there is"):
        ProcessPool.from_config({"worker": CAT})  # type: ignore[arg-type]


class Ending(dict[str, Any]):
    """A mapping whose code ends the program."""

    def items(self) -> Any:
        raise SystemExit("enough")


@pytest.mark.parametrize(
    "data",
    [
        Ending(worker=CAT),
        {"worker": Ending(CAT)},
        {"worker": {**CAT, "env": Ending(A="b")}},
        {"worker": CAT, "size": Ending(max=3)},
        {"worker": CAT, "sise": Ending(max=3)},
    ],
)
def test_what_a_mapping_of_the_users_raises_is_raised(data: dict[str, Any]) -> None:
    with pytest.raises(SystemExit, match=r"^enough$") as caught:
        pool_from_dict(data)
    assert caught.value.__context__ is None


def test_what_a_mapping_raises_elsewhere_is_raised() -> None:
    with pytest.raises(SystemExit, match=r"^enough$"):
        pool_from_dict({"worker": CAT}, overrides={"size": Ending(max=3)})
    with pytest.raises(SystemExit, match=r"^enough$"):
        pool_from_dict({"worker": CAT}, overrides=Ending({"size.max": 3}))
    with pytest.raises(SystemExit, match=r"^enough$"):
        PoolConfig(worker=CAT, size=Ending(max=3))


def test_any_mapping_will_do() -> None:
    data = {"worker": MappingProxyType({**CAT, "env": MappingProxyType({"A": "b"})})}
    assert pool_from_dict(MappingProxyType(data)) == pool_from_dict(
        {"worker": {**CAT, "env": {"A": "b"}}}
    )


def test_a_mapping_that_holds_itself() -> None:
    data: dict[str, Any] = {"worker": CAT}
    data["size"] = data["limits"] = data
    with pytest.raises(ConfigError, match=r"size\.size: unknown key"):
        pool_from_dict(data)


@pytest.mark.skipif(
    sys.version_info[:3] == (3, 13, 0),
    reason="where the current folder is gone, imports of Python 3.13.0 fail with a SystemError",
)
class TestTheCurrentFolderWasDeleted:
    START = """
        import os, sys
        from processpool import ConfigError, ProcessPool, WorkerStartFailed
        folder = sys.argv[1]
        os.mkdir(f"{folder}/gone")
        os.chdir(f"{folder}/gone")
        os.rmdir(f"{folder}/gone")
        assert "" in sys.path
    """

    def run(self, folder: Path, *lines: str) -> str:
        done = run_python(dedent(self.START) + "\n".join(lines), arguments=[str(folder.resolve())])
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def test_workers_that_are_elsewhere_work(self, tmp_path: Path) -> None:
        (tmp_path / "some.yaml").write_text("worker: {kind: python}\nsize: {max: 1}\n")
        said = self.run(
            tmp_path,
            "for path in f'{folder}/some.yaml', '../some.yaml':",
            "    with ProcessPool.from_yaml(path) as pool:",
            "        print(pool.call(os.getcwd) == folder, pool.call(lambda: '' in sys.path))",
            "data = {'worker': {'kind': 'python', 'cwd': folder}, 'size': {'max': 1}}",
            "with ProcessPool.from_dict(data) as pool:",
            "    print(pool.map(lambda x: x + 1, range(3)))",
        )
        assert said == "True False\nTrue False\n[1, 2, 3]\n"

    def test_workers_that_are_to_be_there_cannot_start(self, tmp_path: Path) -> None:
        said = self.run(
            tmp_path,
            "try:",
            "    ProcessPool.from_dict({'worker': {'kind': 'python'}}).open()",
            "except WorkerStartFailed as error:",
            "    print(error)",
        )
        where = f"the working directory '{tmp_path.resolve()}/gone (deleted)' does not exist"
        assert said.endswith(f"{where}; create it, or correct worker.cwd\n")

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        said = self.run(
            tmp_path,
            "try:",
            "    ProcessPool.from_yaml('some.yaml')",
            "except ConfigError as error:",
            "    print(error)",
        )
        where = f"{tmp_path.resolve()}/gone (deleted)"
        assert said == f"some.yaml: there is no such file in {where}\n"
