"""Builder of the syntax tree from the YAML parser's events.

Three rules hold here. Nothing recurses, since the file determines the depth. An alias inside its
own anchor is rejected, and so is a tree that exceeds the limits. And of two equal keys the first
one counts; the second is a problem that names the first one's line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from processpool.config.nodes import (
    Broken,
    Items,
    Mapping,
    Node,
    Path,
    Place,
    Scalar,
)
from processpool.config.problems import Problem, one_line, quoted
from processpool.config.scalars import resolve

MAX_DEPTH = 50
"""The most levels of nesting."""
MAX_VALUES = 10_000
"""The most values in a file, with aliases expanded."""

BRACES = "\ue000", "\ue001"
"""Private-use characters that replace the braces of `${NAME}` while YAML is parsed."""
_MERGE = "<<"
_TAG_PREFIX = "tag:yaml.org,2002:"


class Refused(Exception):
    """The file exceeds a limit, so reading stops."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.sentence)
        self.problem = problem


@dataclass(slots=True)
class _Open:
    """A collection whose end has not been read, and the key whose value comes next."""

    node: Items | Mapping
    key: Node | None = None
    merged: list[Mapping] = field(default_factory=list)

    def step(self) -> str | int | None:
        """Return the key or index of what comes next."""
        if isinstance(self.node, Items):
            return len(self.node.items)
        return self.key.text if isinstance(self.key, Scalar) else None


class TreeBuilder:
    """Builds a tree from events; at the end it is in `root`, and its problems in `problems`."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._documents = 0
        self._count = 0

    def feed(self, event: Any) -> None:
        """Take the next event.

        Raises:
            Refused: The file exceeds a limit.
        """
        kind = type(event).__name__
        if kind == "DocumentStartEvent":
            self._start_document(event)
        elif kind == "AliasEvent":
            self._add(self._repeated(event))
        elif kind == "ScalarEvent":
            self._scalar(event)
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            self._open(event, Mapping if kind == "MappingStartEvent" else Items)
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            self._close()

    def _start_document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            sentence = "a second document begins here; a file holds one (several pools: pools:)"
            raise Refused(Problem((), sentence, _place(event)))

    def _scalar(self, event: Any) -> None:
        place, plain = _place(event), not event.style
        value = event.value.replace(BRACES[0], "{").replace(BRACES[1], "}")
        node: Node = Scalar(place, value, plain)
        if self._tagged(event):
            node = Broken(place)
        # A file with nothing but comments is parsed as an empty plain scalar.
        if self._stack or event.value or not plain:
            self._anchor(event, node)
            self._add(node)

    def _open(self, event: Any, kind: type[Items] | type[Mapping]) -> None:
        node = kind(_place(event))
        self._tagged(event)
        self._anchor(event, node)
        self._stack.append(_Open(node))
        if len(self._stack) > MAX_DEPTH:
            raise _too_deep(node)

    def _close(self) -> None:
        frame = self._stack.pop()
        node = frame.node
        if isinstance(node, Mapping):
            for source in frame.merged:  # the mapping's own keys win
                node.entries = source.entries | node.entries
        children = node.children()
        node.size = 1 + sum(child.size for child in children)
        node.depth = 1 + max((child.depth for child in children), default=0)
        if node.depth > MAX_DEPTH:
            raise _too_deep(node)
        if node.size > MAX_VALUES:
            sentence = f"the aliases here expand to more than {MAX_VALUES} values"
            raise Refused(Problem((), sentence, node.place))
        self._add(node)

    def _add(self, node: Node) -> None:
        self._spend(1, node.place)
        if not self._stack:
            self.root = node
            return
        frame = self._stack[-1]
        if isinstance(frame.node, Items):
            frame.node.items.append(node)
        elif frame.key is None:
            frame.key = node
        else:
            self._store(frame, frame.node.entries, frame.key, node)
            frame.key = None

    def _store(
        self, frame: _Open, entries: dict[str, tuple[Place, Node]], key: Node, value: Node
    ) -> None:
        if not isinstance(key, Scalar):
            self._problem("a key must be text", key.place, up=1)
        elif key.plain and key.text == _MERGE:
            self._merge(frame, key.place, value)
        elif key.plain and not isinstance(resolve(key.text), str | bool):
            written = f", got {key.text} (write {quoted(key.text)})" if key.text else ""
            self._problem(f"a key must be text{written}", key.place, up=1)
        elif key.text in entries:
            first = entries[key.text][0].line
            self._problem(f"is given twice, first on line {first}", key.place)
        else:
            entries[key.text] = (key.place, value)

    def _merge(self, frame: _Open, place: Place, value: Node) -> None:
        for source in value.items if isinstance(value, Items) else [value]:
            if isinstance(source, Mapping):
                self._spend(len(source.entries), place)
                frame.merged.append(source)
            elif not isinstance(source, Broken):
                sentence = "must be a mapping, such as *name for one anchored by &name"
                self._problem(sentence, value.place)

    def _repeated(self, event: Any) -> Node:
        node = self._anchors.get(event.anchor)
        if node is None:  # do not show the name: it may be an unquoted password
            self._problem(_NO_ANCHOR, _place(event))
        elif any(frame.node is node for frame in self._stack):
            self._problem("an alias cannot stand inside what it repeats", _place(event))
        else:
            return node
        return Broken(_place(event))

    def _tagged(self, event: Any) -> bool:
        if event.tag is None:
            return False
        secret = any(frame.step() == "env" for frame in self._stack)
        tag = "" if secret else f" ({one_line(event.tag.replace(_TAG_PREFIX, '!!'))})"
        self._problem(f"a tag is not allowed{tag}: YAML is data only here", _place(event))
        return True

    def _anchor(self, event: Any, node: Node) -> None:
        if event.anchor is not None:
            self._anchors[event.anchor] = node

    def _spend(self, number: int, place: Place) -> None:
        self._count += number
        if self._count > MAX_VALUES:
            raise Refused(Problem((), f"the file holds more than {MAX_VALUES} values", place))

    def _path(self, up: int = 0) -> Path:
        steps = [frame.step() for frame in self._stack[: len(self._stack) - up]]
        return tuple(step for step in steps if step is not None)

    def _problem(self, sentence: str, place: Place, up: int = 0) -> None:
        self.problems.append(Problem(self._path(up), sentence, place))


_NO_ANCHOR = "an alias to no anchor; a value that begins with * must be quoted"


def _too_deep(node: Node) -> Refused:
    return Refused(Problem((), f"is nested deeper than {MAX_DEPTH} levels", node.place))


def _place(event: Any) -> Place:
    return Place(event.start_mark.line + 1, event.start_mark.column + 1)
