from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

import pytest

from processpool import ProcessPool, WorkerDied
from processpool.widget.actions import perform
from tests.process.support import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator


def parse(text: str) -> int:
    print(f"parsing {text}")
    return int(text)


@pytest.fixture
def parsing() -> Iterator[ProcessPool]:
    """A pool of functions two of whose items have failed."""
    with ProcessPool.from_dict({"worker": {"kind": "python"}, "size": {"max": 1}}) as pool:
        pool.map(parse, ["1", "x2", "3", "x4"], on_error="skip")
        yield pool


def ask(pool: ProcessPool, **message: Any) -> Any:
    answer = perform(pool, message)
    assert answer["error"] == ""
    return answer["result"]


def key_of(pool: ProcessPool) -> str:
    return pool.snapshot().failures[0][0]


def test_a_group_opens_to_its_items(parsing: ProcessPool) -> None:
    items = ask(parsing, action="failures", key=key_of(parsing))
    assert [(name, index, args) for _, name, index, args in items] == [
        ("parse", 3, "'x4'"),
        ("parse", 1, "'x2'"),
    ]


def test_an_item_opens_to_all_that_is_known_of_it(parsing: ProcessPool) -> None:
    number = ask(parsing, action="failures", key=key_of(parsing))[1][0]
    known = ask(parsing, action="failure", number=number)
    assert known["argument"] == "'x2'"
    assert known["stdout"] == "parsing x2"
    assert "return int(text)" in known["traceback"], "with the line of the source"
    assert known["error"].startswith("ValueError: invalid literal")
    assert (known["worker"], known["attempts"]) == (1, 1)


def test_they_are_run_again(parsing: ProcessPool) -> None:
    assert ask(parsing, action="retry", key=key_of(parsing)) == "2 items are run again"
    eventually(lambda: parsing.snapshot().failed == 4)


@pytest.mark.parametrize("way", ["call", "submit"])
def test_single_requests_are_run_again_with_all_arguments(parsing: ProcessPool, way: str) -> None:
    ask_once = parsing.call if way == "call" else lambda *a, **k: parsing.submit(*a, **k).result()
    with pytest.raises(ValueError, match="base 7"):
        ask_once(int, "8", base=7)
    key = key_of(parsing)
    assert ask(parsing, action="retry", key=key) == "1 items are run again"
    eventually(lambda: parsing.snapshot().failed == 4)
    assert [item.record.kwargs for item in parsing.failed_items(key)] == [{"base": 7}] * 2


def test_requests_to_a_program_are_run_again() -> None:
    script = "while read x; do [ $x = die ] && exit 3; echo $x; done"
    with ProcessPool(command=["sh", "-c", script], protocol="lines", max_workers=1) as pool:
        with pytest.raises(WorkerDied):
            pool.call("die")
        ask(pool, action="retry", key=key_of(pool))
        eventually(lambda: pool.snapshot().failed == 2)


def test_the_code_runs_them_again(parsing: ProcessPool) -> None:
    code = ask(parsing, action="code", key=key_of(parsing))
    assert "args = [('x2',), ('x4',)]" in code
    ast.parse(code)
    names: dict[str, Any] = {"pool": parsing, "parse": parse}
    exec(code, names)
    assert parsing.snapshot().failed == 4


def test_what_is_not_kept_is_said(parsing: ProcessPool) -> None:
    assert "not kept" in perform(parsing, {"action": "failure", "number": 999})["error"]
    assert "not known" in perform(parsing, {"action": "retry", "key": "none"})["error"]


def test_prints_are_in_the_log(parsing: ProcessPool) -> None:
    from processpool.widget.log import Log

    lines = Log().note(parsing.snapshot())
    assert (1, "parsing x2") in lines
