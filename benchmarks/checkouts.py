"""Other states of the package: where to import `processpool` from, to measure it as it was."""

from __future__ import annotations

import atexit
import compileall
import subprocess
import tempfile
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def find(where: str) -> Path:
    """The folder to import the package from.

    Args:
        where: a checkout, its `src` folder, or a commit of this repository.

    Raises:
        LookupError: it is none of these.
    """
    for folder in (Path(where), Path(where) / "src"):
        if (folder / "processpool" / "__init__.py").is_file():
            return compiled(folder.resolve())
    return at_commit(where)


@cache
def at_commit(commit: str) -> Path:
    """The sources as they were at a commit, unpacked until this process ends.

    Raises:
        LookupError: this is no repository, or the commit is not in it.
    """
    archive = subprocess.run(
        ["git", "archive", commit, "src"], cwd=ROOT, capture_output=True, check=False
    )
    if archive.returncode:
        raise LookupError(f"{commit} is neither a folder with processpool nor a commit")
    unpacked = tempfile.TemporaryDirectory()
    atexit.register(unpacked.cleanup)
    subprocess.run(["tar", "-x", "-C", unpacked.name], input=archive.stdout, check=True)
    return compiled(Path(unpacked.name) / "src")


def compiled(folder: Path) -> Path:
    """The folder, with the bytecode of its modules written, as installing a package does.

    Where the environment forbids to write bytecode, a worker would compile the package at every
    start, and so would every peer's that lies in a checkout.
    """
    compileall.compile_dir(folder, quiet=1)
    return folder
