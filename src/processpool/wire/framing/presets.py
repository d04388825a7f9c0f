r"""The protocols of well-known programs, as data: what a declaration says, and an example of each.

Two rules hold here. A preset is nothing but keys that a YAML file could have itself, so that any of
them can be replaced by a file that starts from it. And where a program keeps a state between
requests, or a message could smuggle in a second one, the preset sees to it as far as the program
allows; what it cannot see to, `note` says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from processpool.wire.framing.declaration import ENDINGS, LINE, NEWLINE


@dataclass(frozen=True)
class Preset:
    """One program's protocol.

    Attributes:
        protocol: the keys of `worker.protocol`.
        command: an example of a program that speaks it.
        about: what speaks it, in a few words.
        programs: the names of programs, by which it can be found.
        env: variables that the program needs to behave.
        codec: the codec that its messages need, where that is not text.
        note: what whoever uses it should know.
    """

    protocol: dict[str, Any]
    command: tuple[str, ...]
    about: str
    programs: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    codec: str = "text"
    note: str = ""


_ERROR_LINE = r"^(?:\w+ )*[Ee]rror\b"
_NODE = 'require("repl").start({prompt:"",terminal:false,ignoreUndefined:true})'
_PYTHON = "import sys; sys.ps1 = sys.ps2 = ''"
_GIT = r"[^\n]* (?:missing|ambiguous)\n|\S+ \S+ (\d+)\n"
_MARKED = {"until": "{mark}\n"}

PRESETS: dict[str, Preset] = {
    "framed": Preset(
        {"request": "1;{length}\n{message}", "answer": {"length": r"(\d+);"}, "exit": "0;\n"},
        ("python", "worker.py"),
        "workers under processpool.serve, and those of ssigwart/process-pool",
    ),
    "lines": Preset(
        {"request": "{message}\n", "answer": {"lines": 1}},
        ("jq", "-c", "--unbuffered", ".name"),
        "one line in, one line out: jq, sed -u, scripts with a read loop",
        ("jq", "sed", "gawk", "awk", "mawk"),
    ),
    "nul": Preset(
        {"request": "{message}\0", "refuse": r"\0", "answer": {"until": "\0"}},
        ("sed", "-z", "-u", "s/a/b/"),
        "messages that end with a NUL, so that they may hold newlines",
    ),
    "exiftool": Preset(
        {
            "request": "{message}\n-execute\n",
            "refuse": "^-(?:execute|stay_open)",
            "answer": {"until": "{ready}\n"},
            "error_stderr": "^Error",
            "exit": "-stay_open\nFalse\n",
        },
        ("exiftool", "-stay_open", "True", "-@", "-"),
        "exiftool; a message is its arguments, one on a line",
        ("exiftool",),
    ),
    "ispell": Preset(
        {
            "start": [{"expect": "\n"}],
            "request": "^{message}\n",
            "refuse": "\n",
            "answer": {"until_line": "^$"},
        },
        ("hunspell", "-a", "-d", "en_US"),
        "spell checkers with -a; an answer is empty where all is right",
        ("hunspell", "aspell", "enchant", "enchant-2", "ispell"),
    ),
    "mecab": Preset(
        {"request": "{message}\n", "refuse": "\n", "answer": {"until_line": "^EOS$"}},
        ("mecab",),
        "mecab and other analysers that end a sentence with EOS",
        ("mecab",),
    ),
    "uci": Preset(
        {
            "start": [{"send": "uci\n"}, {"expect": "uciok"}],
            "request": "{message}\n",
            "answer": {"until_line": r"^bestmove\b", "keep": True},
            "exit": "quit\n",
        },
        ("stockfish",),
        "chess engines; a message is a position and a go, on two lines",
        ("stockfish", "lc0", "fairy-stockfish"),
        note="put ucinewgame in front of a position that has nothing to do with the last one",
    ),
    "gtp": Preset(
        {
            "request": "{message}\n",
            "refuse": "\n",
            "answer": {"until_line": "^$"},
            "error": r"^\?",
            "exit": "quit\n",
        },
        ("gnugo", "--mode", "gtp"),
        "Go engines; a message is one command",
        ("gnugo",),
    ),
    "smtlib": Preset(
        {
            "request": '(reset)\n{message}\n(echo "{mark}")\n',
            "answer": _MARKED,
            "error": r"^\(error ",
            "exit": "(exit)\n",
        },
        ("z3", "-in"),
        "SMT solvers; each message starts from nothing",
        ("z3",),
        note="an open parenthesis swallows the mark: set timeouts.request; cvc5 and others print "
        'the quotes of an echo, so that the end is answer: {until: "\\"{mark}\\"\\n"}',
    ),
    "sql-shell": Preset(
        {
            "request": "{message};\n.print {mark}\n",
            "answer": _MARKED,
            "error_stderr": _ERROR_LINE,
        },
        ("sqlite3", "-batch", "-json", ":memory:"),
        "shells of databases in a file: sqlite3, duckdb",
        ("sqlite3", "duckdb"),
        note="a quote that is not closed swallows the mark: set timeouts.request",
    ),
    "r": Preset(
        {
            "start": [{"ask": "options(error=expression(NULL))"}],
            "request": '{message}\ncat("{mark}\\n")\n',
            "answer": _MARKED,
            "error_stderr": "^Error",
        },
        ("R", "--slave", "--no-restore", "--no-save"),
        "R; variables stay from message to message",
        ("R",),
    ),
    "octave": Preset(
        {
            "request": '{message}\nputs("{mark}\\n");fflush(stdout);\n',
            "answer": _MARKED,
            "error_stderr": "^error:",
        },
        ("octave-cli", "--quiet", "--no-history", "--interactive", "--eval", "PS1('');PS2('')"),
        "GNU Octave; variables stay from message to message",
        ("octave", "octave-cli"),
    ),
    "maxima": Preset(
        {
            "request": '{message}\nprintf(true, "{mark}~%")$\n',
            "answer": _MARKED,
            "error": "^(?:incorrect syntax|.*-- an error)",
        },
        ("maxima", "--very-quiet"),
        "Maxima; a message ends with ; or $",
        ("maxima",),
    ),
    "gap": Preset(
        {
            "request": '{message}\nPrint("{mark}\\n");\n',
            "answer": _MARKED,
            "error_stderr": "^(?:Error|Syntax error)",
        },
        ("gap", "-q", "-T"),
        "GAP; a message ends with ;",
        ("gap",),
    ),
    "gp": Preset(
        {
            "request": '{message}\nprint("{mark}")\n',
            "answer": _MARKED,
            "error_stderr": r"^  \*\*\*",
            "exit": "quit\n",
        },
        ("gp", "-q", "-f", "-D", "breakloop=0"),
        "PARI/GP",
        ("gp",),
    ),
    "gnuplot": Preset(
        {
            "start": [{"send": 'set print "-"\nset terminal svg\n'}],
            "request": '{message}\nprint "{mark}"\n',
            "answer": _MARKED,
            "error_stderr": r"^\s+line \d+: ",
        },
        ("gnuplot",),
        "gnuplot; an answer is a picture in SVG",
        ("gnuplot",),
    ),
    "bc": Preset(
        {
            "request": '{message}\nprint "{mark}\\n"\n',
            "answer": _MARKED,
            "error_stderr": "error|Divide",
        },
        ("bc", "-lq"),
        "bc; variables stay from message to message",
        ("bc",),
        {"BC_LINE_LENGTH": "0"},
    ),
    "dc": Preset(
        {"request": "{message}\n[{mark}\n]P\n", "answer": _MARKED, "error_stderr": "^dc: "},
        ("dc",),
        "dc; the stack stays from message to message",
        ("dc",),
    ),
    "tcl": Preset(
        {
            "request": "{message}\nputs {mark}; flush stdout\n",
            "answer": _MARKED,
            "error_stderr": r"\S",
        },
        ("tclsh",),
        "Tcl; an answer is what is put",
        ("tclsh", "jimsh"),
    ),
    "python": Preset(
        {
            "request": '{message}\n\nprint("{mark}", flush=True)\n',
            "answer": _MARKED,
            "error_stderr": r"^(?:Traceback \(|  File \"<stdin>\")",
        },
        ("python", "-i", "-q", "-c", _PYTHON),
        "a Python prompt; for functions, kind: python is far better",
    ),
    "node": Preset(
        {
            "request": '{message}\nconsole.log("{mark}")\n',
            "answer": _MARKED,
            "error": "^Uncaught",
        },
        ("node", "-e", _NODE),
        "a Node prompt",
        ("node", "nodejs"),
    ),
    "ocaml": Preset(
        {
            "start": [{"ask": "()"}],
            "request": '{message};;\nprint_endline "{mark}";;\n',
            "answer": {"until": "{mark}\n- : unit = ()\n"},
            "error": "^(?:Error|Exception)",
        },
        ("ocaml", "-noprompt"),
        "an OCaml prompt",
        ("ocaml",),
    ),
    "prolog": Preset(
        {
            "request": "{message}\nwriteln('{mark}').\n",
            "answer": {"until": "{mark}\ntrue.\n\n"},
            "error_stderr": r"^(?:ERROR|Warning)",
            "exit": "halt.\n",
        },
        ("swipl", "-q"),
        "SWI-Prolog; a message is a query and ends with a full stop",
        ("swipl",),
    ),
    "ghostscript": Preset(
        {
            "request": "{message}\n({mark}) = flush\n",
            "answer": _MARKED,
            "error": "^Error: ",
            "exit": "quit\n",
        },
        ("gs", "-q", "-dNODISPLAY", "-dNOPROMPT"),
        "Ghostscript; a message is PostScript",
        ("gs",),
    ),
    "gdb-mi": Preset(
        {
            "start": [{"expect": "(gdb) \n"}],
            "request": "{message}\n",
            "refuse": "\n",
            "answer": {"until": "(gdb) \n"},
            "error": r"^\^error",
            "exit": "-gdb-exit\n",
        },
        ("gdb", "--interpreter=mi2", "--nx", "--quiet"),
        "the machine interface of gdb",
        ("gdb",),
    ),
    "assuan": Preset(
        {
            "start": [{"expect": "OK"}],
            "request": "{message}\n",
            "refuse": "\n",
            "answer": {"until_line": r"^(?:OK|ERR)\b", "keep": True},
            "error": "^ERR",
            "exit": "BYE\n",
        },
        ("gpg-agent", "--server"),
        "the servers of GnuPG: gpg-agent, dirmngr, scdaemon, gpgsm",
    ),
    "gm-batch": Preset(
        {
            "request": "{message}\n",
            "refuse": "\n",
            "answer": {"until_line": "^(?:PASS|FAIL)$", "keep": True},
            "error": "^FAIL$",
        },
        ("gm", "batch", "-prompt", "off", "-feedback", "on", "-"),
        "GraphicsMagick; a message is one of its commands",
        ("gm",),
    ),
    "git-cat-file": Preset(
        {
            "request": "{message}\n",
            "refuse": "\n",
            "answer": {"length": _GIT, "after": "\n", "keep": True},
            "error": r"\A[^\n]* (?:missing|ambiguous)$",
        },
        ("git", "cat-file", "--batch"),
        "the objects of a repository; an answer begins with its header",
    ),
    "packet4": Preset(
        {"request": "{u32be}{message}", "answer": {"length": "u32be"}},
        ("./port",),
        "programs behind {packet, 4} of Erlang: four bytes of length, big-endian",
        codec="bytes",
    ),
    "native-messaging": Preset(
        {"request": "{u32le}{message}", "answer": {"length": "u32le"}},
        ("./host",),
        "hosts of browser extensions: four bytes of length, little-endian",
        codec="json",
    ),
    "varint": Preset(
        {"request": "{varint}{message}", "answer": {"length": "varint"}},
        ("./compiler", "--persistent_worker"),
        "protocol buffers behind their length: persistent workers of Bazel",
        codec="bytes",
    ),
    "bazel-json": Preset(
        {
            "request": "{message}\n",
            "answer": {"lines": 1},
            "error": r'"exitCode":\s*-?[1-9]',
        },
        ("./compiler", "--persistent_worker"),
        "persistent workers of Bazel that speak JSON",
        codec="json",
    ),
}
"""Name → the protocol."""


def start_from(name: str, keys: dict[str, Any]) -> dict[str, Any]:
    """Return a preset's keys, with `keys` in their place.

    Of an `answer`, single keys replace the preset's too, unless it says another end.
    """
    protocol = PRESETS[name].protocol
    merged = {**protocol, **keys}
    answer, own = protocol["answer"], keys.get("answer")
    if own is None:
        merged["answer"] = dict(answer)
    elif isinstance(own, dict) and not any(own.get(ending) is not None for ending in ENDINGS):
        merged["answer"] = {**answer, **own}
    if "refuse" not in merged:
        merged["refuse"] = default_refusal(merged)
    return merged


def default_refusal(protocol: dict[str, Any]) -> str | None:
    """Return what is refused where nothing is said: a newline, if a message is a line."""
    answer = protocol["answer"]
    is_lines = isinstance(answer, dict) and answer.get("lines") is not None
    return NEWLINE if is_lines and protocol["request"] == LINE else None
