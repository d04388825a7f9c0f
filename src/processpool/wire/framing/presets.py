r"""The protocols of well-known programs, as data, each with an example command.

Two rules hold here. A preset contains nothing but keys that a YAML file could have itself, so a
file that starts from it can replace any of them. And if a program keeps state between requests, or
a message could inject a second request, the preset prevents that as far as the program allows; what
it cannot prevent is in its `note`.
"""

from __future__ import annotations

from typing import Any

from processpool.wire.framing.declaration import ENDINGS, LINE, NEWLINE
from processpool.wire.framing.preset import Preset
from processpool.wire.framing.prompts import PROMPTS

__all__ = ["PRESETS", "Preset", "start_from"]

_GIT = r"[^\n]* (?:missing|ambiguous)\n|\S+ \S+ (\d+)\n"

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
            "refuse": r"(?i)^\s*(?:#\[CSTR\]\s*)?-(?:execute|stay_open)",
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
            "refuse": r"^\s*go\b[^\n]*\n(?:[^\n]*\n)*\s*go\b",
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
    "jsonrpc": Preset(
        {"over": "lines"},
        ("./server",),
        "JSON-RPC 2.0; a message has method and params, an answer is the result",
        codec="json",
    ),
    "lsp": Preset(
        {
            "over": "content-length",
            "initialize": {"processId": None, "rootUri": None, "capabilities": {}},
        },
        ("clangd",),
        "language servers",
        ("clangd", "pylsp", "pyright-langserver", "gopls", "rust-analyzer"),
        codec="json",
    ),
    "mcp": Preset(
        {
            "over": "lines",
            "initialize": {
                "protocolVersion": "2024-11-05",
                "capabilities": {},
                "clientInfo": {"name": "processpool", "version": "0"},
            },
            "initialized": "notifications/initialized",
            "cancel": "notifications/cancelled",
        },
        ("mcp-server-time",),
        "servers of the Model Context Protocol; tools/call calls a tool",
        codec="json",
    ),
    "oneshot": Preset(
        {"request": "{message}"},
        ("tidy", "-q"),
        "a process for each message, started before it comes; its input is the message, its output "
        "the answer",
        ("tidy", "Rscript"),
        note="an exit status other than 0 is an error; with {message} in the command, the message "
        "is an argument instead",
    ),
    **PROMPTS,
}
"""All presets, by name."""


def start_from(name: str, keys: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of a preset, replaced by those in `keys`.

    The keys inside `answer` are merged too, unless `keys` declare another end of an answer.
    """
    protocol = PRESETS[name].protocol
    merged = {**protocol, **keys}
    if "answer" not in protocol:  # JSON-RPC and oneshot have answers of their own
        return merged
    answer, own = protocol["answer"], keys.get("answer")
    if own is None:
        merged["answer"] = dict(answer)
    elif isinstance(own, dict) and not any(own.get(ending) is not None for ending in ENDINGS):
        merged["answer"] = {**answer, **own}
    if "refuse" not in merged:
        merged["refuse"] = default_refusal(merged)
    return merged


def default_refusal(protocol: dict[str, Any]) -> str | None:
    """Return the default of `refuse`: a newline, if a request is a line and an answer is lines."""
    answer = protocol["answer"]
    is_lines = isinstance(answer, dict) and answer.get("lines") is not None
    return NEWLINE if is_lines and protocol["request"] == LINE else None
