"""Real programs, how they are declared, and what they answer: one case each.

Whoever adds a program adds a case here, and nothing else.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processpool.wire.framing.presets import PRESETS

PORT = """
import struct, sys
stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
while header := stdin.read(4):
    stdout.write(header + stdin.read(struct.unpack(">I", header)[0]))
    stdout.flush()
"""
SERVER = """
import json, sys
def say(**keys):
    body = json.dumps({"jsonrpc": "2.0", **keys})
    print(f"Content-Length: {len(body)}\\r\\n\\r\\n{body}", end="", flush=True)
while header := sys.stdin.readline():
    sys.stdin.readline()
    said = json.loads(sys.stdin.read(int(header.split(": ")[1])))
    if said.get("method") == "initialize":
        say(id="roots", method="workspace/workspaceFolders")
        say(id=said["id"], result={"capabilities": {}})
    elif said.get("method") == "hover":
        say(method="window/logMessage", params={"message": "hi"})
        say(id=said["id"], result=said["params"])
    elif "method" in said and "id" in said:
        say(id=said["id"], error={"code": -32601, "message": "no such method"})
"""
NODE = 'require("repl").start({prompt:"",terminal:false,ignoreUndefined:true})'
GIT = r"[^\n]* (?:missing|ambiguous)\n|\S+ \S+ (\d+)\n"


HOVER = {
    "textDocument": {"uri": Path(__file__).as_uri()},
    "position": {"line": 2, "character": 5},
}


def convert(time: str) -> dict[str, Any]:
    """A call of the tool of an MCP server."""
    zones = {"source_timezone": "UTC", "target_timezone": "Asia/Tokyo"}
    return {
        "method": "tools/call",
        "params": {"name": "convert_time", "arguments": {**zones, "time": time}},
    }


@dataclass(frozen=True)
class Program:
    """One program.

    Attributes:
        command: how it is started.
        protocol: the protocol, spelt out or by its name.
        package: the Debian package that has it.
        asked: messages, and what must be in their answers; None for an empty answer.
        bad: messages that are answered with an error.
        env: variables.
        codec: the codec.
        module: what must be importable, of a program in Python; its package is on PyPI then.
        stdout: pipe, or pty for a program that would hold its output back.
    """

    command: list[str]
    protocol: Any
    package: str
    asked: list[tuple[Any, Any]]
    bad: list[Any] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    codec: str = "text"
    stdout: str = "pipe"
    module: str = ""

    @property
    def install(self) -> str:
        """The command that installs it."""
        if self.module:
            return f"pip install {self.package}"
        return f"apt-get install --no-install-recommends {self.package}"


MARKED = {"until": "{mark}\n"}

PROGRAMS = {
    "jq": Program(
        ["jq", "-c", "--unbuffered", ".a"], "lines", "jq", [('{"a":1}', "1"), ('{"a":"x"}', '"x"')]
    ),
    "sed": Program(["sed", "-u", "s/a/b/"], "lines", "sed", [("cat", "cbt"), ("dog", "dog")]),
    "sed -z": Program(["sed", "-z", "-u", "s/a/b/"], "nul", "sed", [("a\na", "b\na"), ("", None)]),
    "gawk": Program(
        ["gawk", "{print $1; fflush()}"], "lines", "gawk", [("one two", "one"), ("three", "three")]
    ),
    "perl": Program(
        ["perl", "-pe", "s/a/b/"], "lines", "perl", [("cat", "cbt"), ("dog", "dog")], stdout="pty"
    ),
    "bc": Program(
        ["bc", "-lq"],
        {
            "request": '{message}\nprint "{mark}\\n"\n',
            "answer": MARKED,
            "error_stderr": "error|Divide",
        },
        "bc",
        [("2^300", "2037"), ("x=4", None), ("6*7", "42")],
        ["1/0", "2 +* 2"],
        {"BC_LINE_LENGTH": "0"},
    ),
    "hunspell": Program(
        ["hunspell", "-a", "-d", "en_US"],
        {
            "start": [{"expect": "\n"}],
            "request": "^{message}\n",
            "answer": {"until_line": "^$"},
        },
        "hunspell hunspell-en-us",
        [("hello wrold", "& wrold"), ("", None), ("!x", "*")],
    ),
    "exiftool": Program(
        ["exiftool", "-stay_open", "True", "-@", "-"],
        {
            "request": "{message}\n-execute\n",
            "answer": {"until": "{ready}\n"},
            "exit": "-stay_open\nFalse\n",
            "error_stderr": "^Error",
        },
        "libimage-exiftool-perl",
        [("-ver", "."), ("-listg1\n-ver", ".")],
        ["/nonexist"],
    ),
    "git cat-file": Program(
        ["git", "cat-file", "--batch"],
        {
            "answer": {"length": GIT, "after": "\n", "keep": True},
            "error": r"\A[^\n]* (missing|ambiguous)$",
        },
        "git",
        [("HEAD:a.txt", "first\nsecond\n"), ("HEAD:b.txt", " blob 0")],
        ["HEAD:nope"],
    ),
    "stockfish": Program(
        ["/usr/games/stockfish"],
        {
            "start": [{"send": "uci\n"}, {"expect": "uciok"}],
            "answer": {"until_line": r"^bestmove\b", "keep": True},
            "exit": "quit\n",
        },
        "stockfish",
        [
            ("position startpos\ngo depth 5", "bestmove"),
            ("position fen 7k/5Q2/6K1/8/8/8/8/8 w - - 0 1\ngo depth 3", "mate 1"),
        ],
    ),
    "z3": Program(
        ["z3", "-in"],
        {
            "request": '(reset)\n{message}\n(echo "{mark}")\n',
            "answer": MARKED,
            "error": r"^\(error ",
        },
        "z3",
        [
            ("(declare-const x Int)(assert (> x 3))(check-sat)(get-value (x))", "sat\n((x "),
            ("(assert false)(check-sat)", "unsat"),
        ],
        ["(assert x)"],
    ),
    "sqlite3": Program(
        ["sqlite3", "-batch", "-json", ":memory:"],
        {
            "request": "{message};\n.print {mark}\n",
            "answer": MARKED,
            "error_stderr": "^(Parse|Runtime) error",
        },
        "sqlite3",
        [("select 1 as a", '[{"a":1}]'), ("select 2 as b where 0", None)],
        ["selec"],
    ),
    "R": Program(
        ["R", "--slave", "--no-restore", "--no-save"],
        {
            "start": [{"ask": "options(error=expression(NULL))"}],
            "request": '{message}\ncat("{mark}\\n")\n',
            "answer": MARKED,
            "error_stderr": "^Error",
        },
        "r-base-core",
        [("print(1+1)", "[1] 2"), ("x <- 1", None)],
        ['stop("boom")'],
    ),
    "node": Program(
        ["node", "-e", NODE],
        {"request": '{message}\nconsole.log("{mark}")\n', "answer": MARKED, "error": "^Uncaught"},
        "nodejs",
        [("1+1", "2"), ("undefined", None)],
        ["nope()"],
    ),
    "gnuplot": Program(
        ["gnuplot"],
        {
            "start": [{"send": 'set print "-"\nset terminal svg\n'}],
            "request": '{message}\nprint "{mark}"\n',
            "answer": MARKED,
            "error_stderr": r"^\s+line \d+: ",
        },
        "gnuplot-nox",
        [("plot sin(x)", "</svg>"), ("print 6*7", "42")],
        ["plot no(x)"],
    ),
    "dot": Program(
        ["dot", "-Tsvg"],
        {"request": "{message}\n", "answer": {"until": "</svg>\n", "keep": True}},
        "graphviz",
        [("digraph { a -> b }", "</svg>"), ("graph { c }", "</svg>")],
    ),
    "gdb": Program(
        ["gdb", "--interpreter=mi2", "--nx", "--quiet"],
        "gdb-mi",
        "gdb",
        [("-data-evaluate-expression 6*7", '^done,value="42"'), ("-gdb-version", "GNU gdb")],
        ["-no-such-command"],
    ),
    "tclsh": Program(
        ["tclsh"], "tcl", "tcl", [("puts [expr 6*7]", "42"), ("set x 1", None)], ["error boom"]
    ),
    "python": Program(
        ["python", "-i", "-q", "-c", "import sys; sys.ps1 = sys.ps2 = ''"],
        "python",
        "python3",
        [("6*7", "42"), ("for i in range(3):\n    print(i)", "0\n1\n2\n")],
        ["1/0", "1 +"],
    ),
    "four bytes of length": Program(
        [sys.executable, "-c", PORT],
        {"request": "{u32be}{message}", "answer": {"length": "u32be"}},
        "python3",
        [(b"two\nlines", b"two\nlines"), (b"", None), (b"x" * 70_000, b"x" * 70_000)],
        codec="bytes",
    ),
    "a language server": Program(
        ["python", "-c", SERVER],
        "lsp",
        "python3",
        [({"method": "hover", "params": {"line": 1}}, "line")],
        [{"method": "nope"}],
        codec="json",
    ),
    "an MCP server": Program(
        ["python", "-m", "mcp_server_time"],
        "mcp",
        "mcp-server-time",
        [(convert("12:00"), "content"), ({"method": "tools/list"}, "tools")],
        [{"method": "nope"}],
        codec="json",
        module="mcp_server_time",
    ),
    "a language server for Python": Program(
        ["python", "-m", "pylsp"],
        "lsp",
        "python-lsp-server",
        [({"method": "textDocument/hover", "params": HOVER}, "contents")],
        [{"method": "nope"}],
        codec="json",
        module="pylsp",
    ),
    "clangd": Program(
        ["clangd"],
        "lsp",
        "clangd",
        [({"method": "workspace/symbol", "params": {"query": "x"}}, None)],
        [{"method": "textDocument/hover", "params": HOVER}],
        codec="json",
    ),
    "aspell": Program(
        ["aspell", "-a"], "ispell", "aspell aspell-en", [("hello wrold", "& wrold"), ("", None)]
    ),
    "mecab": Program(
        ["mecab"], "mecab", "mecab mecab-ipadic-utf8", [("猫", "ネコ"), ("猫 猫", "ネコ")]
    ),
    "gnugo": Program(
        ["/usr/games/gnugo", "--mode", "gtp"],
        "gtp",
        "gnugo",
        [("name", "= GNU Go"), ("clear_board", "= ")],
        ["nope"],
    ),
    "maxima": Program(
        ["maxima", "--very-quiet"],
        "maxima",
        "maxima",
        [("6*7;", "42"), ("x: 1$", None)],
        ["1/0;"],
    ),
    "gap": Program(
        ["gap", "-q", "-T"], "gap", "gap-core", [("6*7;", "42"), ("x:=1;;", None)], ["1/0;", "1+;"]
    ),
    "gp": Program(
        ["gp", "-q", "-f", "-D", "breakloop=0"],
        "gp",
        "pari-gp",
        [("6*7", "42"), ("x=1;", None)],
        ["1/0", "1+*"],
    ),
    "octave": Program(
        [*PRESETS["octave"].command],
        "octave",
        "octave",
        [("disp(6*7)", "42"), ("x = 1;", None)],
        ["nope(1)", "1 +"],
    ),
    "dc": Program(["dc"], "dc", "dc", [("6 7*p", "42"), ("c", None)], ["1 0/"]),
    "ocaml": Program(
        ["ocaml", "-noprompt"],
        "ocaml",
        "ocaml-nox",
        [("6*7", "int = 42"), ("let x = 1", "val x : int = 1")],
        ["1 + true", "1/0"],
    ),
    "swipl": Program(
        ["swipl", "-q"],
        "prolog",
        "swi-prolog-nox",
        [("X is 6*7.", "X = 42."), ("true.", "true.")],
        ["nope."],
    ),
    "gs": Program(
        ["gs", "-q", "-dNODISPLAY", "-dNOPROMPT"],
        "ghostscript",
        "ghostscript",
        [("6 7 mul =", "42"), ("clear", None)],
        ["nope"],
    ),
    "gm": Program(
        ["gm", "batch", "-prompt", "off", "-feedback", "on", "-"],
        "gm-batch",
        "graphicsmagick",
        [("version", "GraphicsMagick"), ("convert -size 1x1 xc:red null:", "PASS")],
        ["identify nope.png"],
    ),
}
