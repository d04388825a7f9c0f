"""Runs a page of the documentation as its reader would: `python -m tests.docs.page README.md`.

Blocks are run from top to bottom, in the current folder, as one session:

- `python` is run as if it were typed into an interpreter. What it prints must be what its comments
  say: `print(pool.call("hello"))  # HELLO!`. `…` in a comment stands for anything.
- `yaml` must be valid by `processpool check`. A part of a file is completed by a worker.
- `console` is run by a shell: what comes behind `$`. If the block shows output, that must be it.
- `sh` is run by a shell as a whole.

With a caption, or behind a comment `file: NAME`, a block is written to that file instead. Behind
`needs: NAME ...` it is left out unless these programs or modules are there, behind `skip: next`
always. All other languages are only read.
"""

from __future__ import annotations

import linecache
import os
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import yaml
from click.testing import CliRunner
from sybil import Document, Example, Region, Sybil
from sybil.parsers.markdown.lexers import DirectiveInHTMLCommentLexer, FencedCodeBlockLexer
from sybil.parsers.myst import SkipParser
from sybil.parsers.myst.lexers import DirectiveLexer

from processpool.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 60
"""How long a command of a console may take."""
_EXPECTED = re.compile(r"^(?!\s*#).*\bprint\(.*\)  # (.*)$", re.MULTILINE)
_ANY = "…"
_WORKER = {"worker": {"kind": "command", "command": ["cat"], "protocol": "lines"}}


class Wrong(Exception):
    """An example that does not do what the page says."""


class Blocks:
    """Finds the blocks of a page, and runs them."""

    _lexers = (
        FencedCodeBlockLexer(r"\w+"),
        DirectiveLexer("code-block", r"\w+"),
        DirectiveInHTMLCommentLexer("invisible-code-block", r"\w+"),
    )
    _notes = DirectiveInHTMLCommentLexer("file|needs", ".*?")

    def __call__(self, document: Document) -> Iterator[Region]:
        """Return the blocks of a page, with the notes in front of them."""
        notes = {
            document.text.index("-->", each.start) + 3: each.lexemes
            for each in self._notes(document)
        }
        for lexer in self._lexers:
            for found in lexer(document):
                before = document.text[: found.start].rstrip()
                note = notes.get(len(before)) or {}
                lexemes = found.lexemes
                options = lexemes.get("options") or {}
                block = {
                    "language": lexemes.get("language") or lexemes["arguments"],
                    "source": str(lexemes["source"]),
                    "line_offset": lexemes["source"].line_offset,
                    "file": options.get("caption"),
                }
                if note:
                    block[note["directive"]] = note["arguments"].strip()
                yield Region(found.start, found.end, block, self.evaluate)

    def evaluate(self, example: Example) -> None:
        """Run one block.

        Raises:
            Wrong: it does not do what the page says.
        """
        block = example.parsed
        missing = [each for each in block.get("needs", "").split() if not _is_there(each)]
        if missing:
            print(f"line {example.line}: left out for lack of {', '.join(missing)}")
            return
        if block["file"]:
            Path(block["file"]).write_text(block["source"])
            if not block["file"].endswith(".yaml"):
                return
        run = getattr(self, f"_run_{block['language']}", None)
        if run is not None:
            run(block, example)

    def _run_python(self, block: dict[str, Any], example: Example) -> None:
        name = f"<{Path(example.path).name}, line {example.line}>"
        source = block["source"]
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        out = StringIO()
        with redirect_stdout(out):
            exec(compile(source, name, "exec", dont_inherit=True), sys.modules["__main__"].__dict__)
        print(out.getvalue(), end="")
        at = 0
        for expected in _EXPECTED.findall(source):
            found = re.compile(_as_regex(expected), re.MULTILINE).search(out.getvalue(), at)
            if found is None:
                raise Wrong(f"should print {expected!r}, printed {out.getvalue()[at:]!r}")
            at = found.end()

    def _run_yaml(self, block: dict[str, Any], example: Example) -> None:
        source = block["source"]
        keys = yaml.safe_load(source)
        if not isinstance(keys, dict) or block["language"] != "yaml":
            raise Wrong("is no mapping")
        if not block["file"] and not keys.keys() & {"worker", "pools"}:
            source += yaml.safe_dump(_WORKER)
        path = Path(block["file"] or f"line-{example.line}.yaml")
        path.write_text(source)
        result = CliRunner().invoke(app, ["check", str(path)])
        if result.exit_code > 1:  # 1: a program is not installed here
            raise Wrong(f"processpool check says: {result.output}")

    def _run_console(self, block: dict[str, Any], example: Example) -> None:
        for command, expected in _commands(block["source"]):
            done = _shell(command)
            if expected and not re.fullmatch(_as_regex(expected), done.stdout.rstrip(), re.DOTALL):
                raise Wrong(f"{command!r} should print\n{expected}\nbut it printed\n{done.stdout}")
            if not expected and done.returncode:
                raise Wrong(f"{command!r} exited with {done.returncode}:\n{done.stdout}")

    def _run_sh(self, block: dict[str, Any], example: Example) -> None:
        done = _shell(block["source"])
        if done.returncode:
            raise Wrong(f"exited with {done.returncode}:\n{done.stdout}")


def _is_there(name: str) -> bool:
    return shutil.which(name) is not None or find_spec(name) is not None


def _as_regex(expected: str) -> str:
    """The pattern of a text, in which `…` stands for anything."""
    return ".*".join(re.escape(line) for line in expected.split(_ANY)).replace("\\\n", "\n")


def _commands(source: str) -> Iterator[tuple[str, str]]:
    """The commands of a console, each with the output that is shown for it."""
    for part in re.split(r"^\$ ", source, flags=re.MULTILINE)[1:]:
        lines = part.rstrip().split("\n")
        end = next(i for i, line in enumerate(lines, 1) if not line.endswith("\\"))
        yield "\n".join(lines[:end]), "\n".join(lines[end:]).rstrip()


def _shell(command: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        stdin=subprocess.DEVNULL, timeout=SECONDS, check=False,
    )  # fmt: skip
    print(f"$ {command}\n{done.stdout}", end="")
    return done


def examples(path: Path) -> Iterator[Example]:
    """Return the blocks of a page, in order."""
    return Sybil([Blocks(), SkipParser()]).parse(path).examples()


def main(path: str) -> None:
    """Run a page; an example that is wrong ends this with a traceback."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    os.environ["HOME"] = os.getcwd()
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # a reader has not all of our plugins
    sys.path.insert(0, os.getcwd())
    sys.modules["__main__"] = ModuleType("__main__")  # the reader's, with nothing of this one in it
    for example in examples(Path(path)):
        try:
            example.evaluate()
        except Exception as error:
            raise Wrong(f"{path}:{example.line}: {error or type(error).__name__}") from error
    for each in vars(sys.modules["__main__"]).values():  # as if the interpreter had been left
        if hasattr(each, "close") and type(each).__name__ == "ProcessPool":
            each.close()


if __name__ == "__main__":
    main(sys.argv[1])
