"""The loops of the documentation that speak `framed`, as they stand there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool import ProcessPool

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "own-worker.md"
COMMANDS = {
    "python": ["python"],
    "js": ["node"],
    "perl": ["perl"],
    "ruby": ["ruby"],
    "php": ["php"],
    "r": ["Rscript", "--vanilla"],
    "sh": ["sh"],
}
PACKAGES = {"js": "nodejs", "php": "php-cli", "r": "r-base-core"}
MESSAGES = ["", "world", "two\nlines\n", "\n", "ünïcödé;1;", "x" * 200_000, "1;2\n"]


def loop(language: str) -> str:
    """The code in this language, out of the list that is to be copied."""
    loops = PAGE.read_text().partition("## In any other language")[2]
    found = re.search(rf"^```{language}\n(.*?)^```$", loops, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("language", COMMANDS)
def test_it_answers_every_message(
    make_pool: Callable[..., ProcessPool], tmp_path: Path, language: str
) -> None:
    command = COMMANDS[language]
    if shutil.which(command[0]) is None and command[0] != "python":
        package = PACKAGES.get(language, language)
        pytest.skip(f"missing: apt-get install --no-install-recommends {package}")
    path = tmp_path / "loop"
    path.write_text(loop(language))
    pool = make_pool([*command, str(path)])
    assert pool.map(MESSAGES) == [f"hello {message}" for message in MESSAGES]
    assert [pool.call(message) for message in MESSAGES[:3]] == [
        "hello ",
        "hello world",
        "hello two\nlines\n",
    ]
    (worker,) = pool.snapshot().workers
    assert worker.handled == len(MESSAGES) + 3
