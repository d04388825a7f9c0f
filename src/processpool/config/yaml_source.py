"""Reading of a YAML file into a syntax tree with positions.

Three rules hold here. YAML is only data: tags are rejected, and no objects are constructed. Hostile
files are rejected cheaply: anything but a regular file before it is opened, an oversized file
before it is parsed, deep nesting and too many values during parsing, aliases without expanding
them. And one problem does not hide the next: only a syntax error or an exceeded limit ends reading.
"""

from __future__ import annotations

import os
import re
import stat
from typing import NamedTuple

from processpool.config.folder import current_folder
from processpool.config.nodes import Node, Place
from processpool.config.problems import Problem, config_error, one_line
from processpool.config.tree import BRACES, MAX_DEPTH, Refused, TreeBuilder

MAX_BYTES = 1 << 20
_REFUSED_TYPES = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
"""File types that are not opened, since reading them could block or never end."""
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*(?::-[^{}'\"\n\r]*)?)\}")
_FORBIDDEN = re.compile(  # what is allowed takes ten times as long to compile
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]"
)


class Source(NamedTuple):
    """A file's syntax tree (None if it could not be parsed) and its problems so far."""

    label: str
    tree: Node | None
    problems: list[Problem]


def read_source(path: str | os.PathLike[str]) -> Source:
    """Return the syntax tree of the YAML file at `path`.

    Raises:
        ConfigError: The file cannot be read, or is not text in UTF-8.
    """
    label = os.fsdecode(path)
    found = _text(_bytes(label))
    if isinstance(found, Problem):
        raise config_error([found], label)
    return _parse(found, label)


def _bytes(label: str) -> bytes | Problem:
    try:
        found = _REFUSED_TYPES.get(stat.S_IFMT(os.stat(label).st_mode))
        if found is not None:
            return Problem((), f"is {found}, not a YAML file")
        with open(label, "rb", opener=_open_at_once) as file:
            content: bytes | None = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        where = "" if os.path.isabs(label) else f" in {current_folder()}"
        return Problem((), f"there is no such file{where}")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        return Problem((), f"cannot be read: {getattr(error, 'strerror', None) or error}")
    if content is None:  # a file of the kernel, in /proc or /sys, that has no data yet
        return Problem((), "cannot be read: it holds nothing yet")
    return content if len(content) <= MAX_BYTES else Problem((), "is larger than 1 MiB")


def _open_at_once(label: str, flags: int) -> int:
    return os.open(label, flags | os.O_NONBLOCK)


def _text(content: bytes | Problem) -> str | Problem:
    """Return `content` decoded, or the problem if it is not UTF-8 or has forbidden characters."""
    if isinstance(content, Problem):
        return content
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig", errors="replace")
        return Problem(
            (),
            f"is not UTF-8: byte 0x{content[error.start]:02x} at offset {error.start}",
            _end_of(before),
        )
    bad = _FORBIDDEN.search(text)
    if bad is None:
        return text
    name = "a NUL byte" if bad[0] == "\0" else f"the control character U+{ord(bad[0]):04X}"
    return Problem((), f"{name} is not allowed in YAML", _end_of(text[: bad.start()]))


def _end_of(text: str) -> Place:
    lines = text.replace("\r\n", "\n").split("\n")
    return Place(len(lines), len(lines[-1]) + 1)


def _parse(text: str, label: str) -> Source:
    import yaml  # imported here, since pools declared in Python do not need it

    builder = TreeBuilder()
    try:
        # Inside { } and [ ], the braces of ${NAME} would be parsed as a mapping's.
        hidden = text if BRACES[0] in text or BRACES[1] in text else _VARIABLE.sub(_hide, text)
        # Events, not yaml.compose, which recurses: 10,000 brackets would overflow the stack.
        for event in yaml.parse(hidden, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            builder.feed(event)
    except Refused as refusal:
        return Source(label, None, [*builder.problems, refusal.problem])
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        return Source(label, None, [*builder.problems, _syntax(error, text)])
    if builder.root is None:
        builder.problems.append(Problem((), _EMPTY, Place(1, 1)))
    return Source(label, builder.root, builder.problems)


_EMPTY = (
    "the file is empty; the smallest pool is"
    " worker: {kind: command, command: [cat], protocol: lines}"
)


def _hide(found: re.Match[str]) -> str:
    return f"${BRACES[0]}{found[1]}{BRACES[1]}"


def _syntax(error: Exception, text: str) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        return Problem((), "is not valid YAML", Place(1, 1))
    lines = re.split(r"\r\n|[\n\r\x85\u2028\u2029]", text)
    line = lines[mark.line] if mark.line < len(lines) else ""
    indentation = line[: len(line) - len(line.lstrip())]
    if "\t" in indentation:
        place = Place(mark.line + 1, indentation.index("\t") + 1)
        return Problem((), "a tab cannot indent YAML; use spaces", place)
    if "nesting depth" in (getattr(error, "problem", None) or ""):  # libyaml has a limit of its own
        place = Place(mark.line + 1, mark.column + 1)
        return Problem((), f"is nested deeper than {MAX_DEPTH} levels", place)
    what = _context(error) + one_line(getattr(error, "problem", None) or "")
    place = Place(mark.line + 1, mark.column + 1)
    return Problem((), f"is not valid YAML: {what}", place)


def _context(error: Exception) -> str:
    """Return the construct that is broken and the line where it began, or ""."""
    context = getattr(error, "context", None)
    mark = getattr(error, "context_mark", None)
    if not context or mark is None:
        return ""
    return f"{one_line(context)} that begins on line {mark.line + 1}, "
