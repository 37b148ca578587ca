"""The consume pipeline: decode -> claim -> handle -> decide -> report -> ack.

The result of each step is safe before the next one begins, so that a process may die between any two of them:
the message comes again, the claim shows what was done already, and the rest is done then.

After a lost connection the broker delivers the message again, but the attempt goes on, and the new copy finds
its claim or its outcome.
"""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

import structlog

from waybill_contracts.wire import DeadReason, ErrorInfo, LifecycleEvent, trace_id_of, work_queue
from waybill_worker.attempt import (
    UNKNOWN_KIND,
    AttemptMetrics,
    Attempts,
    Emit,
    LoneAttempt,
    Work,
)
from waybill_worker.broker import Delivery
from waybill_worker.consume.decode import Decoder, UnreadableError
from waybill_worker.consume.long_attempts import LongAcknowledger, LongAttempts
from waybill_worker.consume.turns import Turns
from waybill_worker.inbox import AlreadyDone, Busy, Claimed, Inbox, LeaseLostError, Superseded
from waybill_worker.observe import Span, get_logger, mask_lines
from waybill_worker.outcome import Cancelled, Completed, Died, Outcome, RetryLater, Snoozed
from waybill_worker.publish import (
    DeliveryLostError,
    Publisher,
    Reporter,
    consume_span,
    dead_letter,
    follow_up_span,
    later,
    outcome_event,
    retry_until_success,
    retry_while_delivered,
    started_event,
    unreadable_event,
)

log = get_logger(__name__)

#: Seconds that a cancelled handler has to clean up.
CANCEL_SECONDS: Final = 1.0


class Pipeline:
    """Runs the messages of one service through the steps, many at once.

    Attributes:
        long: the long attempts among them.
        release: version of the service, in dead letters; None: the version that is installed.
    """

    def __init__(
        self,
        service: str,
        *,
        inbox: Inbox,
        publisher: Publisher,
        reporter: Reporter,
        attempts: Attempts,
        metrics: AttemptMetrics,
        decoder: Decoder,
        turns: Turns,
    ) -> None:
        self._service = service
        self.release: str | None = None
        self._handlers = decoder.handlers
        self._inbox = inbox
        self._publisher = publisher
        self._reporter = reporter
        self._metrics = metrics
        self._decoder = decoder
        self._turns = turns
        self.long = LongAttempts(inbox.kept)
        self._running: set[asyncio.Task[None]] = set()
        self._attempts = attempts

    async def consume(self, delivery: Delivery) -> None:
        """Runs one delivery through all steps, in a task of its own; `drain` may cancel it."""
        running = asyncio.current_task()
        if running is None:
            raise RuntimeError("a delivery is consumed in a task")
        self._begin(running)
        try:
            await self._run(delivery)
        finally:
            self._end(running)

    def resume(self, delivery: Delivery) -> None:
        """Goes on with a message from the inbox, in a task of its own."""
        resumed = asyncio.create_task(self.consume(delivery), name="resume")
        self._begin(resumed)  # at once: it must not be missed by a drain that begins before it does
        resumed.add_done_callback(self._end)

    def _begin(self, running: asyncio.Task[None]) -> None:
        self._running.add(running)
        self._metrics.in_work(len(self._running))

    def _end(self, running: asyncio.Task[None]) -> None:
        self._running.discard(running)
        self._metrics.in_work(len(self._running))

    async def run_alone(self, lone: LoneAttempt, emit: Emit) -> Outcome | None:
        """Runs an attempt that another process has claimed, and that publishes what `emit` gets.

        Returns:
            Its outcome; None: its lease was lost.
        """
        work = Work(lone.envelope, lone.event, self._handlers[lone.envelope.kind])
        mask_lines(work.mask)
        try:
            return await self._attempts.run_here(work, lone, emit)
        except LeaseLostError:
            return None

    async def drain(self, timeout_seconds: float) -> int:
        """Waits for the deliveries under way, and cancels those that do not end in time.

        Returns:
            How many were cancelled; their messages will be delivered again.
        """
        self._turns.stop()
        if not self._running:
            return 0
        # Stuck handlers are not waited for.
        if ending := self._running - self._attempts.running.stuck:
            await asyncio.wait(ending, timeout=timeout_seconds)
        late = set(self._running)
        for running in late:
            running.cancel()
        if late:
            await asyncio.wait(late, timeout=CANCEL_SECONDS)
        return len(late)

    async def _run(self, delivery: Delivery) -> None:
        try:
            work = self._decoder.decode(delivery)
        except UnreadableError as unreadable:
            await self._refuse(delivery, unreadable)
            return
        envelope = work.envelope
        delivery = self.long.begun(delivery, work)
        mask_lines(work.mask)
        structlog.contextvars.bind_contextvars(
            task_id=envelope.task_id,
            service=self._service,
            attempt=envelope.attempt,
            correlation_id=delivery.correlation_id,
            trace_id=trace_id_of(envelope.traceparent),
        )
        try:
            with consume_span(work_queue(self._service), envelope) as span:
                wait = await self._turns.take(envelope.kind)
                if wait is None:
                    try:
                        await self._work_through(delivery, work, span)
                    finally:
                        self._turns.leave(envelope.kind)
                else:
                    log.info("no place for this kind now; trying again later", wait_seconds=round(wait))
                    span.set("waybill.outcome", "waits")
                    await self._again(delivery, work, wait)
                await delivery.acknowledger.ack()
        except DeliveryLostError:
            log.info("the connection was lost; the message will be delivered again", once_a_minute=True)
        except Exception as error:
            # The consumer rejects what cannot be handled; the broker has no more what the inbox keeps.
            if not _is_kept(delivery):
                raise
            log.exception("message cannot be handled", queue=work_queue(self._service))
            await self._reject_kept(delivery, error)
        finally:
            self.long.ended(delivery)

    async def _reject_kept(self, delivery: Delivery, error: Exception) -> None:
        info, now = ErrorInfo.of(error), datetime.now(UTC)
        message = dead_letter(self._service, delivery, info, DeadReason.REJECTED, now, release=self.release)
        await retry_until_success("dead-letter", partial(self._publisher.publish, message))
        await delivery.acknowledger.ack()

    async def _work_through(self, delivery: Delivery, work: Work, span: Span) -> None:
        ticket = await retry_while_delivered(delivery, "claim", partial(self._inbox.claim, work.envelope))
        match ticket:
            case Claimed() as claim:
                recorded = await self._attempt_and_record(claim, delivery, work)
                if recorded is None:
                    span.failed(LeaseLostError.__name__)
                    _leave(delivery)
                    return
                outcome = recorded
            case AlreadyDone(outcome):
                log.info("this attempt was run before; reporting its outcome again", outcome=outcome.is_)
                span.set("waybill.run_before", value=True)
            case Busy(until):
                log.info("another copy of this attempt runs; trying again later", until=str(until))
                span.set("waybill.outcome", "busy")
                wait = (until - self._inbox.now()).total_seconds() + 1
                await self._again(delivery, work, wait)
                return
            case _:
                log.info("a later attempt or an outcome exists; dropping this copy", exists=ticket.attempt)
                span.set("waybill.outcome", "superseded")
                # If the broker has lost the report of that, no other process will report it.
                await self._reporter.emit_and_wait(_superseding_event(self._service, work, ticket))
                return
        span.set("waybill.outcome", outcome.is_)
        if not isinstance(outcome, Completed | Cancelled):
            span.failed(outcome.error.type)
        await self._settle(delivery, work, outcome)

    async def _attempt_and_record(self, claim: Claimed, delivery: Delivery, work: Work) -> Outcome | None:
        """Run a claimed attempt; return its recorded outcome, None if another copy has taken it over."""
        try:
            if isinstance(delivery.acknowledger, LongAcknowledger):
                await delivery.acknowledger.keep(delivery)
            outcome = await self._attempts.run(work, claim, delivery.correlation_id)
            # However long it takes, and even if the message is lost meanwhile: only this process knows the
            # outcome, and the next copy must not run the attempt again.
            recorded = await retry_until_success(
                "record", partial(self._inbox.record, claim.owner, work.envelope, outcome)
            )
        except LeaseLostError:
            self._metrics.lease_lost()
            log.warning("the lease was lost: this attempt has not acted")
            return None
        except asyncio.CancelledError:
            # The process stops: the message comes again, and its next run need not wait for the lease.
            goes_on = asyncio.current_task() in self._attempts.running.abandoned
            await self._inbox.release(claim.owner, goes_on=goes_on)
            raise
        finally:
            self._inbox.let_go(claim.owner)
        if recorded is None:
            self._metrics.lease_lost()
            log.warning("the lease was lost: this attempt's outcome is not recorded", outcome=outcome.is_)
        else:
            kind = work.envelope.kind
            # A message may name any kind, and each label is kept for good.
            self._metrics.recorded(kind if kind in self._handlers else UNKNOWN_KIND, recorded)
            self._turns.took(kind, outcome.seconds)
        return recorded

    async def _again(self, delivery: Delivery, work: Work, seconds: float) -> None:
        """Publish the same message again, to come back later; one in the inbox comes back by itself."""
        if _leave(delivery):
            return
        message = later(self._service, delivery, work.envelope, seconds)
        await retry_while_delivered(delivery, "try again later", partial(self._publisher.publish, message))

    async def _settle(self, delivery: Delivery, work: Work, outcome: Outcome) -> None:
        """Report the outcome to the status service, then publish the message that follows.

        In this order, because the next attempt makes this one's message obsolete: with the report first, a
        crash in between leaves no gap in the timeline.
        """
        await self._reporter.emit_and_wait(outcome_event(self._service, work.envelope, outcome))
        if isinstance(outcome, RetryLater):
            following = work.envelope.next_attempt(outcome.max_attempts)
            message = later(self._service, delivery, following, outcome.wait_seconds)
        elif isinstance(outcome, Snoozed):
            following = work.snoozed(outcome.max_attempts)
            message = later(self._service, delivery, following, outcome.wait_seconds)
        elif isinstance(outcome, Died):
            message = dead_letter(
                self._service,
                delivery,
                outcome.error,
                outcome.reason,
                outcome.at,
                outcome.where,
                self.release,
            )
        else:
            return
        with follow_up_span(message, work.envelope) as sent:
            await retry_while_delivered(delivery, "publish", partial(self._publisher.publish, sent))

    async def _refuse(self, delivery: Delivery, unreadable: UnreadableError) -> None:
        now = datetime.now(UTC)
        error = ErrorInfo.of(unreadable)
        self._metrics.unreadable()
        log.error("message cannot be read", error=error)
        try:
            if unreadable.envelope is not None:
                await self._reporter.emit_and_wait(
                    unreadable_event(self._service, unreadable.envelope, error, now)
                )
            message = dead_letter(
                self._service, delivery, error, DeadReason.UNREADABLE, now, release=self.release
            )
            await retry_while_delivered(delivery, "dead-letter", partial(self._publisher.publish, message))
            await delivery.acknowledger.ack()
        except DeliveryLostError:
            log.info("the connection was lost; the message will be delivered again", once_a_minute=True)


def _is_kept(delivery: Delivery) -> bool:
    """Whether the inbox has the message, and the broker has not."""
    return isinstance(delivery.acknowledger, LongAcknowledger) and delivery.acknowledger.is_kept


def _leave(delivery: Delivery) -> bool:
    """Whether the inbox keeps the message; then it stays there, for the process that goes on."""
    acknowledger = delivery.acknowledger
    if not isinstance(acknowledger, LongAcknowledger) or not acknowledger.is_kept:
        return False
    acknowledger.leave()
    return True


def _superseding_event(service: str, work: Work, superseded: Superseded) -> LifecycleEvent:
    """The event of the attempt or outcome that makes a copy obsolete."""
    existing = replace(work.envelope, attempt=superseded.attempt, snooze_no=superseded.snooze_no)
    if superseded.outcome is None:
        return started_event(service, existing, work.max_attempts, datetime.now(UTC))
    return outcome_event(service, existing, superseded.outcome)
