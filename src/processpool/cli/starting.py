"""`processpool init`: a YAML file to start from."""

from __future__ import annotations

from pathlib import Path

from processpool.errors import ConfigError

_FILE = """\
# A pool of workers. Try it:  seq 5 | processpool run {name}.yaml
# What else there is:         processpool schema, or the documentation's page "The YAML file"
name: {name}

worker:
  # Any program that answers a line with a line ...
  kind: command
  command: [sed, --unbuffered, "s/^/answer to /"]
  protocol: lines
  # ... or a Python function, which gets each line as a str:
  # kind: python
  # handler: my_module:my_function    # in a file my_module.py beside this one
  # path: [.]

  # env: {{TOKEN: "${{TOKEN:-}}"}}        # variables of the workers; their values never show

size:
  min: 1                # workers that are always there
  max: 4                # workers at most, when there is enough to do

timeouts:
  request: 1m           # the longest that one item may take; its worker is replaced then

# retry: {{attempts: 2, on: [crash, timeout]}}    # give an item a second try
# recycle: {{after_requests: 1000}}               # replace a worker after so many items
# limits: {{memory: 1GiB}}                        # what one worker may use
"""


def write_file(name: str | None) -> Path:
    """Write a commented YAML file that works, and return where it is.

    Raises:
        ConfigError: there is one already, or it cannot be written.
    """
    path = Path(name or "pool")
    if path.suffix not in (".yaml", ".yml"):
        path = path.with_name(path.name + ".yaml")
    try:
        with path.open("x") as file:
            file.write(_FILE.format(name=path.stem))
    except FileExistsError:
        raise ConfigError(f"{path} is there already; name another one") from None
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from None
    return path
