"""Every example of the README and of the site is run, page by page, as its reader would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.page import examples

ROOT = Path(__file__).parents[2]


def pages() -> list[str]:
    """The pages that have examples, without those that are made from others."""
    ignored = set((ROOT / ".gitignore").read_text().split())
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    names = [path.relative_to(ROOT).as_posix() for path in found]
    kept = [name for name in names if name not in ignored and not name.startswith("docs/project/")]
    return [name for name in kept if any(True for _ in examples(ROOT / name))]


def run(page: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.docs.page", str(page)], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.mark.parametrize("page", pages())
def test_a_page_does_what_it_says(page: str, tmp_path: Path) -> None:
    done = run(ROOT / page, tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("block", "complaint"),
    [
        ("```python\nprint(1 + 1)  # 3\n```", "should print '3'"),
        ("```python\nraise ValueError('no')\n```", "no"),
        ("```yaml\nworker: {kind: pyton}\n```", "processpool check says"),
        ("```yaml\nsize: {mx: 3}\n```", "did you mean"),
        ("```console\n$ echo a\nb\n```", "should print"),
        ("```console\n$ false\n```", "exited with 1"),
        ("```sh\nexit 3\n```", "exited with 3"),
    ],
)
def test_what_is_wrong_is_found(block: str, complaint: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n\n{block}\n")
    done = run(page, tmp_path)
    assert done.returncode != 0
    assert complaint in done.stdout
    assert f"{page}:3" in done.stdout


def test_files_and_sessions_reach_across_blocks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- file: one.py -->\n```python\nX = 1\n```\n"
        "<!-- needs: no-such-program -->\n```console\n$ no-such-program\n```\n"
        "```python\nfrom one import X\n```\n"
        "```python\nprint(X)  # 1\n```\n"
        "<!-- skip: next -->\n```python\n1 / 0\n```\n"
    )
    done = run(page, tmp_path)
    assert done.returncode == 0, done.stdout
    assert "for lack of no-such-program" in done.stdout
