"""Attempts that were begun before, and cut off by the end of their process."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from waybill_contracts.events import WhenUncertain
from waybill_contracts.kinds.emails import EmailRequested
from waybill_contracts.wire.lifecycle import DeadReason
from waybill_database import Records
from waybill_testkit.eventually import eventually
from waybill_testkit.samples import email_event, envelope_of
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.handlers import handler
from waybill_worker.attempt.isolation import DiedAloneError, Emit, Isolation, LoneAttempt
from waybill_worker.attempt.retry_policy import RetryPolicy
from waybill_worker.attempt.runner import ALONE_FROM, MAX_STARTS, Attempts
from waybill_worker.attempt.work import Work
from waybill_worker.errors import NotReadableYetError, SnoozeError, UncertainError
from waybill_worker.inbox.claims import Claimed
from waybill_worker.inbox.inbox import Inbox, LeaseLostError
from waybill_worker.limits.running_handlers import RunningHandlers, uncancellable
from waybill_worker.limits.time_limits import DEFAULT_LIMITS, TimeLimits
from waybill_worker.limits.watchdog import Watchdog
from waybill_worker.object_store.store import ObjectStore
from waybill_worker.outcome import Cancelled, Completed, Died, Outcome, RetryLater, Snoozed
from waybill_worker.publish.publisher import OutgoingMessage, Publisher
from waybill_worker.publish.reporter import Reporter

POLICY = RetryPolicy(max_attempts=3, base_seconds=1, cap_seconds=1, jitter=0)
Function = Callable[[Attempt], Coroutine[Any, Any, dict[str, Any]]]


class NoPublisher(Publisher):
    """Confirms what it throws away: nobody listens here."""

    def __init__(self) -> None:
        pass

    async def publish(self, message: OutgoingMessage) -> None:
        del message


class CutOff:
    """A service's attempts, whose processes die as the test wants it."""

    def __init__(self, records: Records, store: ObjectStore | None = None) -> None:
        # Leases that run out at once: every claim of an attempt that has no outcome is a take-over.
        self.inbox = Inbox(records, "email", lease_seconds=0.000_001)
        self.inbox.make_table()
        self.attempts = Attempts(
            "email", self.inbox, Reporter(NoPublisher()), Watchdog(), RunningHandlers(), store=store
        )

    async def claim(self, task_id: str = "t1") -> Claimed:
        ticket = await self.inbox.claim(envelope_of(email_event(), task_id))
        assert isinstance(ticket, Claimed)
        return ticket

    async def run(
        self,
        function: Function,
        claim: Claimed,
        *,
        task_id: str = "t1",
        when_uncertain: WhenUncertain = WhenUncertain.RESEND,
        limits: TimeLimits = DEFAULT_LIMITS,
    ) -> Outcome:
        async def handle(_event: EmailRequested, attempt: Attempt) -> dict[str, Any]:
            return await function(attempt)

        event = email_event().model_copy(update={"if_uncertain": when_uncertain})
        work = Work(envelope_of(event, task_id), event, handler(EmailRequested, handle, POLICY, limits))
        return await self.attempts.run(work, claim, None)


@pytest.fixture
async def cut_off(tmp_path: Path) -> AsyncIterator[CutOff]:
    records = Records(f"sqlite:///{tmp_path}/inbox.db")
    yield CutOff(records)
    await records.close()


async def done(attempt: Attempt) -> dict[str, Any]:
    return {"in_doubt": attempt.in_doubt}


async def test_an_attempt_that_kills_its_process_each_time_is_given_up(cut_off: CutOff) -> None:
    runs = 0

    async def deadly(_attempt: Attempt) -> dict[str, Any]:
        nonlocal runs
        runs += 1
        return {}

    for _ in range(MAX_STARTS):
        assert isinstance(await cut_off.run(deadly, await cut_off.claim()), Completed)
    outcome = await cut_off.run(deadly, await cut_off.claim())

    assert runs == MAX_STARTS
    assert isinstance(outcome, Died)
    assert (outcome.reason, outcome.error.type) == (DeadReason.CRASHED, "ProcessDied")


async def test_an_attempt_whose_key_is_missing_is_put_off_and_says_which(cut_off: CutOff) -> None:
    async def handle(_event: EmailRequested, _attempt: Attempt) -> dict[str, Any]:
        raise AssertionError("it has nothing to read")

    missing = NotReadableYetError("it needs the key abc")
    work = Work(envelope_of(email_event(), "t1"), missing, handler(EmailRequested, handle, POLICY))
    outcome = await cut_off.attempts.run(work, await cut_off.claim(), None)

    assert isinstance(outcome, Snoozed)
    assert "key abc" in outcome.error.message


class Alone:
    """Stands for processes of their own: each attempt ends in one as the test wants it."""

    def __init__(self, *ends: Outcome | Exception | None) -> None:
        self.ends = list(ends)
        self.ran: list[LoneAttempt] = []

    async def run(self, lone: LoneAttempt, _emit: Emit, _stop: asyncio.Event) -> Outcome | None:
        self.ran.append(lone)
        end = self.ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end


async def suspected(cut_off: CutOff) -> Claimed:
    """The claim of an attempt whose process has died twice."""
    for _ in range(ALONE_FROM - 2):
        await cut_off.run(done, await cut_off.claim())
    await cut_off.run(done, await cut_off.claim())
    return await cut_off.claim()


async def test_what_kills_its_own_process_and_not_the_service_is_given_up_at_once(cut_off: CutOff) -> None:
    alone = Alone(DiedAloneError("exit status -11"))
    cut_off.attempts.isolation = cast("Isolation[Any]", alone)
    outcome = await cut_off.run(no_handler, await suspected(cut_off))

    assert len(alone.ran) == 1
    assert isinstance(outcome, Died)
    assert (outcome.reason, outcome.error.type) == (DeadReason.CRASHED, "ProcessDied")
    assert "alone in a process of its own (exit status -11)" in outcome.error.message


async def test_what_ends_in_its_own_process_has_that_outcome(cut_off: CutOff) -> None:
    completed = Completed(at=datetime.now(UTC), seconds=1, max_attempts=3, result={})
    cut_off.attempts.isolation = cast("Isolation[Any]", Alone(completed, None, SnoozeError("no process")))
    claim = await suspected(cut_off)

    assert await cut_off.run(no_handler, claim) == completed
    with pytest.raises(LeaseLostError):
        await cut_off.run(no_handler, claim)
    assert isinstance(await cut_off.run(no_handler, claim), Snoozed)


async def test_a_process_that_takes_longer_than_it_may_leaves_the_effect_in_doubt(cut_off: CutOff) -> None:
    class Hangs(Alone):
        async def run(self, lone: LoneAttempt, _emit: Emit, _stop: asyncio.Event) -> Outcome | None:
            del lone
            await asyncio.Event().wait()
            return None

    cut_off.attempts.isolation = cast("Isolation[Any]", Hangs())
    claim = await suspected(cut_off)
    outcome = await cut_off.run(no_handler, claim, limits=TimeLimits(0.05, 0.1))

    assert isinstance(outcome, RetryLater)
    assert (outcome.error.type, outcome.in_doubt) == ("HardTimeLimitExceeded", True)


async def test_a_cancelled_task_stops_what_runs_in_a_process_of_its_own(cut_off: CutOff) -> None:
    cancelled = Cancelled(at=datetime.now(UTC), seconds=1, max_attempts=3)

    class Stops(Alone):
        async def run(self, lone: LoneAttempt, _emit: Emit, stop: asyncio.Event) -> Outcome | None:
            self.ran.append(lone)
            await stop.wait()
            return cancelled

    alone = Stops()
    cut_off.attempts.isolation = cast("Isolation[Any]", alone)
    running = asyncio.create_task(cut_off.run(no_handler, await suspected(cut_off)))
    await eventually(lambda: alone.ran)
    assert cut_off.attempts.running.stop("t1") == 1

    assert await running == cancelled


async def test_attempts_that_were_cut_off_run_again_one_at_a_time_and_others_beside_them(
    cut_off: CutOff,
) -> None:
    at_once, most, begun, go_on = 0, 0, asyncio.Event(), asyncio.Event()

    async def watched(_attempt: Attempt) -> dict[str, Any]:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        begun.set()
        await go_on.wait()
        at_once -= 1
        return {}

    suspects = [f"suspect-{number}" for number in range(5)]
    for task_id in suspects:
        await cut_off.claim(task_id)
    claims = [await cut_off.claim(task_id) for task_id in suspects]
    running = [
        asyncio.create_task(cut_off.run(watched, claim, task_id=task_id))
        for claim, task_id in zip(claims, suspects, strict=True)
    ]
    await begun.wait()
    # A message that comes for the first time waits for none of them.
    fresh = await cut_off.run(done, await cut_off.claim("fresh"), task_id="fresh")
    go_on.set()
    await asyncio.gather(*running)

    assert isinstance(fresh, Completed)
    assert most == 1


async def test_a_run_that_was_cut_off_while_it_acted_is_repeated_and_knows(cut_off: CutOff) -> None:
    await cut_off.inbox.begin_effect((await cut_off.claim()).owner)
    outcome = await cut_off.run(done, await cut_off.claim())

    assert isinstance(outcome, Completed)
    assert outcome.result == {"in_doubt": True}


async def test_or_is_parked_where_the_event_asks_for_that(cut_off: CutOff) -> None:
    await cut_off.inbox.begin_effect((await cut_off.claim()).owner)
    outcome = await cut_off.run(done, await cut_off.claim(), when_uncertain=WhenUncertain.PARK)

    assert isinstance(outcome, Died)
    assert (outcome.reason, outcome.error.type) == (DeadReason.UNCERTAIN, "MayHaveHappened")


async def test_a_run_that_was_cut_off_before_it_acted_is_never_parked(cut_off: CutOff) -> None:
    await cut_off.claim()
    outcome = await cut_off.run(done, await cut_off.claim(), when_uncertain=WhenUncertain.PARK)

    assert isinstance(outcome, Completed)
    assert outcome.result == {"in_doubt": False}


@pytest.mark.parametrize(
    ("when_uncertain", "expected"), [(WhenUncertain.RESEND, RetryLater), (WhenUncertain.PARK, Died)]
)
async def test_an_effect_without_an_answer_is_repeated_or_parked(
    cut_off: CutOff, when_uncertain: WhenUncertain, expected: type[Outcome]
) -> None:
    async def unanswered(_attempt: Attempt) -> dict[str, Any]:
        raise UncertainError("no answer to the content")

    outcome = await cut_off.run(unanswered, await cut_off.claim(), when_uncertain=when_uncertain)

    assert isinstance(outcome, expected)
    assert isinstance(outcome, RetryLater | Died)
    assert outcome.error.message == "no answer to the content"
    assert isinstance(outcome, Died) or outcome.in_doubt


@pytest.mark.parametrize("has_begun", [True, False])
async def test_an_effect_that_a_time_limit_cut_off_is_in_doubt_once_it_has_begun(
    cut_off: CutOff, *, has_begun: bool
) -> None:
    async def hangs(attempt: Attempt) -> dict[str, Any]:
        if has_begun:
            await attempt.begin_effect()
        await uncancellable(asyncio.Event().wait())
        return {}

    claim = await cut_off.claim()
    outcome = await cut_off.run(hangs, claim, limits=TimeLimits(0.05, 0.1))
    assert isinstance(outcome, RetryLater)
    assert (outcome.error.type, outcome.in_doubt) == ("HardTimeLimitExceeded", has_begun)

    # And so it is for the next attempt, which is parked if the event asks for that.
    envelope = envelope_of(email_event(), "t1")
    await cut_off.inbox.record(claim.owner, envelope, outcome)
    following = await cut_off.inbox.claim(envelope.next_attempt(3))
    assert isinstance(following, Claimed)
    after = await cut_off.run(done, following, when_uncertain=WhenUncertain.PARK)
    assert isinstance(after, Died if has_begun else Completed)


async def test_a_run_whose_lease_was_taken_over_does_not_act(cut_off: CutOff) -> None:
    acted = False

    async def acts(attempt: Attempt) -> dict[str, Any]:
        nonlocal acted
        await attempt.begin_effect()
        acted = True
        return {}

    late = await cut_off.claim()
    await cut_off.claim()
    with pytest.raises(LeaseLostError):
        await cut_off.run(acts, late)

    assert not acted


async def test_a_task_that_is_cancelled_after_an_attempt_without_an_answer_says_so(cut_off: CutOff) -> None:
    claim = replace(await cut_off.claim(), is_cancelled=True)
    outcome = await cut_off.run(no_handler, claim)
    in_doubt = await cut_off.run(no_handler, replace(claim, in_doubt=True))

    assert isinstance(outcome, Cancelled)
    assert outcome.error is None
    assert isinstance(in_doubt, Cancelled)
    assert in_doubt.error is not None
    assert in_doubt.error.type == "MayHaveHappened"


async def no_handler(_attempt: Attempt) -> dict[str, Any]:
    pytest.fail("the task was cancelled")


async def test_the_deadline_comes_before_all(cut_off: CutOff) -> None:
    event = email_event()
    envelope = envelope_of(event, "t1", deadline=datetime(2026, 1, 1, tzinfo=UTC))

    async def handle(_event: EmailRequested, _attempt: Attempt) -> dict[str, Any]:
        raise AssertionError("it is past its deadline")

    work = Work(envelope, event, handler(EmailRequested, handle, POLICY))
    outcome = await cut_off.attempts.run(work, await cut_off.claim(), None)

    assert isinstance(outcome, Died)
    assert outcome.reason is DeadReason.DEADLINE
