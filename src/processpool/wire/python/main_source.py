"""The source of what the main module was made from: a script, cells of a notebook, `python -c`.

If that is not a file which workers can read too, the source travels with the code, so that
tracebacks and `inspect.getsource` can show it there.
"""

from __future__ import annotations

import linecache
import os
import sys
from stat import S_ISREG
from types import FunctionType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType
    from typing import Any

COMMAND, STDIN = "<string>", "<stdin>"
"""What Python calls the file of `-c`, and of what it reads from stdin."""
_texts: dict[str, str] = {}
"""The last text of each that is no file; the same object as long as it is the same text."""


def files_of_main(cls: type, names: dict[str, Any]) -> Iterator[str]:
    """Names of files in which a class may have been defined that is among these globals.

    The likely ones come first. `lines_of` has the source of each: it may be a cell, not a file.
    """
    seen = set()
    methods = (value.__code__ for value in vars(cls).values() if isinstance(value, FunctionType))
    for name in (
        *(code.co_filename for code in methods if cls.__qualname__ in code.co_qualname),
        names.get("__file__"),
        *_cells(),
        COMMAND,
        STDIN,
    ):
        if name and name not in seen:
            seen.add(name)
            yield name


def lines_of(file: str) -> list[str]:
    """The lines of a file, of a cell, or of what the main module was read from."""
    lines = linecache.getlines(file)
    if not lines and file in (COMMAND, STDIN):
        lines = _text_of_main(file).splitlines(keepends=True)
    return lines


def source_to_send(code: CodeType) -> str | None:
    """The source that code was compiled from, if that is no file."""
    file = code.co_filename
    if not file or (not file.startswith("<") and os.path.exists(file)):
        return None
    text = "".join(lines_of(file))
    if not text or (file in (COMMAND, STDIN) and code.co_name.strip("<>") not in text):
        return None  # what libraries generate has the same name for a file
    if _texts.get(file) != text:
        _texts[file] = text
    return _texts[file]


def keep_source(file: str, text: str) -> None:
    """Have the source of a file that is none here known to tracebacks and `inspect`."""
    lines = text.splitlines(keepends=True)
    linecache.cache[file] = len(text), None, lines, file


def _cells() -> list[str]:
    """What `linecache` was given that is no file: cells, the last one first."""
    return [name for name in reversed(list(linecache.cache)) if not os.path.exists(name)]


def _text_of_main(file: str) -> str:
    if getattr(sys.modules["__main__"], "__file__", STDIN) != STDIN:
        return ""
    if file == COMMAND:
        given = sys.orig_argv
        return next((given[at + 1] for at, word in _options(given) if word[-1:] == "c"), "")
    try:
        found = os.fstat(0)
        return os.pread(0, found.st_size, 0).decode() if S_ISREG(found.st_mode) else ""
    except (OSError, UnicodeDecodeError):  # it is closed, or something else by now
        return ""


def _options(given: list[str]) -> Iterator[tuple[int, str]]:
    """The words of Python's own command line that are options with a word behind them."""
    for at, word in enumerate(given[1:-1], start=1):
        if not word.startswith("-") or word == "-":
            return
        if not word.startswith("--"):
            yield at, word
