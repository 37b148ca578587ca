"""What is given to a pool's workers, what they may use of the machine, and what becomes of them."""

import asyncio
import multiprocessing
import os
import resource
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from waybill_testkit.eventually import eventually
from waybill_worker.worker_pool.pool import WorkerPool, WorkerPoolOptions
from waybill_worker.worker_pool.process import WorkerDied, WorkerLimits, WorkerProcess, WorkerSpent

MEMORY = 256 * 1024**2


class Refused(Exception):  # noqa: N818 - as the exceptions that pools carry
    pass


def read(most: int, descriptor: int) -> tuple[bytes, int]:
    return os.pread(descriptor, most, 0), descriptor


def refuse(reason: str) -> None:
    raise Refused(reason)


def compute(seconds: float) -> str:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
    return "computed"


def limits(_: None) -> tuple[str, tuple[int, int], tuple[int, int]]:
    rank = Path("/proc/self/oom_score_adj").read_text().strip()
    return rank, resource.getrlimit(resource.RLIMIT_CORE), resource.getrlimit(resource.RLIMIT_DATA)


JOBS: dict[str, Callable[..., Any]] = {
    "pid": lambda _: os.getpid(),
    "read": read,
    "refuse": refuse,
    "take": lambda size: len(bytearray(size)),
    "compute": compute,
    "limits": limits,
    "sleep": time.sleep,
}


def work(job: tuple[str, Any], *descriptor: int) -> Any:
    """What the workers do here."""
    what, argument = job
    return JOBS[what](argument, *descriptor)


def make_pool(*, workers: int = 1, seconds: float = 30, cpu_seconds: float = 10, **more: int) -> WorkerPool:
    options = WorkerPoolOptions(WorkerLimits(MEMORY, cpu_seconds), seconds, workers, **more)
    return WorkerPool(work, options, name="worker-under-test")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pool() -> AsyncIterator[WorkerPool]:
    pool = make_pool()
    yield pool
    await pool.close()


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_worker_is_used_again_also_after_an_error_of_its_work(pool: WorkerPool) -> None:
    first = await pool.run(("pid", None))
    with pytest.raises(Refused, match="so it is"):
        await pool.run(("refuse", "so it is"))

    assert await pool.run(("pid", None)) == first != os.getpid()


async def test_a_file_goes_along_and_is_closed_afterwards(pool: WorkerPool) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"what is in it")
        file.flush()
        answers = [await pool.run(("read", 4), file.fileno()) for _ in range(3)]

        assert file.tell() == 13
    # The same number again: none stays open in the worker.
    assert {content for content, _ in answers} == {b"what"}
    assert len({descriptor for _, descriptor in answers}) == 1


async def test_more_memory_than_it_may_use_is_refused_and_takes_the_worker_along(pool: WorkerPool) -> None:
    before = await pool.run(("pid", None))
    with pytest.raises(MemoryError):
        await pool.run(("take", MEMORY))

    assert await pool.run(("take", MEMORY // 2)) == MEMORY // 2
    assert await pool.run(("pid", None)) != before


async def test_more_processor_time_than_it_may_use_is_told_from_a_time_out() -> None:
    pool = make_pool(seconds=300, cpu_seconds=1)
    try:
        # Each piece of work has that of its own.
        assert [await pool.run(("compute", 0.6)) for _ in range(4)] == ["computed"] * 4
        with pytest.raises(WorkerSpent, match=rf"exit status -{signal.SIGXCPU.value}"):
            await pool.run(("compute", 30))
    finally:
        await pool.close()


async def test_what_takes_too_long_is_killed_and_the_next_goes_on() -> None:
    pool = make_pool(seconds=3)
    try:
        pid = await pool.run(("pid", None))
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            await pool.run(("sleep", 60))
        assert time.monotonic() - began < 30
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert await pool.run(("pid", None)) != pid
    finally:
        await pool.close()


async def test_the_kernel_ends_workers_before_their_owner_and_keeps_no_core_of_them(pool: WorkerPool) -> None:
    assert await pool.run(("limits", None)) == ("1000", (0, 0), (MEMORY, MEMORY))


async def test_a_worker_is_replaced_after_its_share_of_work() -> None:
    pool = make_pool(tasks_per_worker=2)
    try:
        pids = [await pool.run(("pid", None)) for _ in range(4)]
    finally:
        await pool.close()
    assert pids[0] == pids[1] != pids[2] == pids[3]


async def test_a_start_never_holds_up_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    start = multiprocessing.process.BaseProcess.start

    def slow_start(process: multiprocessing.process.BaseProcess) -> None:
        time.sleep(0.5)
        start(process)

    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", slow_start)
    pool = make_pool()
    longest, last = 0.0, time.monotonic()
    working = asyncio.ensure_future(pool.run(("pid", None)))
    while not working.done():
        await asyncio.sleep(0.005)
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    await pool.close()

    assert await working
    assert longest < 0.4


async def test_one_that_is_cancelled_while_its_worker_starts_leaves_none_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = multiprocessing.process.BaseProcess.start
    starting = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow_start(process: multiprocessing.process.BaseProcess) -> None:
        loop.call_soon_threadsafe(starting.set)
        time.sleep(0.2)
        start(process)

    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", slow_start)
    pool = make_pool()
    before = {child.pid for child in multiprocessing.active_children()}
    working = asyncio.ensure_future(pool.run(("sleep", 60)))
    await starting.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working

    await eventually(lambda: {child.pid for child in multiprocessing.active_children()} == before)
    await pool.close()


async def test_a_worker_that_was_ended_before_it_began_takes_no_work() -> None:
    worker = WorkerProcess(work, WorkerLimits(MEMORY, 10), name="never-started")
    worker.end()

    assert not worker.alive
    with pytest.raises(WorkerDied, match="ended before it began"):
        worker.run(("pid", None))
