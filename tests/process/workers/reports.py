"""A handler under `serve` that notes what it begins, and does what a message says."""

import json
import os
import subprocess
import sys
import time

import processpool
from processpool import current_worker, serve


def note(message: str) -> None:
    """Add a line to the log, if there is one: one write, so that nothing comes in between."""
    path = os.environ.get("RUNS")
    if path:
        with open(path, "ab", buffering=0) as log:
            log.write(f"{message}\n".encode())


def handle(message: str) -> object:
    verb, _, rest = message.partition(" ")
    note(message)
    match verb:
        case "raise":
            print("printed")
            print("written to stderr", file=sys.stderr)
            raise ValueError(rest)
        case "code":
            return [int(rest), object()]
        case "retire":
            raise processpool.Retire(rest)
        case "retire-unless":
            if os.environ["PROCESSPOOL_WORKER"] != rest:
                raise processpool.Retire("not the one")
            return os.environ["PROCESSPOOL_WORKER"]
        case "gate":
            with open(rest) as gate:
                gate.read()
        case "sleep":
            time.sleep(float(rest))
        case "pid":
            return str(os.getpid())
        case "die":
            os._exit(int(rest))
        case "err":
            print(message, file=sys.stderr)
        case "child-err":
            subprocess.run(["sh", "-c", f"echo {message} >&2; {rest}"], check=True)
        case "who":
            me = current_worker()
            assert me is not None
            return [me.item, me.attempt]
        case "close":
            for fd in os.listdir("/proc/self/fd"):
                link = f"/proc/self/fd/{fd}"
                if os.path.exists(link) and os.readlink(link).startswith("socket:"):
                    os.close(int(fd))
        case "fork":
            if not os.fork():
                raise OSError("in the child")
            os.wait()
    return message


if __name__ == "__main__":
    serve(handle, **json.loads(os.environ.get("SERVE", "{}")))
