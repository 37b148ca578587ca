"""Handle and decide: runs a claimed attempt once, and makes an outcome of whatever comes of it."""

import asyncio
import random
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any, Final

from chassis.attempt import Attempt
from chassis.claims import Claimed
from chassis.decode import Work
from chassis.delay import round_up
from chassis.errors import UncertainError
from chassis.inbox import Inbox, LeaseLostError
from chassis.logs import get_logger
from chassis.outcome import Cancelled, Completed, Died, Outcome, RetryLater, as_json
from chassis.reporter import Reporter
from chassis.retry import GiveUp, after_failure
from chassis.running import CalledOffError, RunningHandlers
from chassis.steps import surely
from chassis.telling import started_event
from chassis.whereabouts import whereabouts
from contracts.events import WhenUncertain
from contracts.lifecycle import DeadReason, ErrorInfo

log = get_logger(__name__)

#: Runs of one attempt that may end with their process; the attempt that kills a further one is given up.
#: More than one, because the process may have died of something else; few, for others die along with it.
MAX_STARTS: Final = 3
_NOT_KNOWN: Final = "whether it had its effect is not known"


class Attempts:
    """Runs the attempts of one service."""

    def __init__(self, inbox: Inbox, reporter: Reporter) -> None:
        self._inbox = inbox
        self._reporter = reporter
        self._handlers = RunningHandlers()
        # What was cut off before may be what kills the process: at most one such attempt runs here, so
        # that it takes no other suspect along, and is not taken for the culprit because of one.
        self._one_suspect = asyncio.Semaphore(1)

    def stop_task(self, task_id: str) -> int:
        """Asks the handlers of a task that was called off to stop; returns how many run here."""
        return self._handlers.stop(task_id)

    async def run(self, work: Work, attempt: Attempt, claim: Claimed) -> Outcome:
        """Runs the handler once, unless there is a reason not to.

        Raises:
            LeaseLostError: another copy of the attempt has taken the claim over; there is nothing to record.
        """
        attempt = replace(
            attempt, in_doubt=claim.in_doubt, begin_effect=partial(self._inbox.begin_effect, claim.owner)
        )
        if (refused := _refused(work, attempt, claim, datetime.now(UTC))) is not None:
            return refused
        if not claim.begun_before:
            return await self._handle(work, attempt)
        async with self._one_suspect:
            starts = await surely("begin again", lambda: self._inbox.begin_again(claim.owner))
            if starts > MAX_STARTS:
                return _crashed(attempt, datetime.now(UTC))
            log.warning("an earlier run of this attempt was cut off; running it again", run=starts)
            return await self._handle(work, attempt)

    async def _handle(self, work: Work, attempt: Attempt) -> Outcome:
        started = monotonic()
        self._reporter.tell(started_event(attempt, datetime.now(UTC)))
        try:
            completed = await self._completed(work.handler.function(work.event, attempt), attempt)
        except CalledOffError:
            log.info("called off while it ran")
            return _cancelled(attempt, datetime.now(UTC), seconds=monotonic() - started)
        except LeaseLostError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the subtask gets an outcome
            return _failed(work, attempt, error, monotonic() - started)
        log.info("attempt completed", seconds=round(completed.seconds, 4))
        return completed

    async def _completed(self, handler: Coroutine[Any, Any, dict[str, Any]], attempt: Attempt) -> Completed:
        started = monotonic()
        # A result that is no JSON is the handler's failure, and must not show only when it is recorded.
        result = as_json(await self._handlers.run(attempt.task_id, handler))
        return Completed(
            at=datetime.now(UTC),
            seconds=monotonic() - started,
            max_attempts=attempt.max_attempts,
            result=result,
        )


def _refused(work: Work, attempt: Attempt, claim: Claimed, now: datetime) -> Outcome | None:
    """The outcome of an attempt that is not to be run; None: run it."""
    if attempt.deadline is not None and now > attempt.deadline:
        late = f"not started by {attempt.deadline.isoformat()}"
        return _died(attempt, now, "DeadlineExceeded", late, DeadReason.DEADLINE)
    if claim.called_off:
        log.info("called off", may_have_happened=claim.begun_before)
        doubt = ErrorInfo(
            type="MayHaveHappened", message=f"An earlier run of this attempt was cut off: {_NOT_KNOWN}."
        )
        return _cancelled(attempt, now, error=doubt if claim.begun_before else None)
    if claim.in_doubt and work.event.when_uncertain is WhenUncertain.PARK:
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


def _failed(work: Work, attempt: Attempt, error: Exception, seconds: float) -> RetryLater | Died:
    now = datetime.now(UTC)
    decision = after_failure(
        error,
        policy=work.handler.policy,
        attempt=attempt.attempt,
        max_attempts=attempt.max_attempts,
        deadline=attempt.deadline,
        now=now,
        draw=random.random,
        when_uncertain=work.event.when_uncertain,
    )
    info = ErrorInfo.of(error)
    if isinstance(decision, GiveUp):
        log.error("attempt failed for good", error=info.message, reason=decision.reason, exc_info=error)
        return Died(
            at=now,
            seconds=seconds,
            max_attempts=attempt.max_attempts,
            error=info,
            reason=decision.reason,
            where=whereabouts(error),
        )
    wait = round_up(decision.seconds)
    log.warning("attempt failed, another one follows", error=info.message, wait_seconds=wait)
    return RetryLater(
        at=now,
        seconds=seconds,
        max_attempts=attempt.max_attempts,
        error=info,
        wait_seconds=wait,
        next_attempt_at=now + timedelta(seconds=wait),
        in_doubt=isinstance(error, UncertainError),
    )
