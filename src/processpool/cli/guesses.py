r"""What the answers of a program have in common: where they end, as a declaration.

Pure: bytes go in, a guess comes out. A guess that only counts lines is weak, since the next answer
may have more of them; one that rests on a prompt is weak too, since a prompt may occur in answers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Guesser = Callable[[Sequence[bytes]], "Guess | None"]

_CONTENT_LENGTH = re.compile(rb"(?i)content-length: *(\d+)\r\n")
_VARINT_BYTE = 0x80
_TELLING = 16
"""Bytes of an answer from which on the number in its first line is its length by no accident."""
_CLOSING = re.compile(rb"</[\w:-]+>|[\])}]+;?|[Ee][Nn][Dd]\W?|EOS")
_FIXED = (("u32be", 4, "big"), ("u32le", 4, "little"))


@dataclass(frozen=True)
class Guess:
    """Where answers end.

    Attributes:
        answer: the keys of `worker.protocol.answer`.
        why: what all answers have in common.
        weak: there may be better.
    """

    answer: dict[str, Any] = field(default_factory=dict)
    why: str = ""
    weak: bool = False


def guess(answers: Sequence[bytes], banner: bytes = b"") -> Guess | None:
    """Return where these answers end, each all that came after one request; None if unknown.

    Args:
        answers: what came after each request.
        banner: what came before the first; what ends all of them is a prompt.
    """
    if not answers or not all(answers):
        return None
    if prompt_changes(answers, banner):
        return None
    if prompt_of(banner) and not answers[0].endswith(b"\n"):
        answers = [banner, *answers]
    for guesser in _GUESSERS:
        found = guesser(answers)
        if found is not None:
            return found
    return None


def prompt_changes(answers: Sequence[bytes], banner: bytes) -> bool:
    """True if a prompt stands at the start that is not the same behind every answer."""
    prompt = prompt_of(banner)
    if not prompt or any(answer.endswith(b"\n") for answer in answers):
        return False
    return not all(answer.endswith(prompt.encode()) for answer in answers)


def prompt_of(banner: bytes) -> str:
    """Return the prompt that ends what a program writes at its start; empty if none does."""
    last = _text(banner.rpartition(b"\n")[2])
    return last if last.strip(" \0") else ""


def _headers(answers: Sequence[bytes]) -> Guess | None:
    if all(_CONTENT_LENGTH.match(answer) for answer in answers):
        return Guess({"length": "content-length"}, "each begins with a Content-Length header")
    return None


def _fixed_lengths(answers: Sequence[bytes]) -> Guess | None:
    for name, size, order in _FIXED:
        lengths = [int.from_bytes(answer[:size], order) for answer in answers]  # type: ignore[arg-type]
        if all(
            length == len(answer) - size > 0
            for length, answer in zip(lengths, answers, strict=True)
        ):
            return Guess({"length": name}, "the first four bytes are the length of the rest")
    by_chance = len(set(map(len, answers))) == 1 and bytes(answers[0][:1]).isspace()
    if all(len(a) > 1 and a[0] < _VARINT_BYTE and a[0] == len(a) - 1 for a in answers) and (
        not by_chance
    ):
        return Guess({"length": "varint"}, "the first byte is the length of the rest")
    return None


def _nuls(answers: Sequence[bytes]) -> Guess | None:
    if not all(answer.endswith(b"\0") for answer in answers):
        return None
    counts = {answer.count(b"\0") for answer in answers}
    if len(counts) == 1 and counts != {1}:
        return Guess({"until": "\0", "count": counts.pop()}, "each has as many NULs")
    return Guess({"until": "\0"}, "each ends with a NUL", weak=counts != {1})


def _numbers(answers: Sequence[bytes]) -> Guess | None:
    r"""Lengths in decimal, before a semicolon or at the end of the first line."""
    if all(_is_framed(answer) for answer in answers):
        return Guess({"length": r"(\d+);"}, "each begins with its length and a semicolon")
    ends = set()
    for answer in answers:
        first, _, rest = answer.partition(b"\n")
        number = re.search(rb"(\d+)$", first)
        if not number or not rest or len(rest) - int(number[1]) not in (0, 1):
            return None
        ends.add(rest[int(number[1]) :])
    if len(set(map(len, answers))) == 1 and len(answers[0]) < _TELLING:
        return None
    if ends <= {b"\n"} or ends == {b""}:
        after = {"after": "\n"} if ends == {b"\n"} else {}
        said = {"length": r"[^\n]*?(\d+)\n", **after}
        return Guess(said, "the number in the first line is the length of the rest")
    return None


def _is_framed(answer: bytes) -> bool:
    head = re.match(rb"(\d+);", answer)
    return head is not None and len(answer) - head.end() == int(head[1])


def _prompts(answers: Sequence[bytes]) -> Guess | None:
    if all(answer.endswith(b"\n") for answer in answers):
        return None
    tail = _common_end(answers).rpartition(b"\n")[2]
    if not tail.strip():
        return None
    return Guess({"until": _text(tail)}, "each ends with the same prompt", weak=True)


def _last_lines(answers: Sequence[bytes]) -> Guess | None:
    if not all(answer.endswith(b"\n") for answer in answers):
        return None
    lines = [answer[:-1].split(b"\n") for answer in answers]
    several = any(len(line) > 1 for line in lines)
    if several and all(line[-1] in (b"", b"\r") for line in lines):
        end = r"^\r?$" if lines[0][-1] else "^$"
        return Guess({"until_line": end}, "each ends with an empty line")
    last = {line[-1] for line in lines}
    if several and len(last) == 1 and len(set(answers)) > 1:
        end = f"^{_escape(last.pop())}$"
        return Guess({"until_line": end, "keep": True}, "each ends with the same line")
    words = {line[-1].split(b" ")[0] for line in lines}
    counts = {len(line) for line in lines}
    if several and len(words) == 1 and words != {b""} and len(counts) > 1:
        end = rf"^{_escape(words.pop())}\b"
        return Guess({"until_line": end, "keep": True}, "each last line begins with the same word")
    if several and len(last) == 1 and _CLOSING.fullmatch(line := last.pop()):
        end = f"^{_escape(line)}$"
        return Guess({"until_line": end, "keep": True}, "the last line closes something", weak=True)
    if len(counts) == 1 and (len(answers) > 1 or counts == {1}):
        count = counts.pop()
        why = "each is a line" if count == 1 else f"each has {count} lines"
        return Guess({"lines": count}, why, weak=True)
    return None


_GUESSERS: tuple[Guesser, ...] = (_headers, _fixed_lengths, _nuls, _numbers, _prompts, _last_lines)


def last_words(banner: bytes, again: bytes) -> str:
    """Return the end of what a program writes at its start, as far as two starts agree.

    Returns:
        A text to be expected: the last line, or the prompt behind it.
    """
    same = _common_end([banner, again])
    body = same.rstrip(b"\r\n")
    return _text(same[body.rfind(b"\n") + 1 :])


def said_in(output: str, mark: str, asked: str) -> str | None:
    """Return the line of an output that says a mark, with all that follows; None if none does.

    Args:
        output: what came.
        mark: the mark.
        asked: what the program was told, which it may repeat: that is no saying.
    """
    lines = output.splitlines(keepends=True)
    before = asked.split("{mark}")[0]
    for number, line in enumerate(lines):
        whole = line.rstrip("\r\n")
        if whole == asked.replace("{mark}", mark):
            continue
        if whole.strip(" \"'>") == mark or (whole.endswith(mark) and before not in whole):
            return "".join(lines[number:]) if line != whole else None
    return None


def _common_end(texts: Sequence[bytes]) -> bytes:
    """Return the longest end that all of these have."""
    shortest = min(texts, key=len)
    for length in range(len(shortest), 0, -1):
        if all(text.endswith(shortest[-length:]) for text in texts):
            return shortest[-length:]
    return b""


def _escape(line: bytes) -> str:
    """Return a line as a regular expression, with no more backslashes than it needs."""
    return re.sub(r"([\\^$.|?*+()\[\]{}])", r"\\\1", _text(line))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
