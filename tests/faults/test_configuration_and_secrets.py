"""What a file declares is checked before anything runs, and what is secret or hostile stays so.

Tested elsewhere: every wrong file and its one error with file, line, column, path and suggestion,
alias bombs and recursion, unset variables and their bad names → tests.config.test_files; marks of
the byte order and CRLF → tests.config.test_pools; any bytes at all → tests.config.test_fuzz; echoed
output in detail → tests.api.test_echo; the widget's static table in detail →
tests.widget.test_static.
"""

from __future__ import annotations

import json
import logging
import os
import pty
import subprocess
import sys
import threading
import time
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from processpool import ProcessPool, RemoteError, WorkerStartFailed, progress
from processpool.config import PoolConfig, load_pool, pool_from_dict
from processpool.errors import ConfigError
from processpool.widget import state_of, static
from processpool.widget.feed import Feed
from tests.process.support import PUPPET, WORKERS, eventually
from tests.process.workers import functions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.process.support import Gate

SECRET = "hunter2-swordfish"
INHERITED = "hunter3-of-the-environment"
COMMAND = "worker:\n  kind: command\n  command: [cat]\n"


class TestCode:
    @pytest.mark.parametrize(
        "value",
        [
            "!!python/object/apply:os.system ['touch ran']",
            "!!python/object/new:os.system ['touch ran']",
            "!!python/object/apply:subprocess.check_call [[touch, ran]]",
            "!!python/name:os.system",
            "!!python/module:os",
            "!<tag:yaml.org,2002:python/object/apply:os.system> ['touch ran']",
        ],
    )
    @pytest.mark.parametrize("where", ["name: {}", "  env: {{A: {}}}", "size: {}", "{}: x", "? {}"])
    def test_is_refused_and_never_run(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, where: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "a.yaml").write_text(COMMAND + where.format(value) + "\n")
        began = time.process_time()
        with pytest.raises(ConfigError, match=r"a tag is not allowed|is not valid YAML|a key must"):
            ProcessPool.from_yaml("a.yaml")
        assert time.process_time() - began < 10
        assert not (tmp_path / "ran").exists()


def test_a_valid_configuration_shows_no_secret(tmp_path: Path) -> None:
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
def test_no_error_of_a_file_shows_a_secret(tmp_path: Path, content: str) -> None:
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
def test_no_error_of_a_dictionary_shows_a_secret(worker: dict[str, Any]) -> None:
    for make in (pool_from_dict, lambda data: PoolConfig(**data)):
        with pytest.raises(ConfigError) as caught:
            make({"worker": worker})
        assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_no_error_of_an_override_shows_a_secret(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(COMMAND)
    for value in (SECRET + "\0", [SECRET], {"x": SECRET}):
        for key in ("worker.env.A", "worker.env"):
            with pytest.raises(ConfigError) as caught:
                load_pool(path, overrides={key: value, "name": 1})
            assert SECRET not in str(caught.value)


class Ear:
    """Hears whatever a pool shows to anybody."""

    def __init__(self, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        self._trace = folder / "trace.json"
        self._caplog = caplog
        self._heard: list[str] = []
        caplog.set_level(logging.DEBUG)

    def hear(self, thing: object) -> None:
        """In every way in which Python shows a thing."""
        self._heard += [repr(thing), str(thing), f"{thing}"]

    def listen(self, pool: ProcessPool) -> None:
        """From now on, to the events and the trace."""
        pool.events(self.hear)
        pool.trace(self._trace)

    def look(self, pool: ProcessPool) -> None:
        """At everything that the pool shows at this moment."""
        feed = Feed()
        frames = [feed.take(pool.snapshot()), feed.everything()]
        config = pool.config
        for thing in (
            pool,
            pool.snapshot(),
            config,
            config.worker,
            config.worker.env,
            config.model_dump(),
            config.model_dump_json(),
        ):
            self.hear(thing)
        self._heard += [pool._repr_html_(), static.to_text(state_of(pool)), json.dumps(frames)]

    def fail(self, act: Callable[[], object]) -> None:
        """To the error that comes of this."""
        with pytest.raises(Exception) as caught:  # noqa: PT011
            act()
        self.hear(caught.value)
        self.hear(getattr(caught.value, "record", None))
        self._heard += traceback.format_exception(caught.value)

    def all(self, pool: ProcessPool) -> str:
        """Everything, once the pool is closed."""
        figure = pool.plot_timeline()
        records = [str(vars(record)) for record in self._caplog.records]
        return "\n".join(
            [
                *self._heard,
                figure.svg,
                self._trace.read_text(),
                self._caplog.text,
                *records,
            ]
        )


@pytest.fixture
def ear(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Ear:
    return Ear(tmp_path, caplog)


class TestSecrets:
    @pytest.fixture
    def from_yaml(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Callable[..., ProcessPool]]:
        """Makes pools with a secret in the file, and one in the environment."""
        monkeypatch.setenv("PLANTED", INHERITED)
        pools: list[ProcessPool] = []

        def make(worker: dict[str, Any], **sections: Any) -> ProcessPool:
            env = {"LITERAL": SECRET, "FILLED_IN": "${PLANTED}"} | worker.pop("env", {})
            data = {"worker": {**worker, "env": env}, "size": {"max": 1}, **sections}
            (tmp_path / "pool.yaml").write_text(json.dumps(data))
            pools.append(ProcessPool.from_yaml(tmp_path / "pool.yaml"))
            return pools[-1]

        yield make
        for pool in pools:
            pool.kill()

    def check(self, shown: str, *expected: str) -> None:
        for text in expected:
            assert text in shown
        assert SECRET not in shown
        assert INHERITED not in shown

    def test_of_a_command_show_nowhere(
        self, from_yaml: Callable[..., ProcessPool], ear: Ear, tmp_path: Path
    ) -> None:
        broken = str(tmp_path / "broken")
        start = f"err = os.path.exists({broken!r}) and sys.exit('no licence')"
        pool = from_yaml(
            {"kind": "command", "command": [*PUPPET, "framed", start]},
            timeouts={"request": 0.5},
            queue={"max_pending": 1, "when_full": "raise"},
            restart={"max_failures": 1, "backoff": [0.01, 0.01]},
        )
        ear.look(pool)
        ear.fail(lambda: pool.call("answer()"))
        with pool:
            ear.listen(pool)
            found = pool.call("answer(os.environ['LITERAL'] + os.environ['FILLED_IN'])")
            assert found == SECRET + INHERITED
            for message in (
                "err('last words'); die()",
                "raw(b'hello')",
                "raw(b'10;abc'); os._exit(0)",
                "answer(b'\\xff')",
                "time.sleep(60)",
                "answer(); raw(b'stray'); os._exit(0)",
            ):
                with suppress(Exception):
                    pool.call(message)
                if "stray" not in message:
                    ear.fail(lambda message=message: pool.submit(message).result())  # type: ignore[misc]
                    ear.fail(lambda message=message: pool.map([message]))  # type: ignore[misc]
                ear.look(pool)
            with pool.lease() as lease:
                ear.hear(lease)
                ear.fail(lambda: pool.lease(timeout=0))
            ear.fail(lease.release)
            pool.pause()
            ear.hear(pool.submit("answer()"))
            ear.fail(lambda: pool.submit("answer()"))
            ear.fail(lambda: pool.submit(7).result())
            pool.resume()
            (tmp_path / "broken").touch()
            with suppress(Exception):
                pool.submit("die()").result()
            eventually(lambda: pool.state == "broken")
            ear.fail(lambda: pool.submit("answer()"))
            ear.look(pool)
        ear.look(pool)
        ear.fail(lambda: pool.submit("answer()"))
        self.check(
            ear.all(pool),
            *("killed by SIGKILL", "b'hello'", "3 of 10 bytes", "invalid UTF-8", "no licence"),
            *("RequestTimeout", "PoolBroken", "QueueFull", "PoolExhausted", "InvalidLease"),
            *("PoolClosed", "FILLED_IN", "last words"),
        )

    def test_of_python_functions_show_nowhere(
        self, from_yaml: Callable[..., ProcessPool], ear: Ear
    ) -> None:
        pool = from_yaml({"kind": "python"}, timeouts={"request": 0.5})
        with pool:
            ear.listen(pool)
            assert pool.call(os.getenv, "FILLED_IN") == INHERITED
            for function, argument in (
                (functions.end, "SIGKILL"),
                (functions.end, "abort"),
                (functions.fail, "such"),
                (functions.make, "Unpicklable"),
                (time.sleep, 60),
                (functions.same, threading.Lock()),
            ):
                ear.fail(lambda f=function, a=argument: pool.call(f, a))  # type: ignore[misc]
                ear.fail(lambda f=function, a=argument: pool.submit(f, a).result())  # type: ignore[misc]
                ear.look(pool)
        self.check(ear.all(pool), "killed by SIGKILL", "ValueError: such", "RequestTimeout")

    @pytest.mark.parametrize(
        ("worker", "says"),
        [
            ({"kind": "command", "command": ["no-such-program"]}, "no such program"),
            (
                {"kind": "command", "command": ["no-such-one"], "env": {"PATH": f"/{SECRET}"}},
                "no such program in the PATH of worker.env",
            ),
            ({"kind": "command", "command": ["sh", "-c", "exit 3"]}, "exited with status 3"),
            ({"kind": "command", "command": ["sh"], "cwd": "/nowhere"}, "/nowhere"),
            ({"kind": "python", "setup": "no_such_module:thing"}, "no_such_module"),
            ({"kind": "python", "setup": "os:abort"}, "SIGABRT"),
        ],
    )
    def test_of_a_pool_that_does_not_start_show_nowhere(
        self, from_yaml: Callable[..., ProcessPool], ear: Ear, worker: dict[str, Any], says: str
    ) -> None:
        pool = from_yaml(worker)
        ear.listen(pool)
        with pytest.raises(WorkerStartFailed):
            pool.open()
        ear.look(pool)
        again = from_yaml(worker)
        ear.fail(again.open)
        self.check(ear.all(pool), says)

    @pytest.mark.parametrize(
        "arguments", [["check"], ["check", "--start"], ["run"], ["run", "--set", "sise.max=1"]]
    )
    def test_show_in_no_output_of_the_command_line(
        self, from_yaml: Callable[..., ProcessPool], tmp_path: Path, arguments: list[str]
    ) -> None:
        from_yaml({"kind": "command", "command": PUPPET}, timeouts={"request": 0.5})
        command, *options = arguments
        done = subprocess.run(
            [sys.executable, "-m", "processpool", command, str(tmp_path / "pool.yaml"), *options],
            input=b"die()\nraw(b'hello')\ntime.sleep(60)\nanswer(b'\\xff')\nanswer('fine')\n",
            capture_output=True,
            timeout=60,
            check=False,
        )
        shown = (done.stdout + done.stderr).decode()
        expected = {"check": "FILLED_IN", "run": "4 of 5 items failed"}[command]
        self.check(shown, "sise" if "--set" in options else expected)


EVIL = "\x1b[2J\x1b]0;mine\x07\x9b31m\u202e<script>alert(1)</script><img src=x onerror=alert(1)>"
EVIL_CODE = f"err({EVIL!r}); "
RAW = ("\x1b", "\x07", "\x9b", "\u202e")


def is_harmless(text: str) -> bool:
    """True if a terminal shows this text, and does nothing else."""
    return not any(character in text for character in RAW)


def raise_unsendable(text: str) -> None:
    class Unsendable(Exception):  # not to be found by name, nor to be sent by value
        lock = threading.Lock()

    raise Unsendable(text)


def babble(text: str, path: str) -> None:
    """Say it in every way there is; the gate is for whoever wants to see it run."""
    print(text)
    print(text, file=sys.stderr)
    progress(1, 2, text)
    logging.getLogger("babble").warning(text, extra={"more": text})
    try:
        raise ValueError(text)
    except ValueError:
        logging.getLogger("babble").exception("it failed: %s", text)
    functions.wait_at(path)


class TestWorkerOutput:
    """It can neither move the cursor of a terminal, nor become HTML."""

    def see(self, pool: ProcessPool) -> str:
        """What displays show."""
        html = pool._repr_html_()
        assert "<script" not in html
        assert "<img" not in html
        feed = Feed()
        frames = [feed.take(pool.snapshot()), feed.everything()]
        shown = [html, repr(pool), static.to_text(state_of(pool))]
        return "\n".join([*shown, *map(str, strings_in(frames))])

    @pytest.mark.parametrize(
        ("message", "says"),
        [
            (EVIL_CODE + "die()", "<script>"),
            (EVIL_CODE + "os._exit(3)", "<script>"),
            (f"raw({EVIL.encode()!r})", "must begin with its length"),
            (f"raw({b'10;' + EVIL.encode()[:9]!r}); os._exit(0)", "9 of 10 bytes"),
            (f"answer({EVIL.encode() + bytes([255])!r})", "invalid UTF-8"),
            (EVIL_CODE + "time.sleep(60)", "did not answer"),
            (f"answer(); raw({EVIL.encode()!r})", ""),
        ],
    )
    def test_of_a_command_is_harmless_everywhere(
        self,
        make_pool: Callable[..., ProcessPool],
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
        capsys: pytest.CaptureFixture[str],
        message: str,
        says: str,
    ) -> None:
        pool = make_pool(timeouts={"request": 0.5})
        trace = pool.trace(tmp_path / "trace.json")
        told: list[object] = []
        pool.events(told.append)
        errors = pool.map([message, message], on_error="return", echo=True)
        for error in errors:
            if isinstance(error, Exception):
                assert says in str(error)
                assert is_harmless("".join(traceback.format_exception(error)))
        assert pool.map(["answer('next')"]) == ["next"]
        assert is_harmless(self.see(pool))
        pool.close()
        assert is_harmless(self.see(pool))
        assert is_harmless("".join(map(repr, told)))
        assert is_harmless("\n".join(strings_in(json.loads((tmp_path / "trace.json").read_text()))))
        assert is_harmless(trace.plot().svg)
        assert "<script" not in trace.plot().svg
        assert is_harmless(caplog.text)
        assert is_harmless("".join(capsys.readouterr()))

    def test_of_python_functions_is_harmless_everywhere(
        self,
        python_pool: Callable[..., ProcessPool],
        gate: Gate,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        pool = python_pool()
        pool.trace(tmp_path / "trace.json")
        with pytest.raises(RemoteError, match="script") as caught:
            pool.call(raise_unsendable, EVIL)
        assert is_harmless("".join(traceback.format_exception(caught.value)))
        assert is_harmless(self.see(pool))
        thread = threading.Thread(
            target=lambda: pool.map(babble, [EVIL], [str(gate.path)], echo=True)
        )
        thread.start()
        gate.await_arrival()
        eventually(lambda: pool.snapshot().workers[0].progress)
        assert is_harmless(self.see(pool))
        gate.open()
        thread.join()
        assert is_harmless(self.see(pool))
        shown = "".join(capsys.readouterr())
        assert "<script>" in shown
        assert is_harmless(shown)
        assert "it failed: \\x1b[2J" in caplog.text
        assert is_harmless(caplog.text)
        assert is_harmless("".join(str(vars(record)) for record in caplog.records))
        pool.close()
        assert is_harmless("\n".join(strings_in(json.loads((tmp_path / "trace.json").read_text()))))

    @pytest.mark.parametrize(
        "worker",
        [
            {"kind": "command", "command": PUPPET},
            {"kind": "python", "handler": "evil:handle"},
        ],
        ids=["command", "python"],
    )
    def test_is_harmless_on_the_terminal_of_the_command_line(
        self, tmp_path: Path, worker: dict[str, Any]
    ) -> None:
        (tmp_path / "evil.py").write_text(_EVIL_HANDLER)
        if worker["kind"] == "python":
            worker = {**worker, "path": [str(tmp_path), str(WORKERS)]}
        config = {"worker": worker, "size": {"max": 1}}
        (tmp_path / "pool.yaml").write_text(json.dumps(config))
        messages = [EVIL_CODE + "die()", f"raw({EVIL.encode()!r})", f"answer({EVIL!r})"]
        (tmp_path / "input").write_text("\n".join(messages) + "\n")
        shown = on_terminal("run", tmp_path / "pool.yaml", tmp_path / "input", "--no-progress")
        assert shown.count("<script>") >= 2
        assert is_harmless(shown)

    def test_is_written_as_it_is_into_a_file_or_pipe(self, tmp_path: Path) -> None:
        config = {"worker": {"kind": "command", "command": PUPPET}}
        (tmp_path / "pool.yaml").write_text(json.dumps(config))
        done = subprocess.run(
            [sys.executable, "-m", "processpool", "run", str(tmp_path / "pool.yaml")],
            input=f"answer({EVIL!r})\n".encode(),
            capture_output=True,
            timeout=60,
            check=True,
        )
        assert done.stdout.decode() == EVIL + "\n"


_EVIL_HANDLER = """
import logging, os, sys

class Loud(Exception):
    def __str__(self):
        raise SystemExit("cannot be shown")

def err(text):
    print(text, file=sys.stderr)
    logging.warning(text)

def answer(text):
    said.append(text)

def raw(data):
    raise ValueError(data.decode())

def die():
    os.kill(os.getpid(), 9)

said = []

def handle(message):
    said.clear()
    exec(message, globals())
    return said[0]
"""


def strings_in(value: Any) -> Iterator[str]:
    """Every text in a structure such as JSON has."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from strings_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from strings_in(inner)


def on_terminal(*arguments: object) -> str:
    """Run the command with stdout and stderr on a terminal; what that got."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "processpool", *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave):
        os.close(slave)
        shown = b""
        with suppress(OSError):  # EIO: nobody holds the other end any more
            while piece := os.read(master, 1 << 16):
                shown += piece
        os.close(master)
    return shown.decode()
