"""Docstrings as they are written in this package, for Sphinx.

They are Google style with a little Markdown: an indented block is code. Types in signatures are
named as in the code, so a reference to `Outcome` means `processpool.Outcome`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sphinx.ext.intersphinx import resolve_reference_any_inventory
from sphinx.util import logging

import processpool

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

_LOGGER = logging.getLogger(__name__)
_MODULES = (
    "processpool", "processpool.core.events", "processpool.core.snapshot",
    "processpool.core.states",
)  # fmt: skip
"""Where public names are documented."""
_SECTION = re.compile(r"(Args|Returns|Raises|Yields):$")
_SEVERAL = re.compile(r"(\s+)(\w+(?:, \w+)+): (.*)$")

_ELSEWHERE = {
    "Any": "typing.Any",
    "Self": "typing.Self",
    "BrokenProcessPool": "concurrent.futures.process.BrokenProcessPool",
    "Path": "pathlib.Path",
    "Executor": "concurrent.futures.Executor",
    "Future": "concurrent.futures.Future",
    "EllipsisType": "types.EllipsisType",
    "TracebackType": "types.TracebackType",
    **{
        name: f"collections.abc.{name}"
        for name in (
            "AsyncIterable", "AsyncIterator", "Callable", "Collection", "Coroutine", "Hashable",
            "Iterable", "Iterator", "Mapping", "Sequence",
        )
    },
}  # fmt: skip
_VALUES = ("attribute", "property", "data")
_texts: dict[str, list[str]] = {}
_MADE_BY_HAND = (
    "processpool.ProcessPool", "processpool.ProcessPoolExecutor", "processpool.Pool",
    "processpool.testing.fake_pool", "processpool.PoolConfig",
)  # fmt: skip
_PRIVATE = re.compile(
    r"(processpool\.)?([\w.]*\.)?("
    r"[A-Z]|_\w+|Picture|Recording|Report|Retry|Build|PoolKeywords|Viewer|Unpack|ParamSpec|Source|"
    r"TypeVar|Intake|FailedItem|RunRecord|Terms|ErrorGroup|JournalOptions|P\.(kw)?args|"
    r"OnError|JournalKeywords|Failed|Done|AsyncResult|ResultIterator|ExecutorFuture|State|Record|Job|"
    r"Handler|BaseContext|Async(Call|Map)|Call|LazyMap|Map|Submit|SpecialForm|\.\.\.)"
)
"""Names in signatures that have no page: type variables, and classes that nobody makes."""


def mark_up(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Turn the Markdown of a docstring into what napoleon understands."""
    if what in _VALUES:
        _texts[name] = list(lines)
    result: list[str] = []
    in_section = in_code = False
    for line in lines:
        indented = line.startswith("    ")
        if line and not indented:
            in_section, in_code = bool(_SECTION.match(line)), False
        if indented and not in_section and not in_code and result and not result[-1]:
            result += [".. code-block:: python", ""]
            in_code = True
        several = _SEVERAL.match(line) if in_section else None
        if several:
            result += [f"{several[1]}{each}: {several[3]}" for each in several[2].split(", ")]
        else:
            result.append(line)
    lines[:] = result


def restore(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Undo what napoleon does to attributes: it takes what is before a colon for the type."""
    if what in _VALUES:
        lines[:] = _texts.pop(name)


def shorten(
    app: Sphinx, what: str, name: str, obj: object, options: object, signature: str, result: str
) -> tuple[str, str | None] | None:
    """Leave out how objects are made that nobody makes by hand."""
    return ("", None) if what == "class" and name not in _MADE_BY_HAND else None


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.TextElement
) -> Any:
    """Find what a name in a signature means: a public name, or one of the standard library."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    short = target.rpartition(".")[2]
    domain = env.domains.python_domain
    for module in _MODULES:
        name = f"{module}.{short}"
        if name in domain.objects and target != name:
            node["reftarget"] = name
            return domain.resolve_xref(
                env, node["refdoc"], app.builder, "obj", name, node, contnode
            )
    if target in _ELSEWHERE:
        node["reftarget"] = _ELSEWHERE[target]
        node["reftype"] = "obj"
        return resolve_reference_any_inventory(env, True, node, contnode)
    return contnode if _PRIVATE.fullmatch(target) else None


def check_all_public(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of public names that no page documents."""
    for name in processpool.__all__:
        if name != "__version__" and f"processpool.{name}" not in env.domains.python_domain.objects:
            _LOGGER.warning("no page documents processpool.%s", name)


def setup(app: Sphinx) -> dict[str, bool]:
    """Hear of docstrings before napoleon does, and of references that lead nowhere."""
    app.connect("autodoc-process-docstring", mark_up, priority=100)
    app.connect("autodoc-process-docstring", restore, priority=900)
    app.connect("env-check-consistency", check_all_public)
    app.connect("autodoc-process-signature", shorten)
    app.connect("missing-reference", resolve, priority=900)
    return {"parallel_read_safe": True}
