"""Every bad file gives one error, whose text is exact."""

from __future__ import annotations

import itertools
import os
import pickle
import re
import socket
import time
from pathlib import Path

import pytest

from processpool.config import load_pool
from processpool.errors import ConfigError

KNOWN = (
    "name, worker, size, queue, timeouts, retry, recycle, memory, limits, restart, backend, "
    "telemetry, inline, widget"
)
WORKER = "worker: {kind: command, command: [cat]}\n"
DURATION = "must be a duration such as 250ms, 30s, 5m, 1h, or a number of seconds"
SIZE = "must be a size such as 64KiB, 512MiB, 2GB, or a number of bytes"


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def problems(content: str | bytes, name: str = "bad.yaml", pool: str | None = None) -> list[str]:
    """Return what is wrong with a file of this content, without the file's name."""
    data = content.encode() if isinstance(content, str) else content
    Path(name).write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        load_pool(name, pool=pool, environ={"N": "4"})
    assert str(caught.value).startswith("\n".join(caught.value.problems[:100]))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return [line.removeprefix(f"{name}:") for line in caught.value.problems]


def test_the_error_of_the_design() -> None:
    Path("configs").mkdir()
    content = (
        "name: metrics\nworker:\n  kind: command\n  command: [cat]\n\n"
        "size:\n  max:   4\n  min: 10\n"
    )
    assert problems(content, "configs/bad.yaml") == [
        "7:10: size.max: must be at least size.min (10), got 4"
    ]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_pool("configs/none.yaml")
    assert str(caught.value) == f"configs/none.yaml: there is no such file in {tmp_path}"
    with pytest.raises(ConfigError) as caught:
        load_pool(tmp_path / "none.yaml")
    assert str(caught.value) == f"{tmp_path}/none.yaml: there is no such file"


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_pool(tmp_path)
    assert str(caught.value) == f"{tmp_path}: is a folder, not a YAML file"


def test_what_is_no_file_is_not_opened() -> None:
    os.mkfifo("fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        for name, kind in (
            ("fifo", "pipe"),
            ("socket", "socket"),
            ("/dev/zero", "device"),
        ):
            with pytest.raises(ConfigError) as caught:
                load_pool(name)
            assert str(caught.value) == f"{name}: is a {kind}, not a YAML file"


def test_name_that_cannot_be_a_file() -> None:
    with pytest.raises(ConfigError) as caught:
        load_pool("a\0b")
    assert re.fullmatch("a\0b: cannot be read: .*embedded null .*", str(caught.value))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"name: a\nworker: \xff\n", ["2:9: is not UTF-8: byte 0xff at offset 16"]),
        (b"a: 1\r\nb: \0\r\n", ["2:4: a NUL byte is not allowed in YAML"]),
        (b"a: \x07", ["1:4: the control character U+0007 is not allowed in YAML"]),
        ("worker:\n\tkind: command\n", ["2:1: a tab cannot indent YAML; use spaces"]),
        ("worker:\n  \tkind: command\n  a: b", ["2:3: a tab cannot indent YAML; use spaces"]),
        ("x" * (1 << 20) + "y", [" is larger than 1 MiB"]),
        (
            "- worker\n",
            ["1:1: must be a mapping of keys such as worker and size, got a list"],
        ),
        ("worker", ["1:1: must be a mapping of keys such as worker and size, got text"]),
        (
            WORKER + "---\n" + WORKER,
            ["2:1: a second document begins here; a file holds one (several pools: pools:)"],
        ),
        ("[" * 900, ["1:51: is nested deeper than 50 levels"]),
        ("{a: " * 900, ["1:201: is nested deeper than 50 levels"]),
        (
            WORKER + "size: {min: 1\nqueue: {}\n",
            [
                "3:6: is not valid YAML: while parsing a flow mapping that begins on line 2,"
                " did not find expected ',' or '}'"
            ],
        ),
    ],
)
def test_no_yaml(content: str | bytes, expected: list[str]) -> None:
    assert problems(content) == expected


@pytest.mark.parametrize("content", ["", "\n", "# nothing\n", "---\n", "\ufeff"])
def test_empty(content: str) -> None:
    assert problems(content) == [
        "1:1: the file is empty; the smallest pool is"
        " worker: {kind: command, command: [cat], protocol: lines}"
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("size: {min: 1}\nsize: {max: 2}", "2:1: size: is given twice, first on line 1"),
        ("size: {min: 1, min: 1}", "1:16: size.min: is given twice, first on line 1"),
        ("sizes: {}", "1:1: sizes: unknown key; did you mean size?"),
        ("cmd: cat", f"1:1: cmd: unknown key; known here: {KNOWN}"),
        ("size: {mx: 1}", "1:8: size.mx: unknown key; did you mean max?"),
        ("size: {q: 1}", "1:8: size.q: unknown key; known here: min, max, spare"),
        ("1: a", '1:1: a key must be text, got 1 (write "1")'),
        ("? [a]\n: b", "1:3: a key must be text"),
        ("size: {~: 1}", '1:8: size: a key must be text, got ~ (write "~")'),
        ("size: 4", "1:7: size: must be a mapping, got 4"),
        ("size:", "1:6: size: must be a mapping, got nothing"),
        ("size: {min: true}", "1:13: size.min: must be a whole number or cpu, got true"),
        ('size: {min: "4"}', '1:13: size.min: must be a whole number or cpu, got "4"'),
        ("size: {min: 010}", "1:13: size.min: must be a whole number or cpu, got 010"),
        ("size: {min: 1.5}", "1:13: size.min: must be a whole number or cpu, got 1.5"),
        ("size: {min: -1}", "1:13: size.min: must be at least 0, got -1"),
        ("size: {max: 0}", "1:13: size.max: must be at least 1, got 0"),
        ("size: {max: 9999999999}", "1:13: size.max: must be at most 2147483647, got 9999999999"),
        ("size: {min: 3, max: 2}", "1:21: size.max: must be at least size.min (3), got 2"),
        (
            "size: {min: 3, max: 4, spare: 2}",
            "1:31: size.spare: must be at least size.min (3), got 2",
        ),
        (
            "size: {max: 4, spare: 5}",
            "1:23: size.spare: must be at most size.max (4), got 5",
        ),
        ("queue: {when_full: block}", "1:20: queue.when_full: must be wait or raise, got block"),
        (
            "queue: {when_full: rais}",
            "1:20: queue.when_full: must be wait or raise, got rais; did you mean raise?",
        ),
        ("queue: {max_pending: lots}", "1:22: queue.max_pending: must be a whole number, got lots"),
        ("timeouts: {start: 10 sec}", f"1:19: timeouts.start: {DURATION}, got 10 sec"),
        ("timeouts: {start: 1:30}", f"1:19: timeouts.start: {DURATION}, got 1:30"),
        ("timeouts: {start: yes}", f"1:19: timeouts.start: {DURATION}, got yes"),
        ("timeouts: {start: .nan}", f"1:19: timeouts.start: {DURATION}, got .nan"),
        (
            "timeouts: {start: .inf}",
            "1:19: timeouts.start: must be a duration from 0s to 36500d, got .inf",
        ),
        ("timeouts: {start: 0s}", "1:19: timeouts.start: must be more than 0, got 0s"),
        ("timeouts: {exit: null}", f"1:18: timeouts.exit: {DURATION}, got null"),
        ("retry: {on: crash}", "1:13: retry.on: must be a list, got crash"),
        (
            "retry: {on: [crash, timout]}",
            "1:21: retry.on[1]: must be crash, timeout or error, got timout; did you mean timeout?",
        ),
        ("recycle: {above_memory: 2 gigs}", f"1:25: recycle.above_memory: {SIZE}, got 2 gigs"),
        ("recycle: {jitter: 2}", "1:19: recycle.jitter: must be at most 1, got 2"),
        ("recycle: {jitter: .nan}", "1:19: recycle.jitter: must be a number, got .nan"),
        ("limits: {nice: 20}", "1:16: limits.nice: must be at most 19, got 20"),
        (
            "restart: {backoff: 1s}",
            "1:20: restart.backoff: must be a list of two durations, such as [0.1s, 30s], got 1s",
        ),
        (
            "restart: {backoff: [2s, 1s]}",
            "1:20: restart.backoff: must name the shorter duration first, got a list",
        ),
        ("widget: on", "1:9: widget: must be auto or off, got on"),
        ("name: 5", '1:7: name: must be text, got 5 (write "5")'),
        ('name: ""', '1:7: name: must be a name: some text, on one line, got ""'),
        (
            "size: *none",
            "1:7: size: an alias to no anchor; a value that begins with * must be quoted",
        ),
        ("size: &a {min: *a}", "1:16: size.min: an alias cannot stand inside what it repeats"),
        (
            "size: {<<: 3}",
            "1:12: size.<<: must be a mapping, such as *name for one anchored by &name",
        ),
        (
            "size: !!python/object:os.system {}",
            "1:7: size: a tag is not allowed (!!python/object:os.system): YAML is data only here",
        ),
        (
            "size: {max: !!int 4}",
            "1:13: size.max: a tag is not allowed (!!int): YAML is data only here",
        ),
    ],
)
def test_one_fault(content: str, expected: str) -> None:
    assert problems(content + "\n" + WORKER) == [expected]


COMMAND = "worker:\n  kind: command\n  command: [cat]\n  "
PYTHON = "worker:\n  kind: python\n  "


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("name: a", "1:1: worker: is required"),
        ("worker: cat", "1:9: worker: must be a mapping, got cat"),
        ("worker: {command: [cat]}", "1:9: worker.kind: is required: command or python"),
        (
            "worker: {kind: comand, command: [cat]}",
            "1:16: worker.kind: must be command or python, got comand; did you mean command?",
        ),
        ("worker: {kind: command}", "1:9: worker.command: is required"),
        (
            "worker: {kind: command, command: []}",
            "1:34: worker.command: must begin with a program's name, got a list",
        ),
        (
            'worker: {kind: command, command: "a \'b"}',
            "1:34: worker.command: cannot be split as a shell would: a quote is not closed,"
            ' got "a \'b"',
        ),
        (
            "worker: {kind: command, command: [sleep, 5]}",
            '1:42: worker.command[1]: must be text, got 5 (write "5")',
        ),
        (
            "worker: {kind: command, command: 5}",
            "1:34: worker.command: must be a list such as [python, worker.py],"
            " or the same as one string, got 5",
        ),
        (COMMAND + "handler: a:b", "4:3: worker.handler: unknown key; known here: cwd, env,"
            " inherit_env, each, kind, command, protocol, stdout, codec"),
        (COMMAND + "protocol: line", "4:13: worker.protocol: must be the name of a protocol, got"
            " line; did you mean lines?"),
        (COMMAND + "protocol: {pipeline: 0}", "4:24: worker.protocol.pipeline: must be at least 1,"
            " got 0"),
        (COMMAND + "protocol: {max_message: 0}", "4:27: worker.protocol.max_message: must be more"
            " than 0, got 0"),
        (COMMAND + "protocol: [lines]", "4:13: worker.protocol: must be a mapping, got a list"),
        (COMMAND + "inherit_env: PATH", "4:16: worker.inherit_env: must be true, false or a list of"
            " names, got PATH"),
        (COMMAND + "cwd: ~", "4:8: worker.cwd: must be the path of a folder, got ~"),
        (COMMAND + "env: 5", "4:8: worker.env: must be a mapping of names to values, got a number"),
        (PYTHON + "handler: tasks.resize", "3:12: worker.handler: must have the form"
            " package.module:attribute, got tasks.resize"),
        (PYTHON + "preload: numpy", "3:12: worker.preload: must be a list, got numpy"),
        (PYTHON + "preload: [a/b]", "3:13: worker.preload[0]: must be a module's name, such as"
            " numpy or package.module, got a/b"),
        (PYTHON + "threads: 0", "3:12: worker.threads: must be at least 1, got 0"),
    ],
)  # fmt: skip
def test_faulty_worker(content: str, expected: str) -> None:
    assert problems(content) == [expected]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("no", 'no is a boolean in YAML (write "no")'),
        ("on", 'on is a boolean in YAML (write "on")'),
        ("08", '08 is a number in YAML (write "08")'),
        ("010", '010 is a number in YAML (write "010")'),
        ("1.10", '1.10 is a number in YAML (write "1.10")'),
        ("1:30", '1:30 is a number in YAML (write "1:30")'),
        ("1e3", '1e3 is a number in YAML (write "1e3")'),
        ("2024-01-01", '2024-01-01 is a date in YAML (write "2024-01-01")'),
        ("null", 'null is null in YAML (write "null")'),
        ("", 'nothing is null in YAML (write "")'),
        ("123456789", "this is a number in YAML (write it in quotes)"),
    ],
)
def test_env_values_that_are_no_text(text: str, says: str) -> None:
    assert problems(f"{COMMAND}env: {{A: {text}}}") == [
        f"4:12: worker.env.A: must be text, but {says}"
    ]


def test_names_in_env() -> None:
    assert problems(COMMAND + 'env: {"A=B": x, "": why, "a\\0": z}') == [
        f"4:{column}: worker.env.{name}: the name of a variable must not be empty,"
        " nor hold = or a NUL"
        for column, name in [(9, "A=B"), (19, ""), (28, "a\\x00")]
    ]


def test_a_wrong_kind_does_not_hide_unknown_keys() -> None:
    assert problems("worker: {knid: command, command: [cat]}") == [
        "1:9: worker.kind: is required: command or python",
        "1:10: worker.knid: unknown key; did you mean kind?",
    ]


def test_all_problems_at_once_in_the_order_of_the_file() -> None:
    assert problems(
        "nam: x\nworker:\n  kind: command\n  command: [cat]\n  env: {A: no}\n"
        "size: {min: four, max: 2, max: 3}\nqueue: {max_pending: !!int 3}\nwidget: ${NONE}\n"
    ) == [
        "1:1: nam: unknown key; did you mean name?",
        '5:12: worker.env.A: must be text, but no is a boolean in YAML (write "no")',
        "6:13: size.min: must be a whole number or cpu, got four",
        "6:27: size.max: is given twice, first on line 6",
        "7:22: queue.max_pending: a tag is not allowed (!!int): YAML is data only here",
        "8:9: widget: the environment variable NONE is not set and has no default",
    ]


def test_a_problem_is_one_short_line() -> None:
    (line,) = problems(WORKER + 'widget: "a\\nb' + "x" * 500 + '"')
    assert line == '2:9: widget: must be auto or off, got "a\\nb' + "x" * 54 + '..."'
    lines = problems(WORKER + "".join(f"k{number}: 1\n" for number in range(3)))
    assert len(lines) == 3


def test_many_problems_are_cut_in_the_message_only() -> None:
    Path("many.yaml").write_text(WORKER + "".join(f"k{number}: 1\n" for number in range(300)))
    with pytest.raises(ConfigError) as caught:
        load_pool("many.yaml")
    assert len(caught.value.problems) == 300
    assert str(caught.value).splitlines()[100:] == ["... and 200 more problems"]


def _bomb(first: str) -> str:
    lines = [f"a: &a {first}"]
    for last, name in itertools.pairwise("abcdefghij"):
        lines.append(f"{name}: &{name} [{', '.join([f'*{last}'] * 9)}]")
    return "\n".join(lines)


@pytest.mark.parametrize(
    "content",
    [
        _bomb("[lol, lol, lol, lol]"),
        "a0: &a0 [x]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}]\n" for n in range(3000)),
        "a: [" + "x, " * 300_000 + "x]",
        "a: &a {" + ", ".join(f"k{n}: 1" for n in range(4000)) + "}\n"
        + "".join(f"b{n}: {{<<: *a}}\n" for n in range(5000)),
        "a: " + "1:" * 500_000 + "1",
        "a: 0x" + "f" * 1_000_000,
        WORKER + "name: '" + "${" * 500_000 + "'",
        WORKER[:-2] + ", env: {A: " + "1:" * 500_000 + "1}}",
        WORKER + "".join(f"key{n}: 1\n" for n in range(4_900)),
        WORKER + "size: {max: " + "9" * 1_000_000 + "}",
    ],
)  # fmt: skip
def test_hostile_files_are_refused_quickly(content: str) -> None:
    start = time.process_time()
    lines = problems(content)
    assert time.process_time() - start < 10
    assert max(map(len, lines)) < 200


def test_an_alias_bomb_says_so() -> None:
    assert problems(_bomb("[x, x, x]")) == [
        "5:4: the aliases here expand to more than 10000 values"
    ]


def test_the_error_can_be_pickled() -> None:
    Path("bad.yaml").write_text("name: 3")
    with pytest.raises(ConfigError) as caught:
        load_pool("bad.yaml")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.problems) == (str(caught.value), caught.value.problems)


@pytest.mark.parametrize("opening", ["[", "{a: "])
def test_ten_thousand_levels_are_refused_wherever_the_parser_stops(opening: str) -> None:
    (problem,) = problems(opening * 10_000)
    assert problem.endswith(": is nested deeper than 50 levels")
