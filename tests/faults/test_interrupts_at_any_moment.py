"""Interrupts between any two instructions: whenever one comes, the pool is whole afterwards.

They come from a timer of the system, at random moments, so a fault shows in one of some hundred or
thousand of them; each test is a program of its own, as a terminal's is. What is asked of a single
Ctrl-C at a chosen moment is in `test_signals_and_time`.
"""

from __future__ import annotations

import json
from textwrap import dedent

import pytest

from tests.faults.conftest import KINDS
from tests.process.support import run_python

PROGRAM = """
    import ctypes, json, os, random, signal, struct, sys, threading, time
    from processpool import ProcessPool

    worker = json.loads(sys.argv[1])
    random.seed(int(sys.argv[2]))
    SIZES = {"worker": worker, "size": {"min": 2, "max": 2}, "queue": {"max_pending": 3}}

    class OutOfTime(TimeoutError):
        pass

    def end(number, frame):
        raise OutOfTime

    signal.signal(signal.SIGALRM, end)
    INTERRUPTS = {signal.SIGINT: KeyboardInterrupt, signal.SIGALRM: OutOfTime}

    class Timer:
        '''One of the system, which sends this process any signal.'''
        libc = ctypes.CDLL(None)

        def __init__(self, number):
            event, self.id = struct.pack("qii48x", 0, number, 0), ctypes.c_void_p()
            assert not self.libc.timer_create(1, event, ctypes.byref(self.id))

        def set(self, first, again=0.0):
            times = [part for t in (again, first) for part in divmod(int(t * 1e9), 10**9)]
            assert not self.libc.timer_settime(self.id, 0, struct.pack("qqqq", *times), None)

    timers = {number: Timer(number) for number in INTERRUPTS}

    def interrupted(action, least, most, again=0.0, number=signal.SIGINT):
        '''True if the action, which must not take long, was interrupted.'''
        began = time.monotonic()
        try:
            try:
                timers[number].set(random.uniform(least, most), again)
                action()
            finally:
                while True:
                    try:
                        timers[number].set(0.0)
                        break
                    except INTERRUPTS[number]:
                        pass
        except INTERRUPTS[number]:
            return True
        finally:
            assert time.monotonic() - began < 10
        return False
"""
USES = """
    from concurrent.futures import as_completed, wait

    def call():
        pool.call("answer(1)")
    def submit():
        pool.submit("answer(1)").result()
    def fill():
        for future in [pool.submit("answer(1)") for _ in range(12)]:
            future.result()
    def map():
        pool.map(["answer(1)"] * 8)
    def imap():
        list(pool.imap(["answer(1)"] * 8))
    def lease():
        with pool.lease() as lease:
            lease.send("answer(1)")
            lease.read_stdout()
    def together():
        futures = [pool.submit("answer(1)") for _ in range(100)]
        list(as_completed(futures))
        wait(futures)
    def cancel():
        future = pool.submit("answer(1)")
        future.cancel() or future.kill()
    def look():
        pool.snapshot()
    def again_and_again():
        while True:
            use()

    use, storm = globals()[sys.argv[3]], float(sys.argv[4])
    number = signal.Signals[sys.argv[5]]
    own = [signal.getsignal(number) for number in INTERRUPTS]
    with ProcessPool.from_dict(SIZES) as pool:
        pool.wait_ready()
        for turn in range(30):
            assert interrupted(again_and_again, 0.0003, 0.004, storm, number)
            if turn % 10 == 9:
                assert pool.drain(20), pool
                with pool.lease(20), pool.lease(20):
                    assert not pool.snapshot().maps
                assert pool.map(["answer(1)"] * 4) == ["1"] * 4
    assert [signal.getsignal(number) for number in INTERRUPTS] == own
    links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    files = [os.readlink(link) for link in links if os.path.exists(link)]
    assert not [file for file in files if file.startswith("/proc/")], files
    print("whole")
"""
OPENING = """
    def left():
        children = 0
        for process in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{process}/stat") as file:
                    children += int(file.read().rpartition(") ")[2].split()[1]) == os.getpid()
            except OSError:
                pass
        threads = [thread.name for thread in threading.enumerate()]
        return children, threads, len(os.listdir("/proc/self/fd"))

    def work():
        with ProcessPool.from_dict(SIZES) as pool:
            pool.map(["answer(1)"] * 20)

    work()
    before, count = left(), 0
    for _ in range(int(sys.argv[3])):
        count += interrupted(work, 0.0003, 0.08, float(sys.argv[4]))
        end = time.monotonic() + 10
        while left() != before:
            assert time.monotonic() < end, (left(), before)
            time.sleep(0.002)
    assert count, "no interrupt came in time"
    print("whole")
"""


def run(kind: str, source: str, *arguments: str) -> None:
    """Run a program, which must come to its end in good order."""
    done = run_python(
        dedent(PROGRAM + source), arguments=[json.dumps(KINDS[kind]), "7", *arguments]
    )
    assert (done.returncode, done.stdout.strip()) == (0, "whole"), done.stderr


@pytest.mark.parametrize(
    "use", ["call", "submit", "fill", "map", "imap", "lease", "cancel", "together", "look"]
)
@pytest.mark.parametrize("signal", ["SIGINT", "SIGALRM"])
def test_one_at_a_time(kind: str, use: str, signal: str) -> None:
    """A Ctrl-C, or the end of a time limit whose handler raises what might be a system's error."""
    run(kind, USES, use, "0", signal)


@pytest.mark.parametrize("use", ["call", "submit", "map"])
def test_many_within_a_moment(kind: str, use: str) -> None:
    run(kind, USES, use, "0.0002", "SIGINT")


@pytest.mark.parametrize("kind", ["foreign", "python"])
@pytest.mark.parametrize("storm", ["0", "0.005"])
def test_while_a_pool_is_opened_or_closed_nothing_is_left(kind: str, storm: str) -> None:
    run(kind, OPENING, "25", storm)


def test_handlers_of_signals_are_as_before(kind: str) -> None:
    """Of asyncio, of a library that saves and restores them, and of one that is set meanwhile."""
    run(
        kind,
        """
    with ProcessPool.from_dict(SIZES) as pool:
        def handlers():
            return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        before = handlers()
        pool.call("answer(1)")
        pool.submit("answer(1)").result()
        next(iter(pool.imap(["answer(1)"] * 8)))
        assert handlers() == before
        def mine(number, frame):
            raise RuntimeError("mine")
        for use in pool.call, lambda item: pool.map([item]):
            saved = signal.signal(signal.SIGINT, mine)
            use("answer(1)")
            try:
                signal.raise_signal(signal.SIGINT)
            except RuntimeError as error:
                assert str(error) == "mine"
            signal.signal(signal.SIGINT, saved)
            use("answer(1)")
            assert handlers() == before
            assert interrupted(lambda: time.sleep(5), 0.01, 0.01)
    print("whole")
        """,
    )


@pytest.mark.parametrize("use", ["call", "submit", "map"])
@pytest.mark.parametrize("number", ["SIGTERM", "SIGALRM"])
def test_a_handler_of_a_signal_may_close_the_pool(kind: str, number: str, use: str) -> None:
    """Wherever it finds the main thread, which may be in the middle of something."""
    run(
        kind,
        f"""
    from concurrent.futures import CancelledError
    from processpool import PoolClosed, WorkerDied

    uses = {{
        "call": lambda: pool.call("answer(1)"),
        "submit": lambda: pool.submit("answer(1)").result(),
        "map": lambda: pool.map(["answer(1)"] * 8),
    }}
    number = signal.{number}
    for _ in range(8):
        pool = ProcessPool.from_dict(SIZES).open()
        signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(number))
        signal.signal(number, lambda *_: pool.close(0))
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0003, 0.01))
        try:
            while True:
                uses[{use!r}]()
        except (PoolClosed, CancelledError, WorkerDied):
            pass
        pool.close()
    print("whole")
        """,
    )


@pytest.mark.parametrize("how", ["handler", "finaliser"])
def test_whoever_comes_in_between_may_submit_and_look(kind: str, how: str) -> None:
    """A signal's handler, or what the garbage collector calls, in the middle of something."""
    run(
        kind,
        f"""
    import gc

    class Node:
        def __init__(self):
            self.itself = self
        def __del__(self):
            use()
    def use(*_):
        pool.snapshot()
        futures.append(pool.submit("answer(7)"))
        if {how!r} == "handler" and looking:
            signal.setitimer(signal.ITIMER_REAL, 0.003)  # none comes within another one

    futures, messages, looking = [], [f"answer({{n}})" for n in range(50)], True
    with ProcessPool.from_dict({{"worker": worker, "size": {{"min": 3, "max": 3}}}}) as pool:
        pool.wait_ready()
        if {how!r} == "handler":
            signal.signal(signal.SIGALRM, use)
            signal.setitimer(signal.ITIMER_REAL, 0.001)
        else:
            gc.set_threshold(100, 5, 5)
        for _ in range(300):
            assert pool.map(messages) == [str(n) for n in range(50)]
            if {how!r} == "finaliser":
                Node()
        looking = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert futures
        assert {{future.result(30) for future in futures}} == {{"7"}}
    print("whole")
        """,
    )


def test_a_handler_that_is_put_back_later_is_the_one_it_was(kind: str) -> None:
    """It may have been taken where the pool had another one in its place."""
    run(
        kind,
        """
    def other(number, frame):
        heard.append(number)

    def replace(future):
        taken.append(signal.signal(signal.SIGINT, other))

    heard, taken = [], []
    with ProcessPool.from_dict(SIZES) as pool:
        pool.wait_ready()
        pool.pause()
        future = pool.submit("answer(1)")
        future.add_done_callback(replace)
        future.cancel()
        pool.resume()
        signal.raise_signal(signal.SIGINT)
        pool.call("answer(1)")
        assert heard == [signal.SIGINT] and len(taken) == 1
        signal.signal(signal.SIGINT, taken.pop())
        for again in range(2):
            try:
                signal.raise_signal(signal.SIGINT)
                raise SystemExit("it was not heard")
            except KeyboardInterrupt:
                pass
            assert interrupted(lambda: pool.call("time.sleep(5); answer(1)"), 0.1, 0.2)
        assert pool.call("answer(1)") == "1"
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    print("whole")
        """,
    )


def test_a_callback_may_set_itself_a_time_limit(kind: str) -> None:
    run(
        kind,
        """
    def limit(future):
        for again in range(2):
            try:
                timers[signal.SIGALRM].set(0.05)
                time.sleep(5)
            except OutOfTime:
                ended.append(again)

    ended = []
    with ProcessPool.from_dict(SIZES) as pool:
        pool.pause()
        future = pool.submit("answer(1)")
        future.add_done_callback(limit)
        future.cancel()
        assert ended == [0, 1]
        pool.resume()
        assert pool.call("answer(1)") == "1"
    print("whole")
        """,
    )


UNSEEN = """
    def lease():
        with pool.lease() as lease:
            lease.send("time.sleep(60); answer(1)")
            lease.read_stdout()
    ways = {
        "call": lambda: pool.call("time.sleep(60); answer(1)"),
        "submit": lambda: pool.submit("time.sleep(60); answer(1)").result(),
        "map": lambda: pool.map(["time.sleep(60); answer(1)"]),
        "lease": lease,
        "drain": lambda: pool.submit("time.sleep(60); answer(1)") and pool.drain(),
    }

    def to_another_thread():
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    with ProcessPool.from_dict(SIZES) as pool:
        pool.wait_ready()
        timer = threading.Timer(0.3, to_another_thread)
        timer.start()
        began = time.monotonic()
        try:
            ways[sys.argv[3]]()
        except KeyboardInterrupt:
            assert time.monotonic() - began < 30
            timer.join()
            assert pool.call("answer(1)") == "1"
            pool.kill()
            print("whole")
"""


@pytest.mark.parametrize("way", ["call", "submit", "map", "lease", "drain"])
def test_one_that_no_wait_has_felt(kind: str, way: str) -> None:
    """As it is when it comes right before a wait, or reaches another thread."""
    run(kind, UNSEEN, way)
