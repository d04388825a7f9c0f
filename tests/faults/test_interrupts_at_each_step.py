"""An interrupt at each step of a request: none is swallowed, and the pool is whole afterwards.

A step is where Python may call a signal's handler: where a function begins, and after each call. So
this finds for certain what `test_interrupts_at_any_moment` finds by chance. The handler raises what
might be a system's error, as those of time limits do.
"""

from __future__ import annotations

import json

import pytest

from tests.faults.conftest import KINDS
from tests.process.support import run_python

PROGRAM = """
    import inspect, json, signal, sys
    from processpool import ProcessPool

    class OutOfTime(TimeoutError):
        pass

    def end(number, frame):
        raise OutOfTime

    def lease():
        with pool.lease() as lease:
            lease.send(message)
            lease.read_stdout()

    message, answer = json.loads(sys.argv[3])
    uses = {
        "call": lambda: pool.call(message),
        "submit": lambda: pool.submit(message).result(),
        "map": lambda: pool.map([message] * 3),
        "imap": lambda: list(pool.imap([message] * 3)),
        "lease": lease,
        "look": lambda: pool.snapshot(),
    }

    def step_by_step(use, interrupted=None):
        '''Do it; return its steps. At the one that is given, a signal comes.'''
        steps = {}

        def follow(frame, event, argument):
            code = frame.f_code
            step = event, code.co_filename, frame.f_lineno
            if "processpool" not in code.co_filename or event == "c_call" or step in steps:
                return
            if code.co_name == "__del__":  # what is raised there, Python ignores
                return
            if event == "return" and code.co_flags & inspect.CO_GENERATOR:
                return  # perhaps it yields: there no signal is looked at
            steps[step] = True
            if step == interrupted:
                signal.raise_signal(signal.SIGALRM)

        sys.setprofile(follow)
        try:
            use()
        finally:
            sys.setprofile(None)
        return steps

    signal.signal(signal.SIGALRM, end)
    worker, use = json.loads(sys.argv[1]), uses[sys.argv[2]]
    declared = {"worker": worker, "size": {"min": 2, "max": 2}}
    with ProcessPool.from_dict(declared) as pool:
        pool.wait_ready()
        steps = step_by_step(use)
    assert len(steps) > 20, steps
    swallowed, met = [], 0
    for step in steps:
        with ProcessPool.from_dict(declared) as pool:  # the first use has more steps than others
            pool.wait_ready()
            try:
                if step in step_by_step(use, step):
                    swallowed.append(step)
            except OutOfTime:
                met += 1
            assert not pool.snapshot().maps, step
            assert pool.map([message] * 4) == [answer] * 4, step
    assert not swallowed, swallowed
    assert met > len(steps) / 2, (met, len(steps))  # others differ from one time to the next
    print("whole")
"""


CAT = {"kind": "command", "command": ["cat"], "protocol": "lines"}
USES = [
    "call",
    "submit",
    "look",
    pytest.param("map", marks=pytest.mark.slow),
    pytest.param("imap", marks=pytest.mark.slow),
    pytest.param("lease", marks=pytest.mark.slow),
]


def run(worker: object, use: str, *exchange: str) -> None:
    """Run the program; a pool of its own for each step takes a while."""
    arguments = [json.dumps(worker), use, json.dumps(exchange)]
    done = run_python(PROGRAM, arguments=arguments, timeout=600)
    assert (done.returncode, done.stdout.strip()) == (0, "whole"), done.stderr


@pytest.mark.parametrize("use", USES)
def test_of_a_program(use: str) -> None:
    run(CAT, use, "x", "x")


@pytest.mark.slow
@pytest.mark.timeout(700)
@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("kind", ["serve", "python"])
def test_of_each_other_kind(kind: str, use: str) -> None:
    run(KINDS[kind], use, "answer(1)", "1")


BEFORE_THE_END = """
    import signal, sys
    from processpool import ProcessPool

    class OutOfTime(TimeoutError):
        pass

    def end(number, frame):
        raise OutOfTime

    def follow(frame, event, argument):
        code = frame.f_code
        if event == "call" and code.co_name == "__exit__" and "/api/maps" in code.co_filename:
            signal.raise_signal(signal.SIGALRM)

    signal.signal(signal.SIGALRM, end)
    with ProcessPool(command=["cat"], protocol="lines", max_workers=2) as pool:
        pool.wait_ready()
        sys.setprofile(follow)
        try:
            list(getattr(pool, sys.argv[1])(["x"] * 3))
        except OutOfTime:
            sys.setprofile(None)
            assert not pool.snapshot().maps, pool.snapshot().maps
            print("whole")
"""


@pytest.mark.parametrize("use", ["map", "imap", "imap_unordered"])
def test_right_before_a_map_says_that_it_has_ended(use: str) -> None:
    done = run_python(BEFORE_THE_END, arguments=[use])
    assert (done.returncode, done.stdout.strip()) == (0, "whole"), done.stderr
