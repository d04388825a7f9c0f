"""JSON-RPC: ids, answers in any order, notifications, requests of the server, errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from processpool.errors import AnswerError, CodecError, ProtocolError
from processpool.wire.codecs import JsonRpcCodec
from processpool.wire.framing.jsonrpc import JsonRpcFraming, id_of

CODEC = JsonRpcCodec()
LIMIT = 1 << 20
OVER = pytest.mark.parametrize("over", ["lines", "content-length"])
SIZES = pytest.mark.parametrize("size", [100_000, 1, 7])


def delimited(over: Any, *messages: dict[str, Any]) -> bytes:
    data = b""
    for message in messages:
        body = json.dumps(message).encode()
        data += (
            body + b"\n" if over == "lines" else b"Content-Length: %d\r\n\r\n" % len(body) + body
        )
    return data


def fed(framing: JsonRpcFraming, data: bytes, size: int) -> list[bytes]:
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return [answer for piece in pieces for answer in framing.feed(piece)]


def asked(framing: JsonRpcFraming, *messages: dict[str, Any]) -> list[int]:
    ids = []
    for message in messages:
        request = framing.encode(CODEC.encode(message))
        framing.expect(request)
        ids.append(id_of(request))
    return ids


def result(number: int, value: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "result": value}


@OVER
def test_a_request_has_an_id_of_its_own(over: Any) -> None:
    framing = JsonRpcFraming(over, LIMIT)
    requests = [framing.encode(CODEC.encode({"method": "m", "params": [n]})) for n in (1, 2)]
    for number, request in enumerate(requests, start=1):
        assert id_of(request) == number
        data = b"".join(request)
        assert data.endswith(b"\n") == (over == "lines")
        assert json.loads(data[data.index(b"{") :]) == {
            "jsonrpc": "2.0",
            "id": number,
            "method": "m",
            "params": [number],
        }


@OVER
def test_the_id_of_a_large_request_is_found(over: Any) -> None:
    framing = JsonRpcFraming(over, LIMIT)
    assert asked(framing, {"method": "m", "params": ["x" * 200_000]}) == [1]


@SIZES
@OVER
def test_answers_in_any_order_are_handed_out_in_that_of_the_requests(over: Any, size: int) -> None:
    framing = JsonRpcFraming(over, LIMIT)
    one, two, three = asked(framing, *[{"method": "m"}] * 3)
    assert fed(framing, delimited(over, result(two, "b")), size) == []
    assert not framing.is_clean
    answers = fed(framing, delimited(over, result(one, "a"), result(three, "c")), size)
    assert [CODEC.decode(answer) for answer in answers] == ["a", "b", "c"]
    assert framing.is_clean


@SIZES
@OVER
def test_what_nobody_asked_for_is_skipped(over: Any, size: int) -> None:
    framing = JsonRpcFraming(over, LIMIT)
    (one,) = asked(framing, {"method": "m"})
    log = {"jsonrpc": "2.0", "method": "log", "params": {"text": "hi"}}
    data = delimited(over, log, result(99, "stale"), result(one, "a"))
    assert [CODEC.decode(answer) for answer in fed(framing, data, size)] == ["a"]
    assert [json.loads(message) for message in framing.take_skipped()] == [log, result(99, "stale")]
    assert framing.take_replies() == b""


@SIZES
@OVER
def test_of_two_answers_to_a_request_the_second_is_skipped(over: Any, size: int) -> None:
    framing = JsonRpcFraming(over, LIMIT)
    one, two = asked(framing, *[{"method": "m"}] * 2)
    data = delimited(over, result(two, "b"), result(one, "a"), result(one, "c"), result(two, "d"))
    assert [CODEC.decode(answer) for answer in fed(framing, data, size)] == ["a", "b"]
    skipped = [json.loads(message) for message in framing.take_skipped()]
    assert skipped == [result(one, "c"), result(two, "d")]


def test_an_error_without_an_id_is_that_of_the_only_request() -> None:
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "cannot parse"}}
    framing = JsonRpcFraming("lines", LIMIT)
    asked(framing, {"method": "m"})
    (answer,) = framing.feed(delimited("lines", error))
    with pytest.raises(AnswerError, match="cannot parse"):
        CODEC.decode(answer)
    asked(framing, {"method": "m"}, {"method": "m"})
    assert framing.feed(delimited("lines", error)) == []
    assert [json.loads(message) for message in framing.take_skipped()] == [error]


@pytest.mark.parametrize(("number", "answers"), [("1.0", 1), ("true", 0), ('"1"', 0)])
def test_what_an_id_may_look_like(number: str, answers: int) -> None:
    framing = JsonRpcFraming("lines", LIMIT)
    asked(framing, {"method": "m"})
    data = f'{{"jsonrpc":"2.0","id":{number},"result":2}}\n'.encode()
    assert len(framing.feed(data)) == answers


@pytest.mark.parametrize("value", [7, None])
def test_an_error_that_is_null_is_none(value: Any) -> None:
    assert CODEC.decode(json.dumps({**result(1, value), "error": None}).encode()) == value


@OVER
def test_a_request_of_the_server_is_answered(over: Any) -> None:
    framing = JsonRpcFraming(over, LIMIT)
    asks = {"jsonrpc": "2.0", "id": "s1", "method": "workspace/configuration"}
    assert fed(framing, delimited(over, asks), 100_000) == []
    reply = framing.take_replies()
    assert json.loads(reply[reply.index(b"{") :]) == {
        "jsonrpc": "2.0",
        "id": "s1",
        "error": {"code": -32601, "message": "no such method: workspace/configuration"},
    }
    assert framing.take_replies() == b""
    assert framing.is_clean


def test_an_error_has_its_code_and_data() -> None:
    error = {"code": -32602, "message": "no such file", "data": {"uri": "x"}}
    with pytest.raises(
        AnswerError, match="the program answered with an error: no such file"
    ) as caught:
        CODEC.decode(json.dumps({"jsonrpc": "2.0", "id": 1, "error": error}).encode())
    assert (caught.value.code, caught.value.data) == (-32602, {"uri": "x"})
    assert caught.value.value == error


@pytest.mark.parametrize("data", [b"Traceback\n", b"[1]\n", b'{"id": 1}\n'])
def test_what_is_no_message_is_an_error(data: bytes) -> None:
    framing = JsonRpcFraming("lines", LIMIT)
    assert framing.feed(data) == []
    assert type(framing.error) is ProtocolError
    assert framing.partial == data[:-1]


@pytest.mark.parametrize(
    "message",
    ["m", {"params": []}, {"method": 1}, {"method": "m", "id": 1}, {"method": "m", "params": 1}],
)
def test_what_is_no_request_is_refused(message: Any) -> None:
    with pytest.raises(CodecError):
        CODEC.encode(message)


def test_a_notification() -> None:
    assert JsonRpcFraming("lines", LIMIT).notification("initialized", {}) == (
        b'{"jsonrpc":"2.0","method":"initialized","params":{}}\n'
    )
