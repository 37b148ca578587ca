"""Handle and decide: runs a claimed attempt once, and makes an outcome of its result or error."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from datetime import datetime
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from waybill_contracts.events import Event, WhenUncertain
from waybill_contracts.wire import DeadReason, ErrorInfo, LifecycleEvent, ProgressInfo, trace_id_of
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.decision import Failed, outcome_of
from waybill_worker.attempt.handlers import Handler, Runs
from waybill_worker.attempt.isolation import DiedAloneError, Emit, Isolation, LoneAttempt, until_it_ends
from waybill_worker.attempt.plain_functions import FunctionProcesses, in_thread
from waybill_worker.attempt.work import Work
from waybill_worker.errors import NotReadableYetError
from waybill_worker.files import AttemptFiles
from waybill_worker.inbox import Claimed, Inbox, LeaseLostError
from waybill_worker.limits import (
    CLEAN_UP_SECONDS,
    LONGEST_SECONDS,
    HandlerCancelled,
    RunningHandlers,
    TimeLimits,
    Watchdog,
    Watched,
    hard_limit_error,
)
from waybill_worker.observe import get_logger
from waybill_worker.outcome import Cancelled, Completed, Died, Outcome, may_have_happened, result_of
from waybill_worker.outputs import KeyringSource, ProgressReports, Spawning, no_keyring
from waybill_worker.publish import Reporter, progress_event, retry_until_success, started_event

if TYPE_CHECKING:
    # Entered only where there are files.
    from waybill_worker.object_store import ObjectStore

log = get_logger(__name__)

#: From this run on, an attempt whose earlier runs ended with their process runs in a process of its own: if
#: that dies, the attempt is the cause. Not sooner: most deaths come from outside; a process costs a second.
ALONE_FROM: Final = 3
#: Runs that may end together with the whole service before the attempt is given up without proof that it is
#: the cause: where memory runs out, all processes of a container may be killed at once.
MAX_STARTS: Final = 10
#: Seconds that the kernel may take to end a process that was killed.
KILLED_SECONDS: Final = 60.0
_NOT_KNOWN: Final = "whether it had its effect is not known"


class Attempts:
    """Runs the attempts of one service.

    Args:
        service: name of the service.
        inbox: its record of attempts.
        reporter: reports that they begin.
        watchdog: ends the process where a time limit cannot stop a handler.
        running: runs their handlers.
        keyring: gives the keys that seal the tasks which handlers submit.
        store: where their files are; None: they have none.

    Attributes:
        isolation: runs attempts in processes of their own; None: there are none.
        processes: runs handler functions in processes; None: there are none.
        running: the handlers that run here.
    """

    def __init__(
        self,
        service: str,
        inbox: Inbox,
        reporter: Reporter,
        watchdog: Watchdog,
        running: RunningHandlers,
        keyring: KeyringSource = no_keyring,
        store: "ObjectStore | None" = None,
    ) -> None:
        self.isolation: Isolation[Any] | None = None
        self.processes: FunctionProcesses | None = None
        self._service = service
        self._inbox = inbox
        self._reporter = reporter
        self._watchdog = watchdog
        self.running = running
        self._keyring = keyring
        self._store = store
        # An attempt that was cut off before may be what kills the process. At most one of them runs here, so
        # that they are not blamed for each other.
        self._one_suspect = asyncio.Semaphore(1)

    async def run(self, work: Work, claim: Claimed, correlation_id: str | None) -> Outcome:
        """Runs the handler once, unless there is a reason not to.

        Args:
            work: what the message asks for.
            claim: the right to run it.
            correlation_id: the message's.

        Raises:
            LeaseLostError: another copy of the attempt has taken the claim over; there is nothing to record.
        """
        outcome = await self._run(work, claim, correlation_id)
        if claim.begun_before and self._store is not None:
            # A run that was cut off cannot say whether it has stored files.
            return outcome.model_copy(update={"has_files": True})
        return outcome

    async def _run(self, work: Work, claim: Claimed, correlation_id: str | None) -> Outcome:
        now = self._inbox.now()
        attempt = work.attempt(self._service, claim, now, correlation_id)
        if (refused := _refused(work, attempt, claim, now)) is not None:
            return refused
        if not claim.begun_before:
            return await self._handle(self._claimed(work, attempt, claim, self._reporter.queue))
        async with self._turn_of_suspect(work):
            starts = await retry_until_success("begin again", partial(self._inbox.begin_again, claim.owner))
            if starts > MAX_STARTS:
                how = f"Each of its {MAX_STARTS} runs ended with the death of the service that ran it."
                return _crashed(attempt, self._inbox.now(), how)
            log.warning("an earlier run of this attempt was cut off; running it again", run=starts)
            run = self._claimed(work, attempt, claim, self._reporter.queue)
            is_early = starts < ALONE_FROM and not work.is_long
            if self.isolation is None or is_early or isinstance(work.event, NotReadableYetError):
                return await self._handle(run)
            return await self._handle_alone(
                self.isolation, LoneAttempt(work.envelope, work.event, attempt, claim), run
            )

    def _turn_of_suspect(self, work: Work) -> AbstractAsyncContextManager[object]:
        # Others would wait for hours for a long one. It runs in a process of its own, where it harms nobody.
        return nullcontext() if work.is_long else self._one_suspect

    async def run_here(self, work: Work, lone: LoneAttempt, emit: Emit) -> Outcome:
        """Runs an attempt that another process has claimed, and that waits for what comes of it.

        Args:
            work: what its message asks for.
            lone: the attempt.
            emit: has that process publish a lifecycle event.

        Raises:
            LeaseLostError: another copy of the attempt has taken the claim over; there is nothing to record.
        """
        return await self._outcome_of(self._claimed(work, lone.attempt, lone.claim, emit))

    def _claimed(self, work: Work, attempt: Attempt, claim: Claimed, emit: Emit) -> "_ClaimedRun":
        files = AttemptFiles(self._store, attempt.task_id, work.mask)
        return _ClaimedRun(self._inbox, work, replace(attempt, files=files), claim, emit, self._keyring)

    async def _handle(self, run: "_ClaimedRun") -> Outcome:
        self._reporter.emit(run.started_event())
        async with self._beating(run):
            with self._watchdog.watching(run.watched()):
                return await self._outcome_of(run)

    @asynccontextmanager
    async def _beating(self, run: "_ClaimedRun") -> AsyncIterator[None]:
        """Reports now and then that a long attempt still runs, so that it is not put back."""
        if not run.work.is_long:
            yield
            return
        beating = asyncio.create_task(self._beat(run), name="heartbeat")
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    async def _beat(self, run: "_ClaimedRun") -> None:
        while True:
            await asyncio.sleep(self._inbox.lease_seconds)
            # Nothing piles up while the broker is away.
            await self._reporter.emit_and_wait(run.heartbeat())

    async def _handle_alone(
        self, isolation: "Isolation[Any]", lone: LoneAttempt, run: "_ClaimedRun"
    ) -> Outcome:
        attempt, limits = run.attempt, run.work.handler.limits
        self._reporter.emit(run.started_event())

        async def alone() -> Outcome | None:
            return await until_it_ends(partial(isolation.run, lone, self._reporter.queue))

        run.may_act_elsewhere()
        try:
            later = TimeLimits(
                limits.soft_seconds, min(limits.hard_seconds + CLEAN_UP_SECONDS, LONGEST_SECONDS)
            )
            async with self._beating(run):
                outcome = await self.running.run(attempt.task_id, alone(), later)
        except DiedAloneError as died:
            how = (
                f"Its runs ended with their process, and the last one alone in a process of its own ({died})."
            )
            return _crashed(attempt, self._inbox.now(), how)
        except Exception as error:  # noqa: BLE001 - the subtask gets an outcome after any error
            return run.failed(error)
        if outcome is None:
            raise LeaseLostError
        return outcome

    async def _outcome_of(self, run: "_ClaimedRun") -> Outcome:
        attempt, work = run.attempt, run.work
        try:
            if isinstance(work.event, NotReadableYetError):
                raise work.event  # noqa: TRY301 - as a handler that snoozes
            if work.handler.runs is Runs.IN_PROCESS and self.processes is not None:
                await self.processes.prepare(work.handler.function)
            result = await self.running.run(
                attempt.task_id,
                self._begun(work.handler, work.event, attempt),
                work.handler.limits,
                clean_up_seconds=_clean_up_seconds(work.handler.runs),
            )
            # The other side may have repeated parts of the event.
            completed = run.completed(attempt.files.in_result(work.mask.json(result_of(result))))
        except HandlerCancelled:
            log.info("cancelled while it ran")
            return run.cancelled()
        except LeaseLostError:
            raise
        except Exception as error:  # noqa: BLE001 - the subtask gets an outcome after any error
            return run.failed(error)
        finally:
            run.progress.end()
            attempt.files.remove_copies()
        log.info("attempt completed", seconds=round(completed.seconds, 4))
        return completed

    def _begun(self, handler: Handler, event: Event, attempt: Attempt) -> Coroutine[Any, Any, Any]:
        function: Callable[..., Any] = handler.function
        match handler.runs:
            case Runs.ON_LOOP:
                called: Coroutine[Any, Any, Any] = function(event, attempt)
                return called
            case Runs.IN_THREAD:
                return in_thread(function, event, attempt)
            case Runs.IN_PROCESS:
                if self.processes is None:
                    raise RuntimeError(f"there are no processes for {attempt.kind}")
                return self.processes.run(function, event, attempt)


def _clean_up_seconds(runs: Runs) -> float:
    # A process that is killed has nothing to clean up, and must not end the service if it takes its time.
    return KILLED_SECONDS if runs is Runs.IN_PROCESS else CLEAN_UP_SECONDS


class _ClaimedRun:
    """One run of a claimed attempt, which begins now: its input and its outcome."""

    def __init__(
        self,
        inbox: Inbox,
        work: Work,
        attempt: Attempt,
        claim: Claimed,
        emit: Emit,
        keyring: KeyringSource,
    ) -> None:
        self._inbox = inbox
        self._emit = emit
        self._claim = claim
        self._started = monotonic()
        self._started_at = self._inbox.now()
        self._effect_begun = False
        self.work = work
        self.progress = ProgressReports(self._send_progress, work.mask)
        self._spawning = Spawning(attempt.task_id, attempt.effect_key, keyring=keyring, now=inbox.now)
        self.attempt = replace(
            attempt,
            begin_effect=self._begin_effect,
            progress_reports=self.progress,
            spawning=self._spawning,
        )

    @property
    def seconds(self) -> float:
        return monotonic() - self._started

    def started_event(self) -> LifecycleEvent:
        attempt = self.attempt
        return started_event(attempt.service, self.work.envelope, attempt.max_attempts, self._started_at)

    def heartbeat(self) -> LifecycleEvent:
        """Its start, reported again: the newer time says that it still runs."""
        attempt = self.attempt
        return started_event(attempt.service, self.work.envelope, attempt.max_attempts, self._inbox.now())

    def completed(self, result: dict[str, Any]) -> Completed:
        return Completed(
            at=self._inbox.now(),
            seconds=self.seconds,
            max_attempts=self.attempt.max_attempts,
            has_files=self.attempt.files.has_begun,
            result=result,
            spawned=self._spawning.closed(),
        )

    def cancelled(self) -> Outcome:
        return self._with_files(_cancelled(self.attempt, self._inbox.now(), seconds=self.seconds))

    def failed(self, error: Exception) -> Outcome:
        since = self._claim.attempt_since or self._started_at
        failed = Failed(error, self.seconds, since, self._effect_begun)
        return self._with_files(outcome_of(failed, self.work, self.attempt, self._inbox.now()))

    def _with_files(self, outcome: Outcome) -> Outcome:
        # What a failed attempt has stored is removed with its task.
        return outcome.model_copy(update={"has_files": True}) if self.attempt.files.has_begun else outcome

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

    def _send_progress(self, progress: ProgressInfo) -> asyncio.Future[None]:
        attempt = self.attempt
        now = self._inbox.now()
        return self._emit(
            progress_event(attempt.service, self.work.envelope, attempt.max_attempts, progress, now)
        )

    async def _begin_effect(self) -> None:
        await self._inbox.begin_effect(self._claim.owner)
        self._effect_begun = True

    def may_act_elsewhere(self) -> None:
        """Another process runs it, and may begin the effect."""
        self._effect_begun = True

    def _record_hard_limit(self) -> None:
        # From any thread, while the handler still runs: the process ends right after.
        outcome = self.failed(hard_limit_error(self.work.handler.limits))
        self._inbox.record_at_once(self._claim.owner, self.work.envelope, outcome)


def _refused(work: Work, attempt: Attempt, claim: Claimed, now: datetime) -> Outcome | None:
    """The outcome of an attempt that is not to be run; None: run it."""
    if attempt.deadline is not None and now > attempt.deadline:
        late = f"not started by {attempt.deadline.isoformat()}"
        return _died(attempt, now, "DeadlineExceeded", late, DeadReason.DEADLINE)
    if claim.is_cancelled:
        is_in_doubt = claim.begun_before or claim.in_doubt
        log.info("cancelled before it ran", may_have_happened=is_in_doubt)
        doubt = may_have_happened("An earlier run was cut off, or got no answer")
        return _cancelled(attempt, now, error=doubt if is_in_doubt else None)
    if claim.in_doubt and work.when_uncertain is WhenUncertain.PARK:
        message = f"An earlier run was cut off while it acted: {_NOT_KNOWN}, and it is not to happen twice."
        return _died(attempt, now, "MayHaveHappened", message, DeadReason.UNCERTAIN)
    return None


def _crashed(attempt: Attempt, now: datetime, how: str) -> Died:
    log.error("its process died each time that this attempt was run; giving it up", how=how)
    return _died(attempt, now, "ProcessDied", how, DeadReason.CRASHED)


def _died(attempt: Attempt, at: datetime, type_: str, message: str, reason: DeadReason) -> Died:
    error = ErrorInfo(type=type_, message=message)
    return Died(at=at, seconds=0, max_attempts=attempt.max_attempts, error=error, reason=reason)


def _cancelled(
    attempt: Attempt, at: datetime, *, seconds: float = 0, error: ErrorInfo | None = None
) -> Cancelled:
    return Cancelled(at=at, seconds=seconds, max_attempts=attempt.max_attempts, error=error)
