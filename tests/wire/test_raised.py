"""Exceptions on their way from a worker: themselves if they can, their text always."""

from __future__ import annotations

import pickle
import threading
import traceback
from typing import Any, Self

import pytest

from processpool import RemoteError
from processpool.wire.python.raised import describe
from processpool.wire.python.remote_errors import add_note, format_error, rebuild


def travelled(error: BaseException, hidden: dict[str, object] | None = None) -> BaseException:
    """The exception after it was raised there, sent, and made again here."""
    try:
        raise error
    except BaseException as raised:
        return rebuild(pickle.loads(pickle.dumps(describe(raised, hidden or {}))))


class Odd(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


class Silent(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


class Leaving(Exception):
    def __str__(self) -> str:
        raise SystemExit(1)


class Exploding(Exception):
    def __reduce__(self) -> Any:
        raise SystemExit("not me")


class Frozen(Exception):
    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError(name)


class Unique(Exception):
    made = False

    def __new__(cls, *_: object) -> Self:
        if cls.made:
            raise RuntimeError("there is one already")
        return super().__new__(cls)


class Pretender(Exception):
    def __reduce__(self) -> Any:
        return str, ("not an exception",)


class Wordy(Exception):
    """Takes one argument, as it passes one on; but not the same."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no {name}")


class Slotted(Exception):
    __slots__ = ("left", "right")

    def __init__(self, left: int) -> None:
        super().__init__(left)
        self.left = left + 1


class Coded(ExceptionGroup[Exception]):
    code: int

    def __new__(cls, message: str, errors: list[Exception], code: int) -> Self:
        made = super().__new__(cls, message, errors)
        made.code = code
        return made

    def __init__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a", 1),
        KeyError(),
        SystemExit(3),
        KeyboardInterrupt(),
        GeneratorExit(),
        OSError(2, "x"),
    ],
)
def test_it_is_itself(error: BaseException) -> None:
    again = travelled(error)
    assert type(again) is type(error)
    assert again.args == error.args
    assert str(again) == str(error)


def test_attributes_and_notes() -> None:
    error = ValueError("x")
    error.detail = [1]  # type: ignore[attr-defined]
    error.add_note("a note")
    again = travelled(error)
    assert vars(again)["detail"] == [1]
    assert again.__notes__ == ["a note"]


def test_one_whose_init_would_change_it() -> None:
    again = travelled(Wordy("key"))
    assert type(again) is Wordy
    assert again.args == ("there is no key",)


def test_slots_are_kept() -> None:
    again = travelled(Slotted(1))
    assert isinstance(again, Slotted)
    assert again.args == (1,)
    assert again.left == 2
    assert not hasattr(again, "right")


def test_a_group_with_a_new_of_its_own() -> None:
    again = travelled(Coded("several", [ValueError(1), Wordy("key")], 5))
    assert isinstance(again, Coded)
    assert again.code == 5
    assert [str(error) for error in again.exceptions] == ["1", "there is no key"]


@pytest.mark.parametrize("kind", [Silent, Leaving, Exploding, Pretender])
def test_hostile_ones(kind: type[Exception]) -> None:
    again = travelled(kind("x"))
    assert type(again) in (kind, RemoteError)
    assert kind.__name__ in format_error(again) or isinstance(again, RemoteError)


@pytest.mark.parametrize("error", [Odd(1, 2), Exploding("1 and 2"), Pretender("1 and 2")])
def test_its_init_and_its_reduction_need_not_fit(error: Exception) -> None:
    again = travelled(error)
    assert type(again) is type(error)
    assert again.args == ("1 and 2",)


def test_a_substitute(monkeypatch: pytest.MonkeyPatch) -> None:
    error = Unique("1 and 2")
    monkeypatch.setattr(Unique, "made", True)
    again = travelled(error)
    assert type(again) is RemoteError
    name = f"{__name__}.{type(error).__name__}"
    assert again.type_name == name
    assert str(again) == f"{name}: 1 and 2"
    assert f"{name}: 1 and 2" in str(again.__cause__)


def test_one_that_lets_nothing_be_set() -> None:
    again = travelled(Frozen("x"))
    assert "Frozen" in format_error(again)


def test_a_note_that_cannot_be_added() -> None:
    add_note(Frozen("x"), "nothing happens")


def test_the_cause() -> None:
    try:
        raise KeyError("inner")
    except KeyError as inner:
        error = ValueError("outer")
        error.__cause__ = inner
    again = travelled(error)
    assert isinstance(again.__context__, KeyError)
    assert "KeyError: 'inner'" in str(again.__cause__)
    shown = "".join(traceback.format_exception(again))
    assert shown.count("KeyError: 'inner'") == 1


def test_frames_of_the_worker_are_left_out() -> None:
    shown = str(travelled(ValueError("x"), globals()).__cause__)
    assert "ValueError: x" in shown
    assert __file__ not in shown


def test_format_error() -> None:
    assert format_error(ValueError("x")) == "ValueError: x"
    assert format_error(Leaving()) == "Leaving (its message cannot be shown)"


def test_what_of_an_error_cannot_be_pickled_is_named() -> None:
    error = ValueError("no rows")
    error.rows = [1, {"lock": threading.Lock()}]  # type: ignore[attr-defined]
    found = travelled(error)
    assert isinstance(found, ValueError)
    assert found.__notes__ == [
        "what of it cannot be pickled has come as its repr: .rows[1]['lock']: _thread.lock"
    ]
