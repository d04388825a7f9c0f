"""Declared programs that misbehave: at their start, and after an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from processpool import AnswerError, WorkerStartFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool import ProcessPool

MOODY = [
    "sh",
    "-c",
    'while read -r x; do case $x in bad) echo "ERR $x";; *) echo "$x $$";; esac; done',
]


@pytest.mark.parametrize("how", ["call", "submit", "map"])
def test_after_an_error_the_worker_is_replaced_where_that_is_wanted(
    make_pool: Callable[..., ProcessPool], how: str
) -> None:
    protocol = {"error": "^ERR", "after_error": "replace"}
    pool = make_pool(MOODY, worker={"protocol": protocol})

    def ask(message: str) -> Any:
        if how == "call":
            return pool.call(message)
        return pool.submit(message).result(30) if how == "submit" else pool.map([message])[0]

    for _ in range(3):
        first, second = ask("a"), ask("b")
        assert first.split()[1] == second.split()[1]
        with pytest.raises(AnswerError, match="the program answered with an error: ERR bad"):
            ask("bad")
        assert ask("c").split()[1] != first.split()[1]


def test_an_error_can_be_tried_again(make_pool: Callable[..., ProcessPool]) -> None:
    flaky = "read -r x; echo ERR; exec cat"
    pool = make_pool(
        ["sh", "-c", flaky],
        worker={"protocol": {"error": "^ERR"}},
        retry={"attempts": 2, "on": ["error"]},
    )
    (outcome,) = pool.map(["a"], details=True)
    assert (outcome.value, outcome.attempts) == ("a", 2)


def test_a_start_that_does_not_come_says_what_it_waits_for(
    make_pool: Callable[..., ProcessPool],
) -> None:
    with pytest.raises(WorkerStartFailed) as caught:
        make_pool(
            ["sh", "-c", "echo hello; cat"],
            worker={"protocol": {"start": [{"expect": "ready"}]}},
            timeouts={"start": "300ms"},
            restart={"max_failures": 0},
        )
    assert "waits for 'ready', the last it wrote is b'hello\\n'" in str(caught.value)


def test_what_comes_late_at_the_end_of_a_start_is_no_answer(
    make_pool: Callable[..., ProcessPool],
) -> None:
    banner = "printf ready; sleep 0.05; echo; exec cat"
    pool = make_pool(["sh", "-c", banner], worker={"protocol": {"start": [{"expect": "ready"}]}})
    assert pool.map(["a", "b"]) == ["a", "b"]


@pytest.mark.parametrize("protocol", [{}, {"start": [{"expect": "ready"}]}])
def test_what_a_start_writes_to_stderr_is_no_items(
    make_pool: Callable[..., ProcessPool], protocol: dict[str, Any]
) -> None:
    begin = "echo note >&2; " + ("echo ready; " if protocol else "")
    loop = 'while read -r x; do echo "about $x" >&2; echo "$x"; done'
    pool = make_pool(["sh", "-c", begin + loop], worker={"protocol": protocol})
    (first,) = pool.map(["a"], details=True)
    assert (first.value, first.stderr) == ("a", "about a\n")
