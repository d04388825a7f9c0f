"""Pages that are made from files in the root of the repository, so that nothing is written twice.

Whole files become pages, and so do chapters of the README. Links between these files become links
between the pages; links to other files lead to the repository.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")
_CHAPTER = re.compile(r"(?<=\]\()#([\w-]+)(?=\))")
_FENCE = re.compile(r"^(```.*?^```$)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class RootPage:
    """A page of the site that is made from a file in the root."""

    page: str
    """Its path in `docs/`, without the suffix."""
    file: str
    """The file, relative to the root."""
    chapter: str | None = None
    """The heading of the one chapter to take; None for the whole file."""
    title: str | None = None
    """The title of the page, if it is not that heading."""


PAGES = (
    RootPage("howto/programs", "README.md", "Any other program", "Use any program as a worker"),
    RootPage("howto/long-run", "README.md", "A long run", "Run something for hours"),
    RootPage("howto/clusters", "README.md", "More than one machine", "Use several machines"),
    RootPage("explanation/why", "README.md", "Why not …?", "Why not …?"),
    RootPage("explanation/architecture", "ARCHITECTURE.md"),
    RootPage("explanation/benchmarks", "benchmarks/README.md"),
    RootPage("explanation/security", "SECURITY.md"),
    RootPage("project/contributing", "CONTRIBUTING.md"),
    RootPage("project/changelog", "CHANGELOG.md"),
)


def chapter_of(text: str, heading: str) -> str:
    """Return a chapter of a Markdown text, with its heading as the first level.

    Raises:
        ValueError: there is no such chapter.
    """
    blocks = _FENCE.split(text)  # what is in a fence is no heading
    lines: list[str] = []
    level = 0
    for block in blocks:
        if block.startswith("```"):
            if level:
                lines.append(block)
            continue
        for line in block.split("\n"):
            found = re.match(r"(#+) (.*)", line)
            if found and not level and found[2] == heading:
                level = len(found[1])
            elif found and level and len(found[1]) <= level:
                return "\n".join(lines).rstrip() + "\n"
            if level:
                lines.append(line[level - 1 :] if found else line)
    if not level:
        raise ValueError(f"there is no chapter {heading!r}")
    return "\n".join(lines).rstrip() + "\n"


def relinked(text: str, page: RootPage, url: str) -> str:
    """Return the text with its links as they must be in the site."""
    whole = {each.file: each.page for each in PAGES if each.chapter is None}
    here = posixpath.dirname(page.page)

    def target(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page.file), found[1]))
        anchor = found[2] or ""
        if path in whole:
            return posixpath.relpath(whole[path] + ".md", here) + anchor
        if path == "README.md":
            return posixpath.relpath("index.md", here)
        if path.startswith("docs/"):
            return posixpath.relpath(path.removeprefix("docs/"), here) + anchor
        if path.endswith((".png", ".svg")):
            return posixpath.relpath("../" + path, here)
        return url + path + anchor

    chapters = {
        re.sub(r"[^\w]", "-", each.chapter.lower()): each.page
        for each in PAGES
        if each.file == page.file and each.chapter is not None
    }

    def chapter(found: re.Match[str]) -> str:
        other = chapters.get(found[1])
        return found[0] if other is None else posixpath.relpath(f"{other}.md", here)

    parts = _FENCE.split(text)
    return "".join(
        part if part.startswith("```") else _CHAPTER.sub(chapter, _LINK.sub(target, part))
        for part in parts
    )


def write_pages(app: Sphinx) -> None:
    """Write the pages whose text has changed."""
    source = Path(app.srcdir)
    for page in PAGES:
        text = (source.parent / page.file).read_text(encoding="utf-8")
        if page.chapter is not None:
            text = chapter_of(text, page.chapter)
        text = relinked(text, page, app.config.root_pages_url)
        if page.title is not None:
            text = f"# {page.title}\n" + text.partition("\n")[2]
        path = source / f"{page.page}.md"
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Have Sphinx write the pages before it looks for pages."""
    app.add_config_value("root_pages_url", "", "env", types=frozenset({str}))
    app.connect("builder-inited", write_pages, priority=100)
    return {"parallel_read_safe": True}
