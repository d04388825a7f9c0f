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


@pytest.mark.parametrize("use", USES)
def test_what_is_slow_to_import_waits_until_it_is_used(use: str) -> None:
    slow = ("pydantic", "yaml", "ipywidgets", "psutil", "cloudpickle", "tqdm", "joblib", "typer")
    done = run_python(f"""
        {USES[use]}
        import sys
        print([name for name in {slow} if name in sys.modules])
        """)
    assert done.stdout == "[]\n", done.stderr


def test_it_costs_little_more_than_the_standard_librarys() -> None:
    """Generously: it is measured on a loaded machine, where it varies."""
    done = run_python("""
        import subprocess, sys, time

        def best(code):
            times = []
            for _ in range(7):
                began = time.perf_counter()
                subprocess.run([sys.executable, "-c", code], check=True)
                times.append(time.perf_counter() - began)
            return min(times)

        bare = best("pass")
        ours = best("import processpool; processpool.ProcessPool") - bare
        theirs = best("import concurrent.futures.process") - bare
        print(ours / theirs)
        """)
    assert float(done.stdout) < 8, done.stderr
