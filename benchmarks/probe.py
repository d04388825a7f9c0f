"""The process in which one measurement runs: `python -m benchmarks.probe module:function JSON`.

It imports next to nothing itself, because a spawned worker imports the main module again.
"""


def main() -> None:
    """Run the named function and print its figures, or why it has none, as the last line."""
    import json
    import sys
    from importlib import import_module

    module, _, function = sys.argv[1].partition(":")
    options = json.loads(sys.argv[2])
    try:
        answer = {"figures": getattr(import_module(module), function)(**options)}
    except Exception as error:
        answer = {"failed": _reason(error)}
    print("\nPROBE " + json.dumps(answer), flush=True)


def _reason(error: Exception) -> str:
    first_line = (str(error) or "no message").splitlines()[0]
    kind = type(error).__name__
    if isinstance(error, (ImportError, NotImplementedError)):
        return f"not available ({first_line})"
    return f"failed: {kind}: {first_line}"


if __name__ == "__main__":
    main()
