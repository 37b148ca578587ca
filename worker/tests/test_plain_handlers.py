"""Plain `def` handlers, in threads and in processes: results, errors, limits, cancellation, effects."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from plain_handlers import FOR_EVER, handle

from waybill_contracts.kinds.syncs import SyncRequested
from waybill_contracts.privacy.seal import Keyring
from waybill_contracts.wire.lifecycle import LIFECYCLE_BATCH, DeadReason
from waybill_database import Records
from waybill_testkit.eventually import eventually
from waybill_testkit.machine import FORKS
from waybill_testkit.samples import envelope_of, sync_event
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.handlers import Runs, handler
from waybill_worker.attempt.plain_functions import FunctionProcesses
from waybill_worker.attempt.retry_policy import RetryPolicy
from waybill_worker.attempt.runner import Attempts
from waybill_worker.attempt.sync_attempt import SyncAttempt
from waybill_worker.attempt.work import Work
from waybill_worker.inbox.claims import Claimed
from waybill_worker.inbox.inbox import Inbox, LeaseLostError
from waybill_worker.limits.running_handlers import RunningHandlers
from waybill_worker.limits.time_limits import DEFAULT_LIMITS, TimeLimits
from waybill_worker.limits.watchdog import Watchdog
from waybill_worker.object_store.store import ObjectStore
from waybill_worker.outcome import Cancelled, Completed, Died, Outcome, RetryLater
from waybill_worker.publish.publisher import OutgoingMessage, Publisher
from waybill_worker.publish.reporter import Reporter
from waybill_worker.runtime.settings import ProcessSettings
from waybill_worker.worker_pool import process

POLICY = RetryPolicy(max_attempts=3, base_seconds=1, cap_seconds=1, jitter=0)
BOTH = pytest.mark.parametrize("processes", [False, True], ids=["thread", "process"])
#: The process of a function is made within the soft limit.
SOFT = TimeLimits(5, 60)


class ListPublisher(Publisher):
    """Confirms and keeps what is published."""

    def __init__(self) -> None:
        self.published: list[OutgoingMessage] = []

    async def publish(self, message: OutgoingMessage) -> None:
        self.published.append(message)

    def progress(self) -> list[str]:
        return [
            event.data.progress.text
            for message in self.published
            for event in LIFECYCLE_BATCH.validate_json(message.body)
            if event.data.progress is not None
        ]


class Plain:
    """A service's attempts with a plain handler."""

    def __init__(self, records: Records, folder: Path) -> None:
        self.inbox = Inbox(records, "sync", lease_seconds=60)
        self.inbox.make_table()
        self.running = RunningHandlers()
        self.watchdog = Watchdog()
        self.publisher = ListPublisher()
        self.store = ObjectStore.from_url(f"file://{folder}/objects")
        self.attempts = Attempts(
            "sync",
            self.inbox,
            Reporter(self.publisher),
            self.watchdog,
            self.running,
            keyring=lambda: Keyring([bytes(32)]),
            store=self.store,
        )
        self.attempts.processes = FunctionProcesses("sync", ProcessSettings(), 2)
        self.notes = folder / "notes"

    def noted(self) -> list[str]:
        return self.notes.read_text().splitlines() if self.notes.exists() else []

    async def claim(self, task_id: str = "t1") -> Claimed:
        ticket = await self.inbox.claim(envelope_of(sync_event(), task_id))
        assert isinstance(ticket, Claimed)
        return ticket

    async def run(
        self, way: str, *, processes: bool, limits: TimeLimits = DEFAULT_LIMITS, claim: Claimed | None = None
    ) -> Outcome:
        event = sync_event().model_copy(update={"resource": way, "data": {"notes": str(self.notes)}})
        bound = handler(SyncRequested, handle, POLICY, limits, processes=processes)
        work = Work(envelope_of(event, "t1"), event, bound)
        return await self.attempts.run(work, claim or await self.claim(), None)


@pytest.fixture(autouse=True)
def _forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Does without the seconds that each process imports; tests of whole services start them as they are."""
    monkeypatch.setattr(process, "_processes", FORKS)


@pytest.fixture
async def plain(tmp_path: Path) -> AsyncIterator[Plain]:
    records = Records(f"sqlite:///{tmp_path}/inbox.db")
    plain = Plain(records, tmp_path)
    yield plain
    assert plain.attempts.processes is not None
    await plain.attempts.processes.close()
    await records.close()


def completed(outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, Completed), outcome
    return outcome.result


@BOTH
async def test_its_result_is_that_of_the_attempt(plain: Plain, *, processes: bool) -> None:
    result = completed(await plain.run("pid", processes=processes))

    assert (result["pid"] != os.getpid()) is processes
    assert (result["key"], result["attempt"]) == ("t1.sync", 1)
    assert completed(await plain.run("nothing", processes=processes, claim=await plain.claim("t2"))) == {}


@BOTH
async def test_its_effect_is_recorded_before_it_happens(plain: Plain, *, processes: bool) -> None:
    claim = await plain.claim()
    assert completed(await plain.run("effect", processes=processes, claim=claim)) == {}
    assert plain.noted() == ["acted"]


@BOTH
async def test_a_run_whose_lease_is_lost_does_not_act(plain: Plain, *, processes: bool) -> None:
    with pytest.raises(LeaseLostError):
        await plain.run("effect", processes=processes, claim=Claimed("of another life"))

    assert plain.noted() == []


@BOTH
async def test_errors_keep_their_type_and_what_they_ask_for(plain: Plain, *, processes: bool) -> None:
    refused = await plain.run("permanent", processes=processes)
    assert isinstance(refused, Died)
    assert (refused.reason, refused.error.type, refused.error.message) == (
        DeadReason.PERMANENT,
        "PermanentError",
        "no such customer",
    )
    busy = await plain.run("transient", processes=processes, claim=await plain.claim("t2"))
    assert isinstance(busy, RetryLater)
    assert (busy.error.type, busy.wait_seconds) == ("TransientError", 7)


@BOTH
@pytest.mark.parametrize(
    ("way", "type_", "text"),
    [
        ("odd", "OddError", "7 in the ledger"),
        ("unsendable", "UnsendableError", "holds a lock"),
        ("exit", "SystemExit", "3"),
    ],
)
async def test_an_error_keeps_its_place_in_the_code_whatever_it_is(
    plain: Plain, *, processes: bool, way: str, type_: str, text: str
) -> None:
    event = sync_event().model_copy(update={"resource": way, "data": {"notes": ""}})
    one = RetryPolicy(max_attempts=1, base_seconds=1, cap_seconds=1)
    work = Work(envelope_of(event, "t1"), event, handler(SyncRequested, handle, one, processes=processes))
    outcome = await plain.attempts.run(work, await plain.claim(), None)

    assert isinstance(outcome, Died)
    assert (outcome.error.type, outcome.error.message) == (type_, text)
    assert outcome.where is not None
    assert "plain_handlers.py" in outcome.where.traceback
    assert f"{type_}: {text}" in outcome.where.traceback
    if way == "odd":
        assert "in _fail_below" in outcome.where.traceback
        assert "KeyError: 'missing'" in outcome.where.traceback
        assert "in _cause" in outcome.where.traceback


@BOTH
async def test_at_the_soft_limit_it_is_told_in_its_next_checkpoint(plain: Plain, *, processes: bool) -> None:
    outcome = await plain.run("cooperative", processes=processes, limits=SOFT)

    assert isinstance(outcome, RetryLater)
    assert outcome.error.type == "SoftTimeLimitExceeded"
    assert plain.noted() == ["began", "cleaned up after soft time limit"]


@BOTH
async def test_a_cancelled_task_stops_it_in_its_next_checkpoint(plain: Plain, *, processes: bool) -> None:
    running = asyncio.create_task(plain.run("cooperative", processes=processes))
    await eventually(lambda: plain.noted() == ["began"])
    assert plain.running.stop("t1") == 1

    assert isinstance(await running, Cancelled)
    assert plain.noted() == ["began", "cleaned up after cancelled"]


@BOTH
async def test_it_reports_progress(plain: Plain, *, processes: bool) -> None:
    running = asyncio.create_task(plain.run("progress", processes=processes))
    await eventually(lambda: plain.publisher.progress() == ["page 4 of 10"])
    plain.notes.with_name("end").touch()
    assert completed(await running) == {}


@BOTH
async def test_what_it_submits_is_in_its_outcome(plain: Plain, *, processes: bool) -> None:
    outcome = await plain.run("submits", processes=processes)

    result = completed(outcome)
    assert isinstance(outcome, Completed)
    assert outcome.spawned is not None
    [task] = outcome.spawned
    assert (task.id, task.priority) == (result["id"], "low")


@BOTH
async def test_it_opens_a_file_by_a_path_that_is_gone_afterwards(plain: Plain, *, processes: bool) -> None:
    key = await plain.store.put(b"a page", prefix="files/default")
    plain.notes.with_name("key").write_text(key)

    assert completed(await plain.run("opens", processes=processes)) == {"content": "a page"}
    assert not Path(plain.noted()[0]).parents[1].exists()


async def test_what_a_killed_process_had_opened_is_removed(plain: Plain) -> None:
    key = await plain.store.put(b"a page", prefix="files/default")
    plain.notes.with_name("key").write_text(key)
    plain.notes.with_name("dies").touch()

    assert isinstance(await plain.run("opens", processes=True), RetryLater)
    assert not Path(plain.noted()[0]).parents[1].exists()


@BOTH
async def test_what_does_not_look_is_done_if_it_ends_before_the_hard_limit(
    plain: Plain, *, processes: bool
) -> None:
    assert completed(await plain.run("late", processes=processes, limits=TimeLimits(0.1, 60))) == {
        "done": "late"
    }


async def test_at_the_hard_limit_its_process_is_killed_alone(plain: Plain) -> None:
    outcome = await plain.run("deaf", processes=True, limits=TimeLimits(1, 5))

    assert isinstance(outcome, RetryLater)
    assert outcome.error.type == "HardTimeLimitExceeded"
    [pid] = plain.noted()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)
    assert not plain.running.stuck
    # The next one has a process again.
    assert completed(await plain.run("nothing", processes=True, claim=await plain.claim("t2"))) == {}


async def test_a_thread_past_its_hard_limit_has_no_outcome_before_the_process_ends(plain: Plain) -> None:
    running = asyncio.create_task(plain.run("deaf", processes=False, limits=TimeLimits(0.01, 0.02)))
    # The service takes no more messages then, records the attempt, and ends.
    await asyncio.wait_for(plain.running.wait_stuck(), 60)

    assert not running.done()
    running.cancel()  # as the service does when it stops
    await asyncio.sleep(0)
    assert [watched.task_id for watched in plain.watchdog.late] == ["t1"]
    plain.notes.with_name("end").touch()
    await running


async def test_a_process_that_dies_is_a_failure_whose_effect_is_in_doubt(plain: Plain) -> None:
    outcome = await plain.run("dies", processes=True)

    assert isinstance(outcome, RetryLater)
    assert outcome.error.type == "HandlerDiedError"
    assert "exit status -9" in outcome.error.message
    assert outcome.in_doubt


async def test_when_the_service_stops_a_process_is_killed_and_a_thread_keeps_its_lease(plain: Plain) -> None:
    for processes, task_id in ((True, "t1"), (False, "t2")):
        claim = await plain.claim(task_id)
        running = asyncio.create_task(plain.run("deaf", processes=processes, claim=claim))
        noted = len(plain.noted())
        await eventually(lambda noted=noted: len(plain.noted()) > noted)  # type: ignore[misc]
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert (running in plain.running.abandoned) is not processes
    with pytest.raises(ProcessLookupError):
        os.kill(int(plain.noted()[0]), 0)


async def test_an_abandoned_run_is_not_counted_and_its_claim_holds(plain: Plain) -> None:
    claim = await plain.claim()
    await plain.inbox.release(claim.owner, goes_on=True)
    assert not isinstance(await plain.inbox.claim(envelope_of(sync_event(), "t1")), Claimed)


def test_where_a_function_runs_is_read_from_it() -> None:
    async def coroutine(_event: SyncRequested, _attempt: Attempt) -> None:
        pass

    def local(_event: SyncRequested, _attempt: SyncAttempt) -> None:
        pass

    class Object:
        async def __call__(self, _event: SyncRequested, _attempt: Attempt) -> None:
            pass

    assert Runs.of(coroutine, processes=False) is Runs.ON_LOOP
    assert Runs.of(Object(), processes=False) is Runs.ON_LOOP
    assert Runs.of(local, processes=False) is Runs.IN_THREAD
    assert Runs.of(handle, processes=True) is Runs.IN_PROCESS
    with pytest.raises(ValueError, match="only plain ones run in processes"):
        Runs.of(coroutine, processes=True)
    with pytest.raises(ValueError, match="only a function of a module runs in processes"):
        Runs.of(local, processes=True)


async def test_threads_of_handlers_do_not_keep_the_interpreter(plain: Plain) -> None:
    assert FOR_EVER > 60  # the thread of this test is still there when pytest ends
    running = asyncio.create_task(plain.run("deaf", processes=False))
    await eventually(plain.noted)
    named = [each for each in threading.enumerate() if each.name == "handler of sync.requested"]
    assert named
    assert all(each.daemon for each in named)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
