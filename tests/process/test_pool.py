"""The pool on real processes: one request at a time, growing and shrinking, steering, looking."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
from concurrent.futures import CancelledError, Future, wait
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from processpool import (
    CodecError,
    PoolBroken,
    PoolClosed,
    ProcessPool,
    ProtocolError,
    QueueFull,
    RequestTimeout,
    WorkerDied,
    WorkerStartFailed,
)
from processpool.core import events
from tests.process.support import (
    PUPPET,
    Gate,
    await_exit,
    eventually,
    pids,
    run_python,
    states,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


MakePool = "Callable[..., ProcessPool]"
PID = "answer(os.getpid())"


class TestRequests:
    def test_call(self, make_pool: Callable[..., ProcessPool]) -> None:
        assert make_pool().call("answer('grüß dich')") == "grüß dich"

    def test_submit(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        future = pool.submit("err('a note'); answer('yes')")
        assert future.result() == "yes"
        assert (future.stdout, future.stderr) == ("yes", "a note")

    def test_the_record_of_a_request(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        future = pool.submit("answer(1)")
        assert future.result() == "1"
        record = future.record
        assert record is not None
        assert record.ok
        assert (record.value, record.worker_id, record.pid) == ("1", 1, pids(pool)[0])
        assert (record.index, record.attempts) == (0, 1)
        assert record.queued >= 0
        assert record.seconds > 0

    def test_without_an_answer_there_is_no_record(
        self, make_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        future = make_pool().submit(f"wait({str(gate.path)!r}); answer()")
        assert (future.record, future.stdout, future.stderr) == (None, "", "")
        gate.open()
        assert future.result() == ""

    def test_many_submits_one_worker_all_in_order(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool()
        futures = [pool.submit(f"answer({n})") for n in range(300)]
        assert [future.result() for future in futures] == [str(n) for n in range(300)]

    def test_call_works_beside_a_busy_queue(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        futures = [pool.submit(f"answer({n})") for n in range(50)]
        assert pool.call("answer('mine')") == "mine"
        assert [future.result() for future in futures] == [str(n) for n in range(50)]

    def test_a_failed_call_carries_its_record(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        pid = pids(pool)[0]
        with pytest.raises(WorkerDied) as caught:
            pool.call("err('my last words'); die()")
        record = caught.value.record
        assert record is not None
        assert (record.pid, record.worker_id, record.stderr) == (pid, 1, "my last words")
        assert record.error is caught.value

    @pytest.mark.parametrize("way", ["call", "submit"])
    def test_a_request_that_takes_too_long(
        self, make_pool: Callable[..., ProcessPool], gate: Gate, way: str
    ) -> None:
        pool = make_pool(timeouts={"request": 0.1})
        first = pids(pool)
        message = f"err('here'); wait({str(gate.path)!r})"
        with pytest.raises(RequestTimeout, match=r"did not answer within 0\.\d+ s") as caught:
            pool.call(message) if way == "call" else pool.submit(message).result()
        assert isinstance(caught.value, TimeoutError)
        assert caught.value.record is not None
        assert caught.value.record.stderr == "here"
        assert int(pool.submit(PID).result()) not in first

    def test_waiting_in_the_queue_is_not_the_requests_time(
        self, make_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = make_pool(timeouts={"request": 2.0})
        pool.pause()
        futures = [pool.submit("time.sleep(0.6); answer()") for _ in range(5)]
        pool.resume()
        assert [future.result() for future in futures] == [""] * 5


class TestMessages:
    def test_bytes(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(worker={"codec": "bytes"})
        assert pool.call(b"answer(bytes(range(256)))") == bytes(range(256))
        assert pool.call(memoryview(b"answer(b'')")) == b""

    def test_json(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(["cat"], worker={"codec": "json", "protocol": "lines"})
        value = {"a": [1, 2.5, None, True], "ü": "\n"}
        assert pool.call(value) == value
        assert pool.submit(value).result() == value

    @pytest.mark.parametrize("way", ["call", "submit", "map"])
    def test_what_cannot_be_sent(self, make_pool: Callable[..., ProcessPool], way: str) -> None:
        pool = make_pool(["cat"], worker={"protocol": "lines"})
        for message, error in ((7, CodecError), ("two\nlines", ProtocolError)):
            with pytest.raises(error) as caught:
                self._ask(pool, way, message)
            if way != "call":
                assert caught.value.record is not None
                assert caught.value.record.worker_id in (None, 0)
        assert self._ask(pool, way, "still there") == "still there"

    @staticmethod
    def _ask(pool: ProcessPool, way: str, message: Any) -> Any:
        match way:
            case "call":
                return pool.call(message)
            case "submit":
                return pool.submit(message).result()
            case _:
                return pool.map([message])[0]

    @pytest.mark.parametrize("way", ["call", "submit", "map"])
    def test_an_answer_that_cannot_be_decoded_keeps_its_bytes(
        self, make_pool: Callable[..., ProcessPool], way: str
    ) -> None:
        pool = make_pool()
        first = pids(pool)
        with pytest.raises(CodecError, match="invalid UTF-8 at byte 2") as caught:
            self._ask(pool, way, r"answer(b'ok\xff')")
        assert caught.value.record is not None
        assert caught.value.record.raw == b"ok\xff"
        assert pids(pool) == first, "the framing was right: the worker is fit"
        assert self._ask(pool, way, "answer('next')") == "next"

    def test_the_forms_of_a_command_pool(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        right = r"this pool runs a command: write pool\.{}\(message"
        with pytest.raises(TypeError, match=right.format("call")):
            pool.call(len, "abc")
        with pytest.raises(TypeError, match=right.format("submit")):
            pool.submit(len, "abc")
        with pytest.raises(TypeError, match=right.format("submit")):
            pool.submit()
        with pytest.raises(TypeError, match=right.format("map")):
            pool.map(len, ["abc"])
        with pytest.raises(TypeError, match="not iterable"):
            pool.map(7)  # type: ignore[call-overload]


class TestWorkersWorld:
    def test_cwd_and_environment(
        self,
        make_pool: Callable[..., ProcessPool],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("FROM_OUTSIDE", "yes")
        pool = make_pool(worker={"cwd": str(tmp_path), "env": {"MINE": "1"}})
        assert pool.call("answer(os.getcwd())") == str(tmp_path.resolve())
        assert pool.call("answer(os.environ['MINE'] + os.environ['FROM_OUTSIDE'])") == "1yes"

    def test_what_is_inherited(
        self, make_pool: Callable[..., ProcessPool], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FROM_OUTSIDE", "yes")
        monkeypatch.setenv("SECRET", "no")
        command = [sys.executable, *PUPPET[1:]]
        some = make_pool(command, worker={"inherit_env": ["FROM_OUTSIDE", "UNSET"]})
        asked = "answer(sorted(n for n in os.environ if n in ('FROM_OUTSIDE','SECRET','PATH')))"
        assert some.call(asked) == "['FROM_OUTSIDE']"
        assert make_pool(command, worker={"inherit_env": False}).call(asked) == "[]"

    def test_python_is_the_interpreter_that_runs_the_pool(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        assert make_pool().call("answer(sys.executable)") == sys.executable

    def test_no_descriptor_of_the_pool_reaches_a_worker(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool(size=3)
        pool.wait_ready()
        listed = "answer(sorted(int(fd) for fd in os.listdir('/proc/self/fd') if int(fd) > 2))"
        for answer in pool.map([listed] * 3):
            assert len(json.loads(answer)) <= 2, "its own listing, and where it says it is ready"

    def test_no_shell_runs_the_command(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(["sed", "-u", "s/x/$HOME;`id`/"], worker={"protocol": "lines"})
        assert pool.call("x") == "$HOME;`id`"


class TestSize:
    def test_min_start_with_the_pool(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(size={"min": 3, "max": 5})
        assert pool.wait_ready()
        assert (pool.num_running, pool.num_unassigned) == (0, 3)

    def test_none_start_if_min_is_0(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(size={"min": 0, "max": 2})
        assert pids(pool) == []
        assert pool.call("answer(7)") == "7"
        assert len(pids(pool)) == 1

    def test_it_grows_to_max_and_no_further(
        self, make_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = make_pool(size={"min": 1, "max": 3})
        futures = [pool.submit(f"wait({str(gate.path)!r}); {PID}") for _ in range(9)]
        eventually(lambda: pool.num_running == 3)
        assert len(pids(pool)) == 3
        gate.open_until(lambda: all(future.done() for future in futures))
        assert len({future.result() for future in futures}) <= 3

    def test_idle_workers_go_but_never_below_min(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool(size={"min": 1, "max": 4}, timeouts={"idle": 0.05})
        wait([pool.submit("time.sleep(0.05); answer()") for _ in range(12)])
        eventually(lambda: states(pool) == ["idle"])

    def test_spare_workers_stay_after_a_burst(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(size={"min": 1, "max": 4, "spare": 2})
        futures = [pool.submit("time.sleep(0.2); answer()") for _ in range(8)]
        eventually(lambda: pool.num_running == 4)
        wait(futures)
        eventually(lambda: states(pool) == ["idle", "idle"])

    def test_resize(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        pool.resize(min=3, max=3)
        assert pool.wait_ready()
        assert states(pool) == ["idle"] * 3
        pool.resize(min=1, max=1)
        eventually(lambda: states(pool) == ["idle"])
        with pytest.raises(ValueError, match=r"size\.max must be"):
            pool.resize(min=2, max=1)
        with pytest.raises(ValueError, match=r"size\.spare must be"):
            pool.resize(min=1, max=4, spare=0)
        shown = pool.snapshot()
        assert (shown.min, shown.max, shown.spare) == (1, 1, 1)

    def test_shrinking_never_costs_a_running_item(
        self, make_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = make_pool(size=3)
        futures = [pool.submit(f"wait({str(gate.path)!r}); answer(1)") for _ in range(3)]
        eventually(lambda: pool.num_running == 3)
        pool.resize(min=1, max=1)
        gate.open_until(lambda: all(future.done() for future in futures))
        assert [future.result() for future in futures] == ["1"] * 3
        eventually(lambda: states(pool) == ["idle"])


class TestQueue:
    def test_a_full_queue_raises(self, make_pool: Callable[..., ProcessPool], gate: Gate) -> None:
        pool = make_pool(queue={"max_pending": 2, "when_full": "raise"})
        pool.pause()
        futures = [pool.submit("answer()") for _ in range(2)]
        with pytest.raises(QueueFull, match=r"2 items wait, and queue\.max_pending is 2"):
            pool.submit("answer()")
        pool.resume()
        wait(futures)
        assert pool.submit("answer(1)").result() == "1"

    def test_a_full_queue_makes_wait(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(queue={"max_pending": 2})
        pool.pause()
        for _ in range(2):
            pool.submit("answer()")
        late: Future[str] = Future()
        thread = threading.Thread(
            target=lambda: late.set_result(pool.submit("answer('late')").result())
        )
        thread.start()
        assert not late.done()
        assert pool.snapshot().queued == 2
        pool.resume()
        assert late.result(30) == "late"
        thread.join()

    def test_one_who_waits_for_room_is_told_of_the_close(
        self, make_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = make_pool(queue={"max_pending": 1})
        pool.pause()
        pool.submit("answer()")
        told: Future[str] = Future()

        def submit() -> None:
            try:
                pool.submit("answer()")
            except PoolClosed as error:
                told.set_result(str(error))

        thread = threading.Thread(target=submit)
        thread.start()
        pool.kill()
        assert "the pool is closed" in told.result(30)
        thread.join()

    def test_cancelled_items_make_room(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(queue={"max_pending": 1, "when_full": "raise"})
        pool.pause()
        assert pool.submit("answer()").cancel()
        future = pool.submit("answer(2)")
        pool.resume()
        assert future.result() == "2"


class TestCancel:
    def test_what_waits_never_runs(
        self, make_pool: Callable[..., ProcessPool], gate: Gate, tmp_path: Path
    ) -> None:
        pool = make_pool()
        running = pool.submit(f"wait({str(gate.path)!r}); answer()")
        waiting = pool.submit(f"open({str(tmp_path / 'ran')!r}, 'w'); answer()")
        assert waiting.cancel()
        assert waiting.cancel()
        assert waiting.cancelled()
        assert wait([waiting], timeout=0).done == {waiting}
        with pytest.raises(CancelledError):
            waiting.result()
        gate.await_arrival()
        assert not running.cancel()
        gate.open()
        assert running.result() == ""
        assert pool.call("answer(1)") == "1"
        assert not (tmp_path / "ran").exists()

    def test_kill_ends_what_runs(self, make_pool: Callable[..., ProcessPool], gate: Gate) -> None:
        pool = make_pool()
        first = pids(pool)[0]
        future = pool.submit(f"wait({str(gate.path)!r}); answer()")
        gate.await_arrival()
        assert future.kill()
        with pytest.raises(CancelledError):
            future.result(30)
        await_exit(first)
        assert int(pool.call(PID)) != first
        assert not future.kill()

    def test_kill_of_what_waits_costs_no_worker(
        self, make_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = make_pool()
        before = pids(pool)
        running = pool.submit(f"wait({str(gate.path)!r}); answer(1)")
        waiting = pool.submit("answer(2)")
        assert waiting.kill()
        gate.open()
        assert running.result() == "1"
        assert waiting.cancelled()
        assert pids(pool) == before

    def test_in_a_pipeline_kill_hits_only_its_own_item(
        self, make_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = make_pool(worker={"protocol": {"kind": "framed", "pipeline": 4}})
        first = pool.submit(f"wait({str(gate.path)!r}); answer(1)")
        others = [pool.submit(f"answer({n})") for n in (2, 3)]
        gate.await_arrival()
        assert first.kill()
        with pytest.raises(CancelledError):
            first.result(30)
        assert [future.result(30) for future in others] == ["2", "3"]


class TestSteering:
    def test_pause_and_resume(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        pool.pause()
        assert pool.state == "paused"
        future = pool.submit("answer(1)")
        assert pool.snapshot().queued == 1
        assert not pool.drain(timeout=0.05)
        pool.resume()
        assert future.result() == "1"
        assert pool.drain()

    def test_restart_a_worker(self, make_pool: Callable[..., ProcessPool], gate: Gate) -> None:
        pool = make_pool()
        first = pids(pool)[0]
        future = pool.submit(f"wait({str(gate.path)!r}); answer(1)")
        gate.await_arrival()
        pool.restart_worker(1, wait=True)
        gate.open()
        assert future.result() == "1"
        await_exit(first)
        assert int(pool.call(PID)) != first

    def test_restart_without_waiting_loses_the_item(
        self, make_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = make_pool()
        future = pool.submit(f"wait({str(gate.path)!r}); answer(1)")
        gate.await_arrival()
        pool.restart_worker(1)
        with pytest.raises(WorkerDied, match=r"was ended \(restarted\)"):
            future.result(30)
        with pytest.raises(ValueError, match="there is no worker 99; there are: "):
            pool.restart_worker(99)

    def test_wait_ready_in_vain(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(size={"min": 0, "max": 2})
        pool.pause()
        assert pool.wait_ready(0)
        pool.resize(min=2)
        assert pool.wait_ready()

    def test_stop_map_of_nobody(self, make_pool: Callable[..., ProcessPool]) -> None:
        with pytest.raises(ValueError, match="there is no map 7 in progress; there are: none"):
            make_pool().stop_map(7)


class TestNotOpen:
    @pytest.mark.parametrize(
        "use",
        [
            lambda pool: pool.call("answer()"),
            lambda pool: pool.submit("answer()"),
            lambda pool: pool.map(["answer()"]),
            lambda pool: pool.imap(["answer()"]),
            lambda pool: pool.lease(),
            lambda pool: pool.pause(),
            lambda pool: pool.wait_ready(),
        ],
    )
    def test_it_says_what_to_write(
        self, make_pool: Callable[..., ProcessPool], use: Callable[[ProcessPool], Any]
    ) -> None:
        pool = make_pool(opened=False)
        with pytest.raises(PoolClosed, match=r"write `with pool:`, or call pool\.open\(\)"):
            use(pool)
        assert pool.state == "new"
        with pool:
            pool.call("answer()")
        with pytest.raises(PoolClosed, match="the pool is closed; open a new one"):
            use(pool)
        assert pool.state == "closed"

    def test_looking_needs_no_open_pool(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(opened=False, name="mine")
        assert pool.snapshot().state == "new"
        assert repr(pool) == "<ProcessPool 'mine', new; 0 done>"
        assert (pool.num_running, pool.num_unassigned, pool.name) == (0, 0, "mine")
        pool.close()
        pool.kill()
        with pool:
            assert pool.open() is pool
            pool.call("answer()")
            assert repr(pool) == (
                "<ProcessPool 'mine', open: 1 workers (0 running), 0 queued, 1 done, 0 failed>"
            )
        assert repr(pool) == "<ProcessPool 'mine', closed; 1 done>"


class TestStartFailures:
    def test_a_missing_program(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(["no-such-program"], opened=False)
        with pytest.raises(WorkerStartFailed, match="cannot start 'no-such-program': no such"):
            pool.open()
        assert pool.state == "closed"

    def test_a_program_that_ends_at_once_is_quoted(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        script = "echo 'no licence' >&2; exit 3"
        with pytest.raises(
            WorkerStartFailed, match=r"exited with status 3 before it was ready(.|\n)*\| no licence"
        ):
            make_pool(["sh", "-c", script], size=2)

    def test_a_program_that_is_never_ready(self, make_pool: Callable[..., ProcessPool]) -> None:
        with pytest.raises(WorkerStartFailed, match=r"was not ready within 0\.2 s") as caught:
            make_pool(["sh", "-c", "trap '' TERM; while :; do :; done"], timeouts={"start": 0.2})
        assert "it wrote nothing to stderr" in str(caught.value)

    def test_output_before_the_start(
        self, make_pool: Callable[..., ProcessPool], caplog: pytest.LogCaptureFixture
    ) -> None:
        with pytest.raises(WorkerStartFailed, match="wrote to its standard output before"):
            make_pool(["sh", "-c", "echo Loading...; exec cat"])
        assert r"wrote b'Loading...\n' to its standard output without a request" in caplog.text

    def test_one_bad_start_among_good_ones_is_no_failure(
        self, make_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        once = f"os.open({str(tmp_path / 'once')!r}, os.O_CREAT | os.O_EXCL)"
        start = f"try:\n  {once}\nexcept FileExistsError: pass\nelse: sys.exit(1)"
        pool = make_pool(
            [*PUPPET, "framed", start], size={"min": 0, "max": 1}, restart={"backoff": [0, 0]}
        )
        assert pool.call("answer(1)") == "1"

    def test_a_crash_loop_breaks_the_pool_and_reset_mends_it(
        self, make_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        flag = tmp_path / "broken"
        start = f"err = os.path.exists({str(flag)!r}) and sys.exit('no licence')"
        pool = make_pool(
            [*PUPPET, "framed", start], restart={"max_failures": 2, "backoff": [0.01, 0.01]}
        )
        flag.touch()
        with pytest.raises(WorkerDied):
            pool.call("die()")
        with pytest.raises(PoolBroken, match=r"mend the cause, then pool\.reset\(\)") as caught:
            pool.submit("answer()").result(30)
        assert "no licence" in str(caught.value)
        assert isinstance(caught.value.__cause__, WorkerStartFailed)
        assert pool.state == "broken"
        for use in (lambda: pool.submit("answer()"), lambda: pool.lease()):
            with pytest.raises(PoolBroken):
                use()
        flag.unlink()
        pool.reset()
        assert pool.call("answer(1)") == "1"

    @pytest.mark.parametrize("failure", ["it exits", "there is no program"])
    def test_that_a_pool_broke_is_an_event_each_time(
        self, make_pool: Callable[..., ProcessPool], tmp_path: Path, failure: str
    ) -> None:
        program = tmp_path / "program"
        program.write_text("#!/bin/sh\nexec cat\n")
        program.chmod(0o700)
        pool = make_pool([str(program)], worker={"protocol": "lines"}, restart={"max_failures": 0})
        happened: list[events.Event] = []
        pool.events(happened.append)
        for times in (1, 2):
            assert pool.call("all is well") == "all is well"
            if failure == "it exits":
                program.write_text("#!/bin/sh\necho no licence >&2\nexit 3\n")
            else:
                program.unlink()
            os.kill(pids(pool)[0], signal.SIGKILL)
            eventually(lambda: pool.state == "broken")
            eventually(partial(_has_broken, happened, times))
            program.write_text("#!/bin/sh\nexec cat\n")
            program.chmod(0o700)
            pool.reset()
        reason = "no licence" if failure == "it exits" else "there is no file"
        breaks = [event for event in happened if isinstance(event, events.PoolBroke)]
        assert all(reason in broke.reason for broke in breaks)

    @pytest.mark.parametrize("room", [0, 3, 5, 8, 11])
    def test_without_descriptors_it_says_so_and_leaks_none(self, room: int) -> None:
        source = f"""
            import os, resource, sys
            from processpool import ProcessPool, ProcessPoolError
            pool = ProcessPool.from_dict({{"worker": {{"kind": "command", "command": ["cat"],
                "protocol": "lines"}}, "size": {{"min": 1, "max": 1}}}})
            with ProcessPool.from_dict({{"worker": {{"kind": "command", "command": ["cat"],
                "protocol": "lines"}}}}) as warm:
                warm.call("x")
            before = sorted(os.listdir("/proc/self/fd"))
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (len(before) - 1 + {room}, hard))
            try:
                pool.open()
            except OSError as error:
                print("OSError", error.errno)
            else:
                print("opened")
            pool.kill()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            after = sorted(os.listdir("/proc/self/fd"))
            print("leaked" if len(after) > len(before) else "clean")
        """
        done = run_python(source)
        assert done.stderr == ""
        assert done.stdout.split("\n")[1] == "clean"
        assert done.stdout.startswith(("OSError 24", "opened"))


class TestCallbacks:
    def test_submit_from_a_callback(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        second: Future[str] = Future()

        def go_on(first: Future[str]) -> None:
            pool.submit(f"answer({first.result()} + 1)").add_done_callback(
                lambda future: second.set_result(future.result())
            )

        pool.submit("answer(1)").add_done_callback(go_on)
        assert second.result(30) == "2"

    def test_submit_from_a_callback_after_a_crash(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool()
        second: Future[Any] = Future()
        pool.submit("die()").add_done_callback(
            lambda first: second.set_result((first.exception(), pool.submit("answer(1)")))
        )
        error, future = second.result(30)
        assert isinstance(error, WorkerDied)
        assert future.result(30) == "1"

    def test_a_callback_that_raises_harms_nobody(
        self, make_pool: Callable[..., ProcessPool], caplog: pytest.LogCaptureFixture
    ) -> None:
        pool = make_pool()

        def fail(_: object) -> None:
            raise RuntimeError("bad callback")

        future = pool.submit("answer(1)")
        future.add_done_callback(fail)
        stop = pool.events(fail)
        assert future.result() == "1"
        assert pool.submit("answer(2)").result() == "2"
        eventually(lambda: "bad callback" in caplog.text)
        stop()

    def test_sixteen_threads(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(size=2, worker={"protocol": {"kind": "framed", "pipeline": 4}})
        results: dict[int, list[str]] = {}

        def work(thread: int) -> None:
            futures = [pool.submit(f"answer('{thread}.{n}')") for n in range(40)]
            called = [pool.call(f"answer('{thread}.call')")]
            mapped = pool.map([f"answer('{thread}.map{n}')" for n in range(10)])
            results[thread] = [future.result() for future in futures] + called + mapped

        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for number, found in results.items():
            assert found == [
                *(f"{number}.{n}" for n in range(40)),
                f"{number}.call",
                *(f"{number}.map{n}" for n in range(10)),
            ]
        assert len(results) == 16


class TestLooking:
    def test_a_snapshot(self, make_pool: Callable[..., ProcessPool], gate: Gate) -> None:
        pool = make_pool(name="shown", size={"min": 2, "max": 2})
        pool.wait_ready()
        pool.call("err('noted'); answer()")
        future = pool.submit(f"wait({str(gate.path)!r}); answer()")
        gate.await_arrival()
        shown = pool.snapshot()
        assert (shown.name, shown.state, shown.running, shown.queued) == ("shown", "open", 1, 0)
        assert shown.finished == 1
        busy = next(worker for worker in shown.workers if worker.state == "busy")
        assert (busy.item, busy.pending, busy.failed) == (0, 1, 0)
        assert busy.item_age is not None
        assert 0 <= busy.item_age <= busy.age
        assert busy.pid in pids(pool)
        assert busy.memory is not None
        assert busy.memory > 1 << 20
        assert busy.cpu is not None
        assert any(worker.stderr == "noted" for worker in shown.workers)
        assert {worker.cpu for worker in pool.snapshot(resources=False).workers} == {None}
        gate.open()
        future.result()
        assert pool.snapshot().finished == 2

    def test_events_tell_a_workers_life(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(opened=False)
        told: list[events.Event] = []
        pool.events(told.append)
        pool.open()
        pid = pids(pool)[0]
        pool.submit("answer()").result()
        with pytest.raises(WorkerDied):
            pool.submit("err('bye'); sys.exit(3)").result()
        pool.wait_ready()
        pool.pause()
        pool.resume()
        pool.resize(max=2)
        pool.close()
        kinds = [type(event) for event in told]
        assert kinds[:2] == [events.WorkerStarted, events.WorkerBecameReady]
        for kind in (
            events.PoolOpened,
            events.ItemsFinished,
            events.ItemFailed,
            events.PoolPaused,
            events.PoolResumed,
            events.PoolResized,
        ):
            assert kinds.count(kind) == 1, kind
        assert kinds[-1] is events.PoolClosedDown
        died = next(event for event in told if isinstance(event, events.WorkerExited))
        assert (died.pid, died.exitcode, died.reason, died.stderr) == (pid, 3, None, "bye")

    def test_a_subscription_ends(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        told: list[events.Event] = []
        stop = pool.events(told.append)
        pool.submit("answer()").result()
        eventually(lambda: told)
        stop()
        stop()
        told.clear()
        pool.submit("answer()").result()
        pool.pause()
        assert told == []

    def test_an_idle_pool_does_not_wake_up(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(size=2)
        pool.wait_ready()
        pool.call("answer()")
        thread = next(t for t in threading.enumerate() if t.name.startswith("processpool"))

        def switches() -> int:
            with open(f"/proc/self/task/{thread.native_id}/status", encoding="ascii") as file:
                return int(re.findall(r"^voluntary_ctxt_switches:\s+(\d+)", file.read(), re.M)[0])

        eventually(lambda: _is_steady(switches), "the engine thread keeps waking up")


class TestForks:
    def test_the_child_leaves_the_parents_pool_alone(self) -> None:
        source = """
            import os, sys, warnings
            from processpool import PoolClosed, ProcessPool
            warnings.simplefilter("ignore", DeprecationWarning)
            worker = {"kind": "command", "command": ["cat"], "protocol": "lines"}
            with ProcessPool.from_dict({"worker": worker, "size": {"min": 2, "max": 2}}) as pool:
                pool.wait_ready()
                child = os.fork()
                if not child:
                    for use in (lambda: pool.call("x"), lambda: pool.map(["x"])):
                        try:
                            use()
                        except PoolClosed as error:
                            assert "belongs to the parent process" in str(error), error
                        else:
                            os._exit(1)
                    pool.close()
                    pool.kill()
                    sys.exit(7)
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
                print(pool.map(["a", "b", "c"]))
        """
        done = run_python(source)
        assert (done.stdout, done.stderr) == ("['a', 'b', 'c']\n", "")


def _has_broken(happened: list[events.Event], times: int) -> bool:
    return sum(isinstance(event, events.PoolBroke) for event in happened) == times


def _is_steady(count: Callable[[], int]) -> bool:
    before = count()
    threading.Event().wait(0.2)
    return count() == before


def test_a_future_runs_from_when_its_worker_is_given_it(
    make_pool: Callable[..., ProcessPool], gate: Gate, tmp_path: Path
) -> None:
    pool = make_pool()
    pool.map(["answer()"] * 50)  # by then it is known to write nothing late
    second_gate = Gate(tmp_path, "second")
    first = pool.submit(f"wait({str(gate.path)!r}); answer(1)")
    second = pool.submit(f"wait({str(second_gate.path)!r}); answer(2)")
    gate.await_arrival()
    assert (first.running(), second.running()) == (True, False)
    gate.open()
    assert first.result() == "1"
    second_gate.await_arrival()
    assert second.running()
    assert not second.cancel()
    second_gate.open()
    assert second.result() == "2"
