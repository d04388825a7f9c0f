"""Ways to make a program say a mark, by language: what is tried where no end can be seen.

Data only. What goes with a language besides, such as what its errors look like, is in its preset.
"""

from __future__ import annotations

from typing import NamedTuple


class Idiom(NamedTuple):
    """One way.

    Attributes:
        text: what is sent behind a message; `{mark}` is the mark.
        language: whose it is.
        preset: the protocol whose errors look alike; empty for none.
        before: what stands between the message and the text.
    """

    text: str
    language: str
    preset: str = ""
    before: str = "\n"


IDIOMS = (
    Idiom("echo {mark}", "shells"),
    Idiom('print "{mark}\\n"', "bc", "bc"),
    Idiom("echo {mark}\\n", "gdb"),
    Idiom("[{mark}\n]P", "dc", "dc"),
    Idiom('(echo "{mark}")', "SMT-LIB", "smtlib"),
    Idiom(".print {mark}", "the shells of sqlite and duckdb", "sql-shell", ";\n"),
    Idiom("puts {mark}; flush stdout", "Tcl", "tcl"),
    Idiom('print("{mark}", flush=True)', "Python", "python", "\n\n"),
    Idiom('print("{mark}")', "Lua, PARI and others", "gp"),
    Idiom('cat("{mark}\\n")', "R", "r"),
    Idiom("disp('{mark}')", "Octave", "octave"),
    Idiom('console.log("{mark}")', "JavaScript", "node"),
    Idiom('echo "{mark}\\n";', "PHP"),
    Idiom('Print("{mark}\\n");', "GAP", "gap"),
    Idiom('print("{mark}")$', "Maxima", "maxima"),
    Idiom('print "{mark}"', "gnuplot, calc", "gnuplot"),
    Idiom("({mark}) = flush", "PostScript", "ghostscript"),
    Idiom("writeln('{mark}').", "Prolog", "prolog"),
    Idiom('print_endline "{mark}";;', "OCaml", "ocaml", ";;\n"),
    Idiom('puts "{mark}"; $stdout.flush', "Ruby"),
    Idiom('puts "{mark}"', "Tcl and Ruby without a flush"),
    Idiom('(begin (display "{mark}") (newline))', "Scheme"),
    Idiom('(progn (format t "{mark}~%") (finish-output))', "Common Lisp"),
    Idiom('(println "{mark}")', "newLISP"),
    Idiom('(prinl "{mark}")', "PicoLisp"),
    Idiom('(print "{mark}")', "Janet and other Lisps"),
    Idiom(".( {mark}) cr", "Forth"),
    Idiom('printf("{mark}\\n")', "calc, nickle and others of the family of C"),
    Idiom('Echo("{mark}")', "Yacas"),
    Idiom("write('{mark}'), nl.", "Prolog"),
    Idiom('PRINT "{mark}"', "BASIC"),
    Idiom("'{mark}'", "APL, and languages that show every value"),
)
"""In the order in which they are tried."""
BETWEEN = (";\n", ";;\n", ".\n")
"""What else may stand between a message and a mark: a message may lack its end."""

SPOKEN = ("uci", "assuan", "gdb-mi", "mecab")
"""Presets that are tried on programs whose names are not known."""
REQUESTS = {
    "1;{length}\n{message}": "framed",
    "{u32be}{message}": "four bytes of length, big-endian",
    "{u32le}{message}": "four bytes of length, little-endian",
    "{varint}{message}": "a varint of length",
    "{message}\0": "a NUL at the end",
}
"""Other ways to end a request than with a newline."""

EXITS = ("quit\n", "exit\n", "exit()\n", ":q\n", "bye\n")
"""Words by which programs are left that do not end with their input."""
BAD = "%%nonsense%%"
"""A message that most programs do not understand, and that leaves nothing open."""
