"""A worker of one's own: each thing that can be done with it, and every way to give it back."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from processpool import (
    CodecError,
    InvalidLease,
    PoolClosed,
    PoolExhausted,
    ProcessPool,
    ProtocolError,
    UnexpectedEOF,
)
from processpool.core import events
from tests.process.support import Gate, await_exit, core_of, eventually, has_input, pids, states

if TYPE_CHECKING:
    from collections.abc import Callable

PID = "answer(os.getpid())"


class TestTalking:
    def test_send_and_read(self, make_pool: Callable[..., ProcessPool]) -> None:
        with make_pool().lease() as lease:
            lease.send("err('noted'); answer('grüß dich')")
            assert lease.read_stdout() == "grüß dich"
            assert lease.wait(0) == lease.has_stderr
            assert lease.read_stderr() == "noted"
            assert lease.read_stderr() == ""

    def test_it_says_whose_worker_it_is(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        lease = pool.lease()
        assert (lease.worker_id, lease.pid) == (1, pids(pool)[0])
        assert repr(lease) == f"<Lease of worker 1 (pid {lease.pid}), held>"
        lease.release()
        assert repr(lease).endswith(", released>")

    def test_waiting_for_an_answer(self, make_pool: Callable[..., ProcessPool], gate: Gate) -> None:
        with make_pool().lease() as lease:
            assert not lease.wait(0)
            lease.send(f"wait({str(gate.path)!r}); answer('now')")
            assert not lease.wait(0.05)
            assert not lease.has_stdout
            gate.open()
            assert lease.wait()
            assert lease.has_stdout
            assert not lease.has_stderr
            assert lease.read_stdout() == "now"
            assert not lease.has_stdout

    def test_waiting_for_stderr(self, make_pool: Callable[..., ProcessPool], gate: Gate) -> None:
        with make_pool().lease() as lease:
            lease.send(f"err('working'); wait({str(gate.path)!r}); answer()")
            assert lease.wait()
            assert (lease.has_stdout, lease.has_stderr) == (False, True)
            assert lease.read_stderr() == "working"
            gate.open()
            assert lease.read_stdout() == ""

    def test_several_requests_are_answered_in_order(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        with make_pool().lease() as lease:
            for number in range(100):
                lease.send(f"answer({number})")
            assert [lease.read_stdout() for _ in range(100)] == [str(n) for n in range(100)]

    def test_large_messages_both_ways(self, make_pool: Callable[..., ProcessPool]) -> None:
        size = 4 << 20
        with make_pool(["cat"], worker={"protocol": "lines", "codec": "bytes"}).lease() as lease:
            lease.send(b"x" * size)
            assert lease.read_stdout() == b"x" * size

    def test_what_cannot_be_sent_costs_nothing(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(["cat"], worker={"protocol": "lines"})
        with pool.lease() as lease:
            with pytest.raises(CodecError):
                lease.send(7)
            with pytest.raises(ProtocolError):
                lease.send("two\nlines")
            lease.send("fine")
            assert lease.read_stdout() == "fine"
        assert not lease.failed

    def test_an_answer_that_cannot_be_decoded(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        before = pids(pool)
        with pool.lease() as lease:
            lease.send(r"answer(b'\xff')")
            with pytest.raises(CodecError):
                lease.read_stdout()
            lease.send("answer(1)")
            assert lease.read_stdout() == "1"
        assert pids(pool) == before


class TestGetting:
    def test_counts(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(size={"min": 1, "max": 3})
        leases = []
        for running in (1, 2, 3):
            leases.append(pool.lease())
            assert (pool.num_running, pool.num_unassigned) == (running, 0)
        for running, lease in zip((2, 1, 0), leases, strict=True):
            lease.release()
            assert pool.num_running == running
            assert pool.num_unassigned == 3 - running

    def test_at_max_with_a_timeout_of_0(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        with pool.lease(), pytest.raises(PoolExhausted, match=r"within 0 s.* size\.max \(1\)"):
            pool.lease(timeout=0)
        with pool.lease(timeout=0) as lease:
            lease.send("answer(1)")
            assert lease.read_stdout() == "1"

    def test_a_timeout_of_0_may_start_a_worker(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(size={"min": 0, "max": 2})
        with pool.lease(timeout=0) as one, pool.lease(timeout=0) as two:
            assert one.pid != two.pid

    def test_at_max_it_waits(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        first = pool.lease()
        second: Future[int] = Future()

        def take() -> None:
            with pool.lease(timeout=30) as lease:
                second.set_result(lease.pid)

        thread = threading.Thread(target=take)
        thread.start()
        eventually(lambda: core_of(pool).scheduler.assignment.waiters)
        assert not second.done()
        first.release()
        assert second.result(30) == first.pid
        thread.join()

    def test_one_who_waits_is_told_of_the_close(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool()
        pool.lease()
        told: Future[str] = Future()

        def take() -> None:
            try:
                pool.lease()
            except PoolClosed as error:
                told.set_result(str(error))

        thread = threading.Thread(target=take)
        thread.start()
        eventually(lambda: core_of(pool).scheduler.assignment.waiters)
        pool.kill()
        assert "the pool is closed" in told.result(30)
        thread.join()

    def test_a_leased_worker_is_nobody_elses(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(size=2)
        pool.wait_ready()
        with pool.lease() as lease:
            assert str(lease.pid) not in pool.map([PID] * 20)
            assert pool.call(PID) != str(lease.pid)
            assert sorted(states(pool)) == ["idle", "leased"]

    def test_a_dead_worker_is_never_handed_out(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        for _ in range(5):
            victim = pids(pool)[0]
            os.kill(victim, signal.SIGKILL)
            await_exit(victim)
            with pool.lease() as lease:
                lease.send(PID)
                assert lease.read_stdout() == str(lease.pid)
                assert lease.pid != victim

    @pytest.mark.parametrize("use", ["lease", "call"])
    def test_a_worker_with_stray_output_is_never_handed_out(
        self,
        make_pool: Callable[..., ProcessPool],
        caplog: pytest.LogCaptureFixture,
        use: str,
    ) -> None:
        pool = make_pool(
            [
                "sh",
                "-c",
                "while read x; do echo $x; test $x = first && sleep 0.1 && echo stray; done",
            ],
            worker={"protocol": "lines"},
        )
        for _ in range(3):  # its first answers would be held until it awaits input again
            assert pool.call("before") == "before"
        told: list[events.Event] = []
        pool.events(told.append)
        with pool.lease() as lease:
            lease.send("first")
            assert lease.read_stdout() == "first"
        first = lease.pid
        eventually(lambda: has_input(pool, first))
        if use == "lease":
            with pool.lease() as second:
                second.send("second")
                assert second.read_stdout() == "second"
                assert second.pid != first
        else:
            assert pool.call("second") == "second"
        stray = next(event for event in told if isinstance(event, events.WorkerWroteUnasked))
        assert (stray.pid, stray.output) == (first, b"stray\n")
        assert r"wrote b'stray\n'" in caplog.text


class TestGivingBack:
    def test_the_same_worker_goes_on(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        used = set()
        for _ in range(5):
            with pool.lease() as lease:
                lease.send(PID)
                used.add(lease.read_stdout())
        assert len(used) == 1
        assert pool.snapshot().workers[0].handled == 5

    def test_twice(self, make_pool: Callable[..., ProcessPool]) -> None:
        lease = make_pool().lease()
        lease.release()
        again = pytest.raises(InvalidLease, match="this lease was released before")
        for use in (
            lease.release,
            lease.read_stdout,
            lease.read_stderr,
            lease.wait,
            lambda: lease.send("answer()"),
            lambda: lease.has_stdout,
            lambda: lease.has_stderr,
        ):
            with again:
                use()

    def test_leaving_the_with_after_a_release(self, make_pool: Callable[..., ProcessPool]) -> None:
        with make_pool().lease() as lease:
            lease.release()

    def test_unread_answers_never_answer_the_next_request(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool()
        first = pids(pool)
        with pool.lease() as lease:
            lease.send("err('old'); answer('old')")
            lease.send("answer('older')")
        with pool.lease() as lease:
            lease.send("answer('new')")
            assert (lease.read_stdout(), lease.read_stderr()) == ("new", "")
        assert pids(pool) == first

    def test_late_stderr_never_reaches_the_next_request(
        self, make_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = make_pool()
        lease = pool.lease()
        lease.send(f"answer('done'); wait({str(gate.path)!r}); err('late')")
        assert lease.read_stdout() == "done"
        gate.open()
        eventually(lambda: has_input(pool, lease.pid, "stderr"))
        lease.release()
        future = pool.submit("answer('next')")
        assert (future.result(), future.stderr) == ("next", "")

    def test_stderr_that_floods_after_the_answer_blocks_nobody(
        self, make_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = make_pool()
        lease = pool.lease()
        lease.send(f"answer('done'); wait({str(gate.path)!r}); err(b'x' * 1_000_000)")
        assert lease.read_stdout() == "done"
        gate.open()
        eventually(lambda: has_input(pool, lease.pid, "stderr"))
        lease.release()
        assert pool.submit("answer('next')").result(30) == "next"

    def test_a_worker_that_will_not_finish_is_replaced(
        self, make_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = make_pool(timeouts={"exit": 0.2})
        lease = pool.lease()
        lease.send(f"wait({str(gate.path)!r}); answer()")
        gate.await_arrival()
        lease.release()
        await_exit(lease.pid)
        assert pool.call("answer(1)") == "1"

    def test_marked_as_failed(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        lease = pool.lease()
        assert not lease.failed
        lease.mark_failed()
        assert lease.failed
        lease.release()
        await_exit(lease.pid)
        assert pool.call(PID) != str(lease.pid)

    def test_an_exception_in_the_with_does_not_wait(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool(timeouts={"exit": 60})

        def use() -> None:
            with pool.lease() as lease:
                lease.send("time.sleep(60)")
                raise KeyError

        began = time.monotonic()
        with pytest.raises(KeyError):
            use()
        assert time.monotonic() - began < 30
        assert pool.call("answer(1)") == "1"

    def test_dropped_without_a_word(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        pid = pool.lease().pid
        gc.collect()
        await_exit(pid)
        assert pool.call("answer(1)") == "1"

    def test_a_half_read_answer_is_not_clean(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        lease = pool.lease()
        lease.send("raw(b'5;hello7;half')")
        with pytest.raises(ProtocolError, match="answered b'hello', and with that came b'half'"):
            lease.read_stdout()
        lease.release()
        await_exit(lease.pid)
        assert pool.call("answer(1)") == "1"


class TestFailing:
    def test_the_worker_exits_without_an_answer(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool()
        with pool.lease() as lease:
            lease.send("err('reason'); sys.exit(4)")
            with pytest.raises(UnexpectedEOF, match="ended without an answer") as caught:
                lease.read_stdout()
            assert "exited with status 4" in str(caught.value)
            assert lease.read_stderr() == "reason"
            assert lease.failed
            assert lease.wait(0)
        assert pool.call("answer(1)") == "1"

    def test_what_was_printed_before_the_exit_is_still_the_answer(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool()
        with pool.lease() as lease:
            lease.send("answer('last'); err('bye'); sys.exit()")
            assert lease.read_stdout() == "last"
            eventually(lambda: lease.failed)
            assert lease.read_stderr() == "bye"
        assert pool.call("answer(1)") == "1"

    def test_half_an_answer(self, make_pool: Callable[..., ProcessPool]) -> None:
        with make_pool().lease() as lease:
            lease.send("raw(b'10;abc'); sys.exit()")
            with pytest.raises(UnexpectedEOF, match="3 of 10 bytes"):
                lease.read_stdout()

    def test_a_broken_answer(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        with pool.lease() as lease:
            lease.send("raw(b'Warning: x')")
            assert lease.wait(30)
            assert lease.has_stdout
            for _ in range(2):
                with pytest.raises(ProtocolError, match="Warning: x"):
                    lease.read_stdout()
            assert lease.failed
        await_exit(lease.pid)
        assert pool.call("answer(1)") == "1"

    @pytest.mark.parametrize("how", ["kill", "close"])
    def test_the_pool_ends_under_it(self, make_pool: Callable[..., ProcessPool], how: str) -> None:
        pool = make_pool()
        lease = pool.lease()
        lease.send("time.sleep(60)")
        pool.kill() if how == "kill" else pool.close(grace=0)
        assert lease.wait(1)
        assert lease.has_stdout
        with pytest.raises(UnexpectedEOF):
            lease.read_stdout()
        assert lease.failed
        assert isinstance(lease.read_stderr(), str)
        lease.release()

    def test_the_pool_ends_while_it_waits(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        lease = pool.lease()
        lease.send("err('here'); time.sleep(60)")
        assert lease.wait()
        assert lease.read_stderr() == "here"
        threading.Thread(target=pool.kill).start()
        with pytest.raises(UnexpectedEOF):
            lease.read_stdout()
        pool.kill()

    def test_it_cannot_be_sent_to_after_the_pool_has_ended(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool()
        lease = pool.lease()
        pool.kill()
        lease.send("answer()")
        with pytest.raises(UnexpectedEOF):
            lease.read_stdout()

    def test_the_worker_is_killed_from_outside(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        with pool.lease() as lease:
            os.kill(lease.pid, signal.SIGKILL)
            eventually(lambda: lease.failed)
            with pytest.raises(UnexpectedEOF, match="SIGKILL"):
                lease.read_stdout()
        assert pool.call("answer(1)") == "1"


def test_one_that_waits_is_not_forgotten_when_a_timer_goes_off() -> None:
    """The thread that waits drives the pool, so the timer goes off on it, and wakes it in vain."""
    start = 0.5
    declared = {
        "worker": {"kind": "command", "command": ["cat"], "protocol": "lines"},
        "size": {"min": 1, "max": 1},
        "timeouts": {"start": start},
    }
    with ProcessPool.from_dict(declared) as pool, ThreadPoolExecutor(1) as threads:
        opened = time.monotonic()
        pool.pause()
        leasing = threads.submit(pool.lease)
        while time.monotonic() < opened + 2 * start:  # by then the time for the start is over
            time.sleep(0.01)
        pool.resume()
        leasing.result(timeout=20).release()
