"""What is read by machines: `llms.txt`, `llms-full.txt`, and the guide for coding agents.

All of it is made from the pages. A page marks what belongs into the guide:

    <!-- agents: begin -->
    ...
    <!-- agents: end -->
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from docutils import nodes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

GUIDE = "agents"
_MARKED = re.compile(r"<!-- agents: begin -->\n(.*?)<!-- agents: end -->", re.DOTALL)
_FILE = re.compile(r"^(`{3,})\{code-block\} (\w+)\n:caption: (.*)\n\n?", re.MULTILINE)
_COMMENT = re.compile(r"^<!--.*?-->\n", re.MULTILINE | re.DOTALL)
_ROLE = re.compile(r"\{[\w:]+\}(`[^`]+`)")
_LOCAL = re.compile(r"\[([^\]]+)\]\((?![a-z]+:)[^)]*\)")
_SECTIONS = {
    "": "Start",
    "howto": "How to",
    "reference": "Reference",
    "explanation": "Explanation",
    "project": "Project",
}
PARTS = (
    ("Choose a call", "tutorial"),
    ("Declare a pool", "reference/yaml"),
    ("A program as a worker", "howto/own-worker"),
    ("The API in one table", "reference/api"),
    ("Errors", "reference/errors"),
    ("From the shell", "reference/command-line"),
    ("Mistakes to avoid", "explanation/guarantees"),
)
"""The parts of the guide: their headings, and the pages that have them."""
_HEAD = """\
# For coding agents

processpool in one page, for programs that write programs. It is made from the other pages of this
site, as plain Markdown in [agents.md](agents.md); [llms.txt](llms.txt) lists all pages.
"""


def write_guide(app: Sphinx) -> None:
    """Write the guide's page, out of the marked parts of others.

    Raises:
        ValueError: a page has no marked part.
    """
    source = Path(app.srcdir)
    text = _HEAD.replace("[agents.md](agents.md)", "`agents.md`")
    text = text.replace("[llms.txt](llms.txt)", "`llms.txt`")
    for heading, page in PARTS:
        marked = _MARKED.findall((source / f"{page}.md").read_text(encoding="utf-8"))
        if not marked:
            raise ValueError(f"docs/{page}.md has no part that is marked for agents")
        text += f"\n## {heading}\n\n" + plain("\n".join(marked))
    path = source / f"{GUIDE}.md"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def plain(text: str) -> str:
    """Return MyST as plain Markdown: no roles, no comments, no links within the site."""
    text = _COMMENT.sub("", text)
    text = _FILE.sub(r"In the file `\3`:\n\n\1\2\n", text)
    text = re.sub(r"^`{3,}\{\w[\w-]*\}.*?\n`{3,}\n", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^\([\w-]+\)=\n", "", text, flags=re.MULTILINE)
    return _LOCAL.sub(r"\1", _ROLE.sub(r"\1", text)).strip() + "\n"


def write_lists(app: Sphinx, failure: Exception | None) -> None:
    """Write `llms.txt` and its companions beside the pages."""
    if failure is not None or app.builder.name != "html":
        return
    out, source = Path(app.outdir), Path(app.srcdir)
    pages = list(_in_order(app))
    (out / "llms.txt").write_text(_index(app, pages), encoding="utf-8")
    (out / "llms-full.txt").write_text(
        "\n".join(
            plain((source / f"{page}.md").read_text(encoding="utf-8"))
            for page in pages
            if page != GUIDE and not page.startswith("project/")
        ),
        encoding="utf-8",
    )
    guide = (source / f"{GUIDE}.md").read_text(encoding="utf-8")
    (out / f"{GUIDE}.md").write_text(guide, encoding="utf-8")


def _in_order(app: Sphinx) -> Iterator[str]:
    """All pages, in the order of the table of contents."""
    children = app.env.toctree_includes
    seen: set[str] = set()
    waiting = [app.config.root_doc]
    while waiting:
        page = waiting.pop(0)
        if page not in seen:
            seen.add(page)
            yield page
            waiting[:0] = children.get(page, [])


def _index(app: Sphinx, pages: list[str]) -> str:
    lines = [f"# {app.config.project}", "", f"> {_first_sentences(app, app.config.root_doc)}"]
    for folder, heading in _SECTIONS.items():
        lines += ["", f"## {heading}", ""]
        for page in pages:
            if page.rpartition("/")[0].partition("/")[0] != folder or page == app.config.root_doc:
                continue
            title = app.env.titles[page].astext()
            where = f"{GUIDE}.md" if page == GUIDE else f"_sources/{page}.md.txt"
            about = _first_sentences(app, page, 1)
            lines.append(f"- [{title}]({where})" + (f": {about}" if about else ""))
    return "\n".join(lines) + "\n"


def _first_sentences(app: Sphinx, page: str, count: int = 9) -> str:
    """How the text of a page begins."""
    tree = app.env.get_doctree(page)
    paragraph = next(
        (each for each in tree.findall(nodes.paragraph) if isinstance(each.parent, nodes.section)),
        None,
    )
    if paragraph is None:
        return ""
    text = " ".join(paragraph.astext().split())
    return " ".join(re.split(r"(?<=[.:?]) (?=[A-Z])", text)[:count]).rstrip(":")


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the guide after the pages from the root, and the lists at the end."""
    app.connect("builder-inited", write_guide, priority=200)
    app.connect("build-finished", write_lists)
    return {"parallel_read_safe": True}
