"""The fixture `processpool`, in test suites of its own, as users have them."""

from __future__ import annotations

from pathlib import Path

import pytest

PLUGIN = "processpool.pytest_plugin"  # also the name of the entry point, so that it loads once
PRELUDE = "import os, signal, subprocess, sys\n"


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # a dozen that no suite here needs
    pytester.makeini("[pytest]\naddopts = -p no:cacheprovider\n")
    return pytester


def run(suite: pytest.Pytester, source: str) -> pytest.RunResult:
    suite.makepyfile(PRELUDE + source)
    return suite.runpytest_subprocess("-p", PLUGIN)


def test_it_makes_pools_that_are_closed_at_the_end(suite: pytest.Pytester) -> None:
    (suite.path / "pool.yaml").write_text(
        "worker: {kind: command, command: [cat], protocol: lines}"
    )
    done = run(
        suite,
        """
def test_one(processpool):
    pool = processpool(max_workers=1)
    assert pool.map(abs, [-1]) == [1]

def test_another(processpool):
    assert processpool.from_yaml("pool.yaml").call("a") == "a"
    assert processpool.from_dict({"worker": {"kind": "python"}}).call(abs, -2) == 2
""",
    )
    done.assert_outcomes(passed=2)


@pytest.mark.parametrize(
    "leave",
    [
        "subprocess.Popen(['sleep', '60'])",
        "subprocess.Popen(['sh', '-c', 'sleep 60; true'])",
        "ProcessPool(max_workers=1).open()",
    ],
    ids=["child", "grandchild", "pool"],
)
def test_what_is_left_fails_the_test_and_is_killed(suite: pytest.Pytester, leave: str) -> None:
    done = run(
        suite,
        f"""
from processpool import ProcessPool

KEPT = []

def test_it(processpool):
    KEPT.append({leave})

def test_the_next(processpool):
    pass
""",
    )
    done.assert_outcomes(passed=2, errors=1)
    done.stdout.fnmatch_lines(["*processes were left behind, and are killed now:*"])
    named = [line.partition(":")[0].strip() for line in done.outlines if line.startswith("  ")]
    pids = [name for name in named if name.isdigit()]
    assert ("  pool 'pool' was not closed" in done.outlines) is ("ProcessPool" in leave)
    assert pids
    assert not any(Path(f"/proc/{pid}/exe").exists() for pid in pids)


def test_what_was_there_before_is_no_fault_of_the_test(suite: pytest.Pytester) -> None:
    done = run(
        suite,
        """
import pytest

@pytest.fixture(scope="module")
def server():
    process = subprocess.Popen(["sleep", "60"])
    yield
    process.kill()
    process.wait()

def test_it(server, processpool):
    assert subprocess.run(["true"]).returncode == 0
""",
    )
    done.assert_outcomes(passed=1)


def test_a_process_that_is_about_to_end_is_awaited(suite: pytest.Pytester) -> None:
    done = run(
        suite,
        """
def test_it(processpool):
    reader, writer = os.pipe()
    process = subprocess.Popen(["cat"], stdin=reader)
    os.close(reader)
    os.close(writer)  # now it ends, soon
""",
    )
    done.assert_outcomes(passed=1)


def test_tests_without_the_fixture_pay_nothing(suite: pytest.Pytester) -> None:
    done = run(
        suite,
        """
def test_it():
    heavy = {"pydantic", "yaml", "psutil", "processpool.api", "processpool.engine"}
    assert not heavy & set(sys.modules)
""",
    )
    done.assert_outcomes(passed=1)
