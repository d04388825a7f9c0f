"""What importing the package costs."""

from __future__ import annotations

import pytest

from tests.process.support import run_python

USES = {
    "the pool": "import processpool; processpool.ProcessPool",
    "serve": "from processpool import serve",
    "an executor": "from processpool import ProcessPoolExecutor",
    "multiprocessing's pool": "from processpool import Pool",
}

API = (
    ".asking", ".late", ".leaves", ".life", ".mapping", ".pool", ".watched",
)  # fmt: skip


@pytest.mark.parametrize("use", USES)
def test_what_is_slow_to_import_waits_until_it_is_used(use: str) -> None:
    slow = ("pydantic", "yaml", "ipywidgets", "psutil", "cloudpickle", "tqdm", "joblib", "click")
    done = run_python(f"""
        {USES[use]}
        import sys
        print([name for name in {slow} if name in sys.modules])
        """)
    assert done.stdout == "[]\n", done.stderr


def test_the_pools_class_is_imported_alone() -> None:
    """What pools are made of is imported with the first pool."""
    done = run_python("""
        import sys
        before = set(sys.modules)
        import processpool
        processpool.ProcessPool
        new = set(sys.modules) - before
        print(*sorted(name for name in new if name.startswith("processpool")))
        slow = {"asyncio", "concurrent", "dataclasses", "inspect", "json", "logging", "typing"}
        print(*sorted(new & slow))
        """)
    ours, slow = done.stdout.split("\n")[:2]
    assert ours.split() == [
        "processpool",
        *(f"processpool.api{name}" for name in ("", *API)),
        *(f"processpool.system{name}" for name in ("", ".interrupts", ".platform")),
    ], done.stderr
    assert slow == ""


def test_it_costs_no_more_than_the_standard_librarys() -> None:
    """By CPU time, of which it takes little more than half."""
    done = run_python("""
        import os, resource, subprocess, sys

        def used():
            usage = resource.getrusage(resource.RUSAGE_CHILDREN)
            return usage.ru_utime + usage.ru_stime

        def best(code):
            times = []
            for _ in range(7):
                before = used()
                subprocess.run([sys.executable, "-c", code], check=True)
                times.append(used() - before)
            return min(times)

        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        bare = best("pass")
        ours = best("import processpool; processpool.ProcessPool") - bare
        theirs = best("import concurrent.futures.process") - bare
        print(ours / theirs)
        """)
    assert float(done.stdout) < 1, done.stderr
