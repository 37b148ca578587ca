"""Handle and decide: runs a claimed attempt once, and makes an outcome of whatever comes of it."""

import asyncio
from collections.abc import Callable, Coroutine
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final

from chassis.attempt import Attempt
from chassis.claims import Claimed
from chassis.deciding import Failed, outcome_of
from chassis.decode import Work
from chassis.inbox import Inbox, LeaseLostError
from chassis.logs import get_logger
from chassis.outcome import Cancelled, Completed, Died, Outcome, may_have_happened, result_of
from chassis.reporter import Reporter
from chassis.running import CalledOffError, RunningHandlers, hard_limit_error
from chassis.steps import surely
from chassis.telling import started_event
from chassis.watchdog import Watchdog, Watched
from contracts.events import WhenUncertain
from contracts.lifecycle import DeadReason, ErrorInfo
from contracts.trace import trace_id_of

log = get_logger(__name__)

#: Runs of one attempt that may end with their process; the attempt that kills a further one is given up.
#: More than one, because the process may have died of something else; few, for others die along with it.
MAX_STARTS: Final = 3
_NOT_KNOWN: Final = "whether it had its effect is not known"


class Attempts:
    """Runs the attempts of one service.

    Args:
        inbox: what is remembered of them.
        reporter: tells that they begin.
        watchdog: ends the process where a time limit cannot.
        on_stubborn: called when a handler does not end though it was cut off.
    """

    def __init__(
        self,
        inbox: Inbox,
        reporter: Reporter,
        watchdog: Watchdog,
        on_stubborn: Callable[[], object] = lambda: None,
    ) -> None:
        self._inbox = inbox
        self._reporter = reporter
        self._watchdog = watchdog
        self._handlers = RunningHandlers(on_stubborn)
        # What was cut off before may be what kills the process: at most one such attempt runs here, so
        # that it takes no other suspect along, and is not taken for the culprit because of one.
        self._one_suspect = asyncio.Semaphore(1)

    def stop_task(self, task_id: str) -> int:
        """Asks the handlers of a task that was called off to stop; returns how many run here."""
        return self._handlers.stop(task_id)

    @property
    def stubborn(self) -> AbstractSet[asyncio.Task[Any]]:
        """Those who wait for handlers that do not end though they were cut off."""
        return self._handlers.stubborn

    async def run(self, work: Work, attempt: Attempt, claim: Claimed) -> Outcome:
        """Runs the handler once, unless there is a reason not to.

        Raises:
            LeaseLostError: another copy of the attempt has taken the claim over; there is nothing to record.
        """
        now = self._inbox.now()
        attempt = replace(attempt, in_doubt=claim.in_doubt, deadline=_deadline(work, attempt, claim, now))
        if (refused := _refused(work, attempt, claim, now)) is not None:
            return refused
        if not claim.begun_before:
            return await self._handle(_Run(self._inbox, work, attempt, claim))
        async with self._one_suspect:
            starts = await surely("begin again", lambda: self._inbox.begin_again(claim.owner))
            if starts > MAX_STARTS:
                return _crashed(attempt, self._inbox.now())
            log.warning("an earlier run of this attempt was cut off; running it again", run=starts)
            return await self._handle(_Run(self._inbox, work, attempt, claim))

    async def _handle(self, run: "_Run") -> Outcome:
        attempt, work, limits = run.attempt, run.work, run.work.handler.limits
        self._reporter.tell(started_event(attempt, self._inbox.now()))
        try:
            with self._watchdog.watching(run.watched()):
                result = await self._handlers.run(attempt.task_id, run.handler(), limits)
            # It may repeat what the other side has repeated of the event.
            completed = run.completed(work.mask.json(result_of(result)))
        except CalledOffError:
            log.info("called off while it ran")
            return _cancelled(attempt, self._inbox.now(), seconds=run.seconds)
        except LeaseLostError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the subtask gets an outcome
            return run.failed(error)
        log.info("attempt completed", seconds=round(completed.seconds, 4))
        return completed


class _Run:
    """One run of a handler, which begins now: what it was given, and what came of it."""

    def __init__(self, inbox: Inbox, work: Work, attempt: Attempt, claim: Claimed) -> None:
        self._inbox = inbox
        self._claim = claim
        self._started = monotonic()
        self._started_at = self._inbox.now()
        self._effect_begun = False
        self.work = work
        self.attempt = replace(attempt, begin_effect=self._begin_effect)

    @property
    def seconds(self) -> float:
        return monotonic() - self._started

    def handler(self) -> Coroutine[Any, Any, dict[str, Any] | None]:
        return self.work.run(self.attempt)

    def completed(self, result: dict[str, Any]) -> Completed:
        return Completed(
            at=self._inbox.now(),
            seconds=self.seconds,
            max_attempts=self.attempt.max_attempts,
            result=result,
        )

    def failed(self, error: Exception) -> Outcome:
        since = self._claim.attempt_since or self._started_at
        return outcome_of(
            Failed(error, self.seconds, since, self._effect_begun), self.work, self.attempt, self._inbox.now()
        )

    def watched(self) -> Watched:
        limits = self.work.handler.limits
        return Watched(
            task_id=self.attempt.task_id,
            trace_id=trace_id_of(self.work.envelope.traceparent),
            kind=self.attempt.kind,
            attempt=self.attempt.attempt,
            hard_at=self._started + limits.hard_seconds,
            record=self._record_hard_limit,
        )

    async def _begin_effect(self) -> None:
        await self._inbox.begin_effect(self._claim.owner)
        self._effect_begun = True

    def _record_hard_limit(self) -> None:
        # From any thread, while the handler still runs: the process ends right after.
        outcome = self.failed(hard_limit_error(self.work.handler.limits))
        self._inbox.record_at_once(self._claim.owner, self.work.envelope, outcome)


def _deadline(work: Work, attempt: Attempt, claim: Claimed, now: datetime) -> datetime | None:
    """The sooner of what the message says and of what the policy gives the subtask for its whole life."""
    seconds = work.handler.policy.deadline_seconds
    if seconds is None:
        return attempt.deadline
    end = (claim.life_since or now) + timedelta(seconds=seconds)
    return end if attempt.deadline is None else min(attempt.deadline, end)


def _refused(work: Work, attempt: Attempt, claim: Claimed, now: datetime) -> Outcome | None:
    """The outcome of an attempt that is not to be run; None: run it."""
    if attempt.deadline is not None and now > attempt.deadline:
        late = f"not started by {attempt.deadline.isoformat()}"
        return _died(attempt, now, "DeadlineExceeded", late, DeadReason.DEADLINE)
    if claim.called_off:
        is_in_doubt = claim.begun_before or claim.in_doubt
        log.info("called off", may_have_happened=is_in_doubt)
        doubt = may_have_happened("An earlier run was cut off, or got no answer")
        return _cancelled(attempt, now, error=doubt if is_in_doubt else None)
    if claim.in_doubt and work.when_uncertain is WhenUncertain.PARK:
        message = f"An earlier run was cut off while it acted: {_NOT_KNOWN}, and it is not to happen twice."
        return _died(attempt, now, "MayHaveHappened", message, DeadReason.UNCERTAIN)
    return None


def _crashed(attempt: Attempt, now: datetime) -> Died:
    log.error("its process died each time that this attempt was run; giving it up", runs=MAX_STARTS)
    message = f"Each of its {MAX_STARTS} runs ended with the death of the process that ran it."
    return _died(attempt, now, "ProcessDied", message, DeadReason.CRASHED)


def _died(attempt: Attempt, at: datetime, type_: str, message: str, reason: DeadReason) -> Died:
    error = ErrorInfo(type=type_, message=message)
    return Died(at=at, seconds=0, max_attempts=attempt.max_attempts, error=error, reason=reason)


def _cancelled(
    attempt: Attempt, at: datetime, *, seconds: float = 0, error: ErrorInfo | None = None
) -> Cancelled:
    return Cancelled(at=at, seconds=seconds, max_attempts=attempt.max_attempts, error=error)
