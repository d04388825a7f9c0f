from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import comm
import pytest
from comm.base_comm import BaseComm

from processpool import ProcessPool
from processpool.widget import display_of
from processpool.widget.widget import PoolWidget, answer_anywhere

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.widget.display import Display

PATIENCE = 20.0


class Wire:
    """Stands for the front end: everything that is sent to it, and a way to answer."""

    def __init__(self) -> None:
        self.comms: list[RecordingComm] = []
        self._sent: list[tuple[str, str, dict[str, Any]]] = []
        self._news = threading.Condition()

    def record(self, comm_id: str, kind: str, data: dict[str, Any]) -> None:
        with self._news:
            self._sent.append((comm_id, kind, data))
            self._news.notify_all()

    @property
    def kinds(self) -> list[str]:
        return [kind for _, kind, _ in self._sent]

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [data["content"] for _, _, data in self._sent if data.get("method") == "custom"]

    def await_message(self, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        with self._news:
            found = self._news.wait_for(lambda: list(filter(wanted, self.messages)), PATIENCE)
        assert found, f"not among the {len(self.messages)} messages"
        return found[0]

    def say(self, content: dict[str, Any]) -> None:
        """A message from the front end to the widget, which is the last model that was made."""
        data = {"method": "custom", "content": content}
        self.comms[-1].handle_msg({"content": {"data": data}, "buffers": []})


class RecordingComm(BaseComm):
    """A connection to the front end that keeps what is sent."""

    wire: Wire

    def publish_msg(self, msg_type: str, data: Any = None, *_: Any, **__: Any) -> None:
        self.wire.record(self.comm_id, msg_type, data or {})


class Output:
    """A cell's output."""

    def __init__(self, bundle: dict[str, Any]) -> None:
        self.bundle = bundle

    def update(self, bundle: dict[str, Any], *, raw: bool) -> None:
        assert raw
        self.bundle = bundle


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    wire = Wire()

    def create_comm(*args: Any, **kwargs: Any) -> RecordingComm:
        made = RecordingComm.__new__(RecordingComm)
        made.wire = wire
        wire.comms.append(made)
        made.__init__(*args, **kwargs)  # type: ignore[misc]
        return made

    monkeypatch.setattr(comm, "create_comm", create_comm)
    return wire


@pytest.fixture
def outputs() -> list[Output]:
    return []


@pytest.fixture
def display(pool: ProcessPool, wire: Wire, outputs: list[Output]) -> Display:
    """The display of `pool`, shown once."""

    def publish(bundle: dict[str, Any]) -> Output:
        outputs.append(Output(bundle))
        return outputs[-1]

    display = display_of(pool, publish)
    display.show()
    return display


def test_the_output_is_a_table_in_which_a_front_end_finds_its_place(
    display: Display, outputs: list[Output]
) -> None:
    assert display.live
    assert set(outputs[0].bundle) == {"text/plain", "text/html"}
    assert f'data-processpool="{display.key}"' in outputs[0].bundle["text/html"]


def test_a_front_end_that_asks_gets_everything(display: Display, wire: Wire) -> None:
    wire.say({"kind": "hello"})
    frame = wire.await_message(lambda message: message.get("history"))
    assert frame["full"]["workers"]["idle"] == 2


def test_what_happens_is_sent_while_the_thread_that_started_it_blocks(
    display: Display, wire: Wire, pool: ProcessPool
) -> None:
    wire.say({"kind": "hello"})
    wire.await_message(lambda message: message.get("history"))
    pool.map(["a"] * 10)
    wire.await_message(lambda message: message.get("delta", {}).get("ok") == 10)


def test_a_click_is_carried_out_elsewhere_and_confirmed(
    display: Display, wire: Wire, pool: ProcessPool
) -> None:
    wire.say({"kind": "do", "id": "x1", "action": "pause"})
    assert wire.await_message(lambda message: message.get("done") == "x1")["error"] == ""
    assert pool.state == "paused"
    pool.resume()


def test_a_click_that_fails_says_why(display: Display, wire: Wire) -> None:
    wire.say({"kind": "do", "id": "x2", "action": "restart", "worker": 999})
    answer = wire.await_message(lambda message: message.get("done") == "x2")
    assert "no worker 999" in answer["error"]


@pytest.mark.parametrize("nonsense", [{}, {"kind": "?"}, {"kind": "do"}, []])
def test_nonsense_from_the_front_end_harms_nothing(
    display: Display, wire: Wire, nonsense: Any
) -> None:
    wire.say(nonsense)
    wire.say({"kind": "hello"})
    assert wire.await_message(lambda message: message.get("history"))


def test_closing_replaces_every_output_and_takes_the_widget_away(
    display: Display, wire: Wire, pool: ProcessPool, outputs: list[Output]
) -> None:
    display.show()
    pool.map(["a"] * 10)
    pool.close()
    assert len(outputs) == 2
    for output in outputs:
        assert set(output.bundle) == {"text/plain", "text/html"}
        assert "closed · 10 ok" in output.bundle["text/plain"]
        assert "■ ended" in output.bundle["text/plain"]
    assert not display.live
    assert wire.kinds.count("comm_close") == wire.kinds.count("comm_open") == 2
    assert "closed · 10 ok" in pool._repr_html_()


def test_the_thread_ends_with_the_pool(display: Display, pool: ProcessPool) -> None:
    thread = display._updater._thread
    pool.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_pool_that_is_killed_ends_the_same_way(
    display: Display, pool: ProcessPool, outputs: list[Output]
) -> None:
    pool.kill()
    assert "closed" in outputs[0].bundle["text/plain"]


def test_a_pool_on_show_that_nobody_uses_any_more_is_collected(
    wire: Wire, outputs: list[Output]
) -> None:
    declared = {"worker": {"kind": "command", "command": ["cat"], "protocol": "lines"}}
    pool = ProcessPool.from_dict(declared).open()
    ended = threading.Event()

    class LastOutput(Output):
        def update(self, bundle: dict[str, Any], *, raw: bool) -> None:
            ended.set()

    display_of(pool, LastOutput).show()
    gone = weakref.ref(pool)
    del pool
    gc.collect()
    assert ended.wait(PATIENCE)
    assert gone() is None


def test_nothing_travels_but_the_package_s_own_script(wire: Wire) -> None:
    widget = PoolWidget({}, lambda _: None)
    assert "http" not in widget._esm
    assert "innerHTML" not in widget._esm
    assert "import " not in widget._esm
    assert "url(" not in widget._css
    widget.close()


def test_messages_may_be_answered_anywhere_where_the_kernel_can_be_told() -> None:
    class NewComm:
        def _reply_subshell_for(self, data: object, default: object) -> object:
            return "the shell that is blocked"

    class OldComm:
        pass

    new, old = NewComm(), OldComm()
    answer_anywhere(new)
    answer_anywhere(old)
    assert new._reply_subshell_for({}, "a subshell") == "a subshell"
    assert not hasattr(old, "_reply_subshell_for")
