"""What the workers of the stress test do: they note each item in the ledger, then do as it says.

A message is `number act`. The note is written before the act, so an item that ran has one, whatever
became of it, and an item that ran twice has two.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from tests.stress.ledger import LEDGER_VARIABLE, NOTE, answer_to

_ledger = os.open(os.environ[LEDGER_VARIABLE], os.O_WRONLY | os.O_APPEND)


def handle(message: str) -> str:
    """Do one item."""
    number, act = message.split()
    os.write(_ledger, NOTE.pack(int(number)))
    match act:
        case "slow":
            time.sleep(0.003)
        case "print":
            print("noise", file=sys.stderr)
        case "raise":
            raise ValueError(number)
        case "exit":
            os._exit(3)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "segv":
            os.kill(os.getpid(), signal.SIGSEGV)
    return answer_to(message)


if __name__ == "__main__":
    from processpool import serve

    serve(handle)
