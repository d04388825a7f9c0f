"""No value of `env`, and nothing that a variable held, is shown anywhere."""

from __future__ import annotations

import json
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from processpool.config import PoolConfig, load_pool, pool_from_dict
from processpool.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "hunter2-swordfish"
COMMAND = "worker:\n  kind: command\n  command: [cat]\n"


def test_a_valid_configuration_shows_none(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(COMMAND + '  env: {TOKEN: "${T}", LITERAL: ' + SECRET + "}")
    config = load_pool(path, environ={"T": SECRET})
    shown = [repr(config), str(config), repr(config.worker.env), repr(config.model_dump())]
    shown += [config.model_dump_json(), f"{config.worker.env['TOKEN']}", json.dumps(str(config))]
    assert config.worker.env["TOKEN"].get_secret_value() == SECRET
    assert [text for text in shown if SECRET in text] == []


@pytest.mark.parametrize(
    "content",
    [
        COMMAND + "  env: " + SECRET,
        COMMAND + "  env: [" + SECRET + "]",
        COMMAND + "  env: {A: [" + SECRET + "]}",
        COMMAND + "  env: {A: {B: " + SECRET + "}}",
        COMMAND + "  env: {A: *" + SECRET + "}",
        COMMAND + "  env: {A: !" + SECRET + " x}",
        COMMAND + "  env: {A: !!" + SECRET + "}",
        COMMAND + '  env: {A: "' + SECRET,
        COMMAND + "  env: {A: '" + SECRET + "\\0', 'B=': \"" + SECRET + '\\0"}',
        COMMAND + "  env: {A: '${" + SECRET + "'}",
        COMMAND + "  env: {A: @" + SECRET + "}",
        COMMAND + "  env: {A: `" + SECRET + "}",
        COMMAND + "  env: {A: %" + SECRET + "}",
        COMMAND + "  env:\n    A: " + SECRET + ": x",
        COMMAND + "  env:\n    A: '" + SECRET + "' x",
        COMMAND + "  env: {A: '${T}', B: no}\nsize: {max: '${T}'}",
        COMMAND + "name: ['${T}']\nwidget: ${T}\nqueue:\n  when_full: ${T}\n  max_pending: ${T}",
        COMMAND + "timeouts:\n  start: ${T}\nlimits:\n  memory: ${T}\nretry: ${T}",
        "worker:\n  kind: ${T}\n  command: '${T}'",
        "worker: ${T}",
        "pools: {a: '${T}'}",
        COMMAND.replace("[cat]", "'\"${T}'"),
        COMMAND.replace("command\n", "python\n", 1).replace("command: [cat]", "handler: ${T}"),
    ],
)
def test_no_error_shows_one(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        load_pool(path, environ={"T": SECRET})
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "worker",
    [
        {"kind": "command", "command": [], "env": {"A": SECRET}},
        {"kind": "command", "command": ["x"], "env": {"A": SECRET + "\0"}},
        {"kind": "command", "command": ["x"], "env": {"A": SECRET.encode()}},
        {"kind": "command", "command": ["x"], "env": SECRET},
        {"kind": "command", "command": ["x"], "env": {SECRET}},
    ],
)
def test_no_error_in_python_shows_one(worker: dict[str, Any]) -> None:
    for make in (pool_from_dict, lambda data: PoolConfig(**data)):
        with pytest.raises(ConfigError) as caught:
            make({"worker": worker})
        assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_an_override_shows_none(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(COMMAND)
    for value in (SECRET + "\0", [SECRET], {"x": SECRET}):
        for key in ("worker.env.A", "worker.env"):
            with pytest.raises(ConfigError) as caught:
                load_pool(path, overrides={key: value, "name": 1})
            assert SECRET not in str(caught.value)
