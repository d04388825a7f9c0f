"""A program that does not follow its protocol gives an error, and never a wrong answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from processpool import ProcessPool, ProtocolError, RequestTimeout, UnexpectedEOF
from tests.process.support import ask

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., ProcessPool]

WAYS = ["call", "submit", "map"]


def shell(answer: str) -> dict[str, Any]:
    """A program that answers each line with one write, and speaks lines."""
    script = f"while IFS= read -r x; do {answer}; done"
    return {"command": ["sh", "-c", script], "worker": {"protocol": "lines"}}


def error_of(pool: ProcessPool, way: str, message: str) -> ProtocolError:
    """The error that the item must have, with what its record must tell."""
    with pytest.raises(ProtocolError) as caught:
        ask(pool, way, message)
    assert type(caught.value) is ProtocolError
    assert caught.value.record is not None
    assert caught.value.record.error is caught.value
    return caught.value


@pytest.mark.parametrize("way", WAYS)
class TestASurplus:
    def test_two_answers_in_one_write(self, make_pool: Make, way: str) -> None:
        pool = make_pool(**shell('printf "A%s\\nB%s\\n" "$x" "$x"'))
        for number in range(3):
            error = error_of(pool, way, str(number))
            assert f"answered b'A{number}', and with that came b'B{number}'" in str(error)
            assert "worker.protocol.answer says where it ends" in str(error)

    def test_a_prompt_after_the_answer(self, make_pool: Make, way: str) -> None:
        pool = make_pool(**shell('printf "%s\\n> " "$x"'))
        for number in range(3):
            error = error_of(pool, way, str(number))
            assert f"answered b'{number}', and with that came b'> '" in str(error)

    def test_an_echo_of_the_request(self, make_pool: Make, way: str) -> None:
        pool = make_pool(**shell('printf "%s\\n%s\\n" "$x" "$((x + 1))"'))
        error = error_of(pool, way, "41")
        assert "answered b'41', and with that came b'42'" in str(error)

    @pytest.mark.parametrize("message", ["5", "hello", "a longer message;1;x", ""])
    def test_a_forgotten_protocol(self, make_pool: Make, way: str, message: str) -> None:
        pool = make_pool(["cat"])
        first_digit = str(len(message))[0]
        error = error_of(pool, way, message)
        assert f"answered b'{first_digit}', and with that came b'" in str(error)
        assert "if the program does not speak `framed`" in str(error)
        assert "write `protocol: lines`" in str(error)
        assert "`processpool presets`" in str(error)

    def test_the_worker_is_replaced(self, make_pool: Make, way: str) -> None:
        pool = make_pool(**shell('test "$x" = bad && echo 1 "\n" 2 || echo $$'))
        pid = ask(pool, way, "good")
        assert ask(pool, way, "good") == pid
        error_of(pool, way, "bad")
        assert ask(pool, way, "good") != pid


@pytest.mark.parametrize("pipeline", [1, 2, 8])
def test_a_map_of_a_forgotten_protocol_has_no_value(make_pool: Make, pipeline: int) -> None:
    pool = make_pool(["cat"], worker={"protocol": {"kind": "framed", "pipeline": pipeline}})
    got = pool.map(["hello"] * 10, on_error="return")
    assert [type(value) for value in got] == [ProtocolError] * 10


def test_a_lease_of_a_forgotten_protocol(make_pool: Make) -> None:
    with make_pool(["cat"]).lease() as lease:
        lease.send("hello")
        with pytest.raises(ProtocolError, match="does not speak `framed`"):
            lease.read_stdout()
        assert lease.failed


@pytest.mark.parametrize("way", WAYS)
def test_one_line_too_few(make_pool: Make, way: str) -> None:
    program = shell('echo "about $x" >&2; echo "A$x"')
    program["worker"] = {"protocol": {"answer": {"lines": 2}}}
    pool = make_pool(**program, timeouts={"request": 0.5})
    with pytest.raises(RequestTimeout) as caught:
        ask(pool, way, "1")
    record = caught.value.record
    assert record is not None
    assert record.raw == b"A1\n"
    assert record.stderr == "about 1\n"
    assert r"of its answer had come b'A1\n'; the last it wrote to stderr:" in str(caught.value)
    assert "  | about 1" in str(caught.value)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_no_answer_is_quoted_with_stderr(make_pool: Make, way: str) -> None:
    pool = make_pool(["sh", "-c", "read -r x; echo trouble >&2; echo oops; exec sleep 60"])
    error = error_of(pool, way, "1\n")
    assert error.record is not None
    assert error.record.raw == b"oops\n"
    assert error.record.stderr == "trouble\n"
    assert r"got: b'oops\n'" in str(error)
    assert "write `protocol: lines`" in str(error)
    assert "  | trouble" in str(error)


@pytest.mark.parametrize("way", WAYS)
def test_a_surplus_is_quoted_with_stderr(make_pool: Make, way: str) -> None:
    pool = make_pool(**shell('echo "about $x" >&2; printf "A\\nB\\n"'))
    error = error_of(pool, way, "1")
    assert error.record is not None
    assert error.record.raw == b"A"
    assert error.record.stderr == "about 1\n"
    assert "  | about 1" in str(error)


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_that_is_cut_off_is_quoted_with_stderr(make_pool: Make, way: str) -> None:
    pool = make_pool(**shell("echo trouble >&2; printf half; exit 3"))
    with pytest.raises(UnexpectedEOF) as caught:
        ask(pool, way, "1")
    assert "exited with status 3; of its answer had come b'half'" in str(caught.value)
    assert "  | trouble" in str(caught.value)
