"""The protocols of interactive programs that can print a given text, the mark of a request."""

from __future__ import annotations

from processpool.wire.framing.preset import Preset

_ERROR_LINE = r"^(?:\w+ )*[Ee]rror\b"
_NODE = 'require("repl").start({prompt:"",terminal:false,ignoreUndefined:true})'
_PYTHON = "import sys; sys.ps1 = sys.ps2 = ''"
_MARKED = {"until": "{mark}\n"}

PROMPTS: dict[str, Preset] = {
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
            "request": "{message}\n;\n.print {mark}\n",
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
        (
            "octave-cli",
            "--quiet",
            "--no-history",
            "--interactive",
            "--persist",
            "--eval",
            "PS1('');PS2('')",
        ),
        "GNU Octave; variables stay from message to message",
        ("octave", "octave-cli"),
    ),
    "maxima": Preset(
        {
            "request": '{message}\nprint("{mark}")$\n',
            "answer": {"until": "{mark} \n"},
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
        ("tclsh",),
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
            "refuse": r"^[^\n{]*\bawait\b",
            "answer": _MARKED,
            "error": "^Uncaught",
        },
        ("node", "-e", _NODE),
        "a Node prompt",
        ("node", "nodejs"),
        note="an open bracket or quote swallows the mark: set timeouts.request; await outside of "
        "a function is refused, since Node says the mark before what is awaited",
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
}
"""The presets of this module, by name."""
