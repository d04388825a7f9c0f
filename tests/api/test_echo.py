"""What items print, made ready to be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.api.echo import MAX_PIECES, Echo

if TYPE_CHECKING:
    import pytest


def test_lines_go_to_their_streams(capsys: pytest.CaptureFixture[str]) -> None:
    echo = Echo()
    echo.put(1, "a\nb\n")
    echo.put(2, "c\n")
    echo.put(1, "no newline")
    assert echo.pending
    echo.show()
    assert capsys.readouterr() == ("a\nb\nno newline\n", "c\n")
    assert not echo.pending
    echo.show()
    assert capsys.readouterr() == ("", "")


def test_empty_lines_stay(capsys: pytest.CaptureFixture[str]) -> None:
    echo = Echo()
    echo.put(1, "\n\na\n\n")
    echo.show()
    assert capsys.readouterr().out == "\n\na\n\n"


def test_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    echo = Echo()
    echo.put(1, "\x1b[2Jgone\n10%\r20%\rdone\r\nend\n")
    echo.show()
    assert capsys.readouterr().out == "\\x1b[2Jgone\ndone\nend\n"


def test_it_is_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    echo = Echo()
    for n in range(MAX_PIECES + 5):
        echo.put(1, f"{n}\n")
    echo.show()
    assert capsys.readouterr().out.splitlines()[0] == "5"
