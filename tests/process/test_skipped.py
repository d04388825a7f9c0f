"""`Outcome.skipped`: messages of a program that came with the answer and were none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from processpool import AnswerError, Outcome, RequestTimeout
from tests.process.support import ask, eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from processpool import ProcessPool

    Make = Callable[..., ProcessPool]

SKIP = {"answer": {"lines": 1, "skip": "^#"}}
LINES = ["sh", "-c", 'while IFS= read -r x; do echo "# about $x"; echo "#"; echo "$x"; done']
MANY = ["sh", "-c", 'while read -r n; do seq -f "#%g" "$n"; echo "$n"; done']
LONG = ["sh", "-c", 'while read -r n; do head -c "$n" /dev/zero | tr "\\0" "#"; echo; echo x; done']
SERVER = """
import json, sys
def say(**keys):
    print(json.dumps({"jsonrpc": "2.0", **keys}), flush=True)
for line in sys.stdin:
    said = json.loads(line)
    with open(sys.argv[1], "a") as log:
        log.write(line)
    if said["method"] == "slow":
        continue
    if "cancel" in said["method"].lower():
        say(id=1, error={"code": -32800, "message": "cancelled"})
        continue
    say(method="log", params={"about": said["method"]})
    if said["method"] == "late":
        say(id=said["id"], result=1)
        say(method="log", params={"about": "nobody asked"})
    elif said["method"] == "bad":
        say(id=said["id"], error={"code": 5, "message": "no"})
    else:
        say(id=said["id"], result=said.get("params"))
"""


def server(path: Path, **protocol: Any) -> dict[str, Any]:
    """A pool of a server over lines, which logs what it is told."""
    return {
        "command": ["python", "-S", "-c", SERVER, str(path)],
        "worker": {"protocol": {"kind": "jsonrpc", **protocol}},
    }


def skipped(pool: ProcessPool, message: Any) -> tuple[Any, ...]:
    (record,) = pool.map([message], details=True)
    assert record.error is None
    return tuple(record.skipped)


def test_lines_that_are_no_answers(make_pool: Make) -> None:
    pool = make_pool(LINES, worker={"protocol": SKIP})
    for _ in range(5):
        assert skipped(pool, "1") == ("# about 1", "#")
        assert pool.call("2") == "2"
    future = pool.submit("3")
    assert future.result(30) == "3"
    assert future.record is not None
    assert future.record.skipped == ("# about 3", "#")


def test_most_items_have_none(make_pool: Make) -> None:
    (record,) = make_pool(["cat"], worker={"protocol": "lines"}).map(["x"], details=True)
    assert record.skipped == ()


def test_the_last_hundred_are_kept(make_pool: Make) -> None:
    pool = make_pool(MANY, worker={"protocol": SKIP})
    assert skipped(pool, "1000") == tuple(f"#{number}" for number in range(901, 1001))


def test_of_a_long_one_the_beginning_is_kept(make_pool: Make) -> None:
    pool = make_pool(LONG, worker={"protocol": SKIP})
    assert list(map(len, skipped(pool, "1000000"))) == [65536]


def test_notifications_of_a_server(make_pool: Make, tmp_path: Path) -> None:
    pool = make_pool(**server(tmp_path / "log"))
    told = {"jsonrpc": "2.0", "method": "log", "params": {"about": "echo"}}
    assert skipped(pool, {"method": "echo", "params": [1]}) == (told,)
    with pytest.raises(AnswerError) as caught:
        pool.call({"method": "bad"})
    assert isinstance(caught.value.record, Outcome)
    assert [message["params"] for message in caught.value.record.skipped] == [{"about": "bad"}]


def test_a_notification_while_nobody_asks_does_no_harm(make_pool: Make, tmp_path: Path) -> None:
    pool = make_pool(**server(tmp_path / "log"))
    for _ in range(5):
        assert pool.call({"method": "late"}) == 1
        assert pool.submit({"method": "late"}).result(30) == 1
        with pool.lease() as lease:
            lease.send({"method": "late"})
            assert lease.read_stdout() == 1
    assert [worker.id for worker in pool.snapshot().workers] == [1]


@pytest.mark.parametrize("way", ["call", "submit"])
@pytest.mark.parametrize(
    ("cancel", "params"),
    [
        ({}, {"id": 1}),
        ({"cancel": "stop/cancel"}, {"id": 1}),
        (
            {"cancel": "notifications/cancelled"},
            {"requestId": 1, "reason": "it took longer than its time limit"},
        ),
    ],
)
def test_a_server_is_told_that_the_time_is_over(
    make_pool: Make, tmp_path: Path, way: str, cancel: dict[str, str], params: dict[str, Any]
) -> None:
    log = tmp_path / "log"
    pool = make_pool(**server(log, **cancel), timeouts={"request": 0.2})
    with pytest.raises(RequestTimeout):
        ask(pool, way, {"method": "slow"})
    told = eventually(lambda: [json.loads(line) for line in log.read_text().splitlines()][1:])
    method = cancel.get("cancel", "$/cancelRequest")
    assert told == [{"jsonrpc": "2.0", "method": method, "params": params}]
    assert pool.call({"method": "echo", "params": [2]}) == [2]
    assert [worker.id for worker in pool.snapshot().workers] == [2]
