"""The `worker.protocol` section: what it starts from, what replaces that, and what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from processpool.cli.presets import list_presets, show_preset
from processpool.config import CommandWorkerConfig, load_pool, pool_from_dict
from processpool.errors import ConfigError
from processpool.wire.framing.declaration import FRAMED, LINES, AnswerRule, Declaration, Step
from processpool.wire.framing.declared import make_framing
from processpool.wire.framing.presets import PRESETS

if TYPE_CHECKING:
    from pathlib import Path


def declared(protocol: Any = None, **overrides: Any) -> Declaration:
    """What the framing of a pool with this `worker.protocol` is told."""
    worker = {"kind": "command", "command": ["cat"]}
    if protocol is not None:
        worker["protocol"] = protocol
    dotted = {f"worker.protocol.{key}": value for key, value in overrides.items()}
    config = pool_from_dict({"worker": worker}, overrides=dotted)
    assert isinstance(config.worker, CommandWorkerConfig)
    return config.worker.protocol.declaration


def test_without_a_word_it_is_framed() -> None:
    assert declared() == FRAMED
    assert declared(max_message=5).exit == "0;\n"


@pytest.mark.parametrize("protocol", ["lines", {}, {"kind": "lines"}, {"pipeline": 4}])
def test_a_mapping_without_kind_starts_from_lines(protocol: Any) -> None:
    assert declared(protocol) == LINES


def test_keys_replace_those_of_the_preset() -> None:
    protocol = declared({"kind": "uci", "exit": "stop\nquit\n", "answer": {"skip": "^info"}})
    assert protocol == Declaration(
        request="{message}\n",
        refuse=PRESETS["uci"].protocol["refuse"],
        answer=AnswerRule(until_line=r"^bestmove\b", keep=True, skip="^info"),
        start=(Step("send", "uci\n"), Step("expect", "uciok")),
        exit="stop\nquit\n",
    )


def test_another_end_replaces_the_whole_answer() -> None:
    assert declared({"kind": "uci", "answer": {"lines": 2}}).answer == AnswerRule(lines=2)


@pytest.mark.parametrize(
    ("protocol", "refused"),
    [
        ({}, "\n"),
        ({"answer": {"lines": 3}}, "\n"),
        ({"answer": {"until_line": "^$"}}, None),
        ({"request": "{message};\n"}, None),
        ({"refuse": None}, None),
        ({"refuse": "^-x"}, "^-x"),
    ],
)
def test_a_newline_is_refused_where_messages_and_answers_are_lines(
    protocol: Any, refused: str | None
) -> None:
    assert declared(protocol).refuse == refused


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_used(name: str) -> None:
    framing = make_framing(declared(name))
    request = framing.encode(b'{"method":"x"}')
    framing.expect(request)
    assert b'"method":"x"' in b"".join(request)
    preset = PRESETS[name]
    assert preset.command
    assert preset.about


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_that_is_printed_declares_the_same(name: str, tmp_path: Path) -> None:
    path = tmp_path / "pool.yaml"
    path.write_text("\n".join(show_preset(name)) + "\n")
    worker = load_pool(path).worker
    assert isinstance(worker, CommandWorkerConfig)
    assert worker.protocol.declaration == declared(name)
    assert worker.command == PRESETS[name].command
    assert worker.codec == PRESETS[name].codec
    assert {key: value.get_secret_value() for key, value in worker.env.items()} == PRESETS[name].env


def test_all_presets_are_listed_with_an_example() -> None:
    listed = list(list_presets())
    assert [line.split()[0] for line in listed[::2]] == list(PRESETS)
    assert "    exiftool -stay_open True -@ -" in "\n".join(listed)


@pytest.mark.parametrize(
    ("preset", "message", "is_refused"),
    [
        ("exiftool", "-ver\n -Execute2\n-ver", True),
        ("exiftool", "#[CSTR]-execute", True),
        ("exiftool", "-Stay_Open\nFalse", True),
        ("exiftool", "-json\n-executed\n/tmp/-execute", True),
        ("exiftool", "-json\n/tmp/-execute", False),
        ("uci", "go depth 1\nposition startpos\ngo depth 1", True),
        ("uci", "position startpos moves e2e4\ngo depth 1", False),
        ("node", "1\nlet x = await f()", True),
        ("node", "async function f() { await g() }", False),
    ],
)
def test_presets_refuse_what_has_two_answers(
    preset: str, message: str, *, is_refused: bool
) -> None:
    refused = declared(preset).refused
    assert refused is not None
    assert bool(refused.search(message.encode())) == is_refused


def test_oneshot_takes_the_message_as_its_input_or_as_an_argument() -> None:
    def oneshot(command: list[str]) -> Any:
        worker = {"kind": "command", "command": command, "protocol": "oneshot"}
        config = pool_from_dict({"worker": worker})
        assert isinstance(config.worker, CommandWorkerConfig)
        return config.worker.declaration.oneshot

    assert declared("lines").oneshot is None
    assert oneshot(["tidy", "-q"]) == "input"
    assert oneshot(["dig", "+short", "{message}"]) == "argument"
    with pytest.raises(ConfigError, match="in an argument of command, not in its program"):
        oneshot(["{message}"])
    with pytest.raises(ConfigError, match=r"\{mesage\} in command \(did you mean \{message\}\?\)"):
        oneshot(["dig", "{mesage}"])
    assert oneshot(["jq", "{a: .b}"]) == "input"
    assert oneshot(["printf", "{messages} %s", "{message}"]) == "argument"


def test_a_preset_that_does_not_exist() -> None:
    with pytest.raises(ConfigError, match="no protocol is called 'uzi'; did you mean uci"):
        list(show_preset("uzi"))


FAULTY = [
    (
        "{kind: mcp, answer: {lines: 2}}",
        "answer",
        "does not go with JSON-RPC, which has requests and answers of its own, got a mapping",
    ),
    (
        "{kind: oneshot, answer: {lines: 1}}",
        "answer",
        "does not go with oneshot, where the answer is all that a process writes, got a mapping",
    ),
    (
        "{kind: oneshot, pipeline: 2}",
        "pipeline",
        "does not go with oneshot, where the answer is all that a process writes, got 2",
    ),
    ("{over: lines}", "over", "goes with the kinds jsonrpc, lsp and mcp only, got lines"),
    (
        "{kind: lsp, over: pipes}",
        "over",
        "must be lines or content-length, got pipes; did you mean lines?",
    ),
    ("exiftol", "", "must be the name of a protocol, got exiftol; did you mean exiftool?"),
    ("xml", "", "must be the name of a protocol, got xml; `processpool presets` lists them"),
    ("{kind: uzi}", "kind", "must be the name of a protocol, got uzi; did you mean uci?"),
    (
        "{request: '{mesage}'}",
        "request",
        'must not hold {mesage} (did you mean {message}?), got "{mesage}"',
    ),
    (
        "{request: hello}",
        "request",
        "must hold {message}, once: that is where the message goes, got hello",
    ),
    (
        "{refuse: '[a'}",
        "refuse",
        'must be a regular expression: unterminated character set at position 0, got "[a"',
    ),
    (
        "{answer: {lines: 1, until: x}}",
        "answer.until",
        "must not stand beside lines: an answer ends in one way, got x",
    ),
    ("{answer: {lines: 0}}", "answer.lines", "must be at least 1, got 0"),
    (
        "{answer: {until: ''}}",
        "answer.until",
        'must not be empty (an empty line is until_line: "^$"), got ""',
    ),
    (
        "{answer: {until: '{Mark}'}}",
        "answer.until",
        'must not hold {Mark} (did you mean {mark}?), got "{Mark}"',
    ),
    (
        "{answer: {until: '{mark}'}}",
        "answer",
        "waits for {mark}, which the request has a program say nowhere, got a mapping",
    ),
    ("{answer: {lines: 1, count: 2}}", "answer.count", "goes with until only, got 2"),
    ("{answer: {lines: 1, after: x}}", "answer.after", "goes with length only, got x"),
    (
        "{answer: {lines: 1, keep: true}}",
        "answer.keep",
        "does not go with lines, which have no end of their own, got true",
    ),
    (
        "{answer: {length: u32}}",
        "answer.length",
        "must be the name of a length, or a regex for the header, got u32; did you mean u32le?",
    ),
    (
        "{answer: {length: '(\\d+)'}}",
        "answer.length",
        "must end with what ends a header, such as \\n or ; in '(\\d+);', got \"(\\d+)\"",
    ),
    (
        "{request: '{message} {mark}', answer: {until: '{mark}', skip: x}}",
        "answer",
        "must not have skip where until holds {mark}: what the mark ends is the answer, "
        "got a mapping",
    ),
    (
        "{start: [{expect: a, send: b}]}",
        "start[0]",
        "must have exactly one of expect, send, ask, got a mapping",
    ),
    ("{start: [{sent: a}]}", "start[0].sent", "unknown key; did you mean send?"),
    ("{start: {send: a}}", "start", "must be a list, got a mapping"),
    (
        "{after_error: replace}",
        "after_error",
        "has no effect without error or error_stderr, got replace",
    ),
    (
        "{error_stderr: x, pipeline: 2}",
        "pipeline",
        "must be 1 with error_stderr, which cannot tell whose stderr it is, got 2",
    ),
    (
        "{error: x, after_error: replace, pipeline: 2}",
        "pipeline",
        "must be 1 with after_error: replace, which would lose those behind, got 2",
    ),
    ("{exti: x}", "exti", "unknown key; did you mean exit?"),
    ("{pipeline: atuo}", "pipeline", "must be auto or a whole number, got atuo"),
    (
        "{start: [{expect: '{mark}'}]}",
        "start[0].expect",
        'must not hold {mark}, which there is in requests only, got "{mark}"',
    ),
    (
        "{kind: stockfish}",
        "kind",
        "must be the name of a protocol, got stockfish; what stockfish speaks is called uci",
    ),
]


@pytest.mark.parametrize(("protocol", "key", "words"), FAULTY)
def test_what_is_wrong_is_said_at_its_key(
    tmp_path: Path, protocol: str, key: str, words: str
) -> None:
    path = tmp_path / "pool.yaml"
    path.write_text(f"worker:\n  kind: command\n  command: [cat]\n  protocol: {protocol}\n")
    with pytest.raises(ConfigError) as caught:
        load_pool(path)
    assert len(caught.value.problems) == 1
    place, found, sentence = caught.value.problems[0].split(": ", 2)
    assert place.startswith(f"{path}:4:")
    assert found == f"worker.protocol.{key}".rstrip(".")
    assert sentence == words


def test_json_rpc_speaks_json() -> None:
    worker = {"kind": "command", "command": ["x"], "protocol": "mcp"}
    config = pool_from_dict({"worker": worker}).worker
    assert isinstance(config, CommandWorkerConfig)
    assert config.codec == "json"
    assert config.protocol.declaration.rpc is not None
    with pytest.raises(ConfigError, match=r'worker\.codec: must be json with mcp, got "text"'):
        pool_from_dict({"worker": {**worker, "codec": "text"}})


def test_each_gives_values_in_turn(tmp_path: Path) -> None:
    worker = {"kind": "python", "each": {"CUDA_VISIBLE_DEVICES": [0, "1"]}}
    assert pool_from_dict({"worker": worker}).worker.each == {"CUDA_VISIBLE_DEVICES": ("0", "1")}
    with pytest.raises(ConfigError, match=r"worker\.each: must not give A, which worker\.env"):
        pool_from_dict({"worker": {**worker, "env": {"A": "1"}, "each": {"A": [1]}}})
    with pytest.raises(ConfigError, match=r"worker\.each\.A: must be a list of values, such as"):
        pool_from_dict({"worker": {**worker, "each": {"A": []}}})


@pytest.mark.parametrize(
    "given", [{"env": {"PROCESSPOOL_SLOT": "1"}}, {"each": {"PROCESSPOOL_SLOT": [1]}}]
)
def test_a_variable_that_the_pool_sets_is_refused(given: dict[str, Any]) -> None:
    worker = {"kind": "command", "command": ["cat"], **given}
    with pytest.raises(ConfigError, match="must not give PROCESSPOOL_SLOT, which the pool sets"):
        pool_from_dict({"worker": worker})
