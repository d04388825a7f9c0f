"""The worker of the command pool benchmarks: answers every message with itself."""

from processpool import serve


def echo(message: object) -> object:
    """Return the message."""
    return message


serve(echo)
