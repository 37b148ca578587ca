"""The inbox: a service's record of the attempts that it has claimed and done.

Claims and outcomes are written in group commits. Leases of running attempts are renewed together; when a
process dies, its claims are taken over once their leases have expired. Only the owner of a claim can record
the outcome, so that one of two copies of an attempt reports it.
"""

import asyncio
import itertools
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, Update, update

from waybill_contracts.wire import Envelope
from waybill_database import Records, make_tables
from waybill_worker.inbox.cancelled_tasks import CANCELLED_METADATA, cancelled_among, mark
from waybill_worker.inbox.claims import Claimed, ClaimRequest, InboxRow, RowState, Ticket, decide
from waybill_worker.inbox.kept_messages import KEPT_METADATA, KeptMessages
from waybill_worker.inbox.table import (
    CLAIM_NEW,
    FINISH,
    FINISH_FOR_GOOD,
    INBOX,
    METADATA,
    ROWS_OF_TASKS,
    TAKE_OVER,
)
from waybill_worker.observe import get_logger
from waybill_worker.outcome import OUTCOME, Cancelled, Outcome, RetryLater, Snoozed, may_have_happened
from waybill_worker.runtime import Component

log = get_logger(__name__)

#: Renewals in the span of one lease: two may fail before it is lost.
RENEWALS_PER_LEASE = 3
#: Seconds that an outcome may wait for others to share its commit: it is less urgent than a claim.
RECORD_SECONDS = 0.005


class LeaseLostError(Exception):
    """Another run has taken the claim over; only that one may act and report now."""


@dataclass(frozen=True, slots=True)
class _Record:
    owner: str
    envelope: Envelope
    outcome: Outcome


class Inbox(Component):
    """The inbox of one service; replicas of the service share it.

    Attributes:
        kept: the messages of its long attempts.
    """

    def __init__(
        self,
        records: Records,
        service: str,
        *,
        lease_seconds: float,
        on_cancelled: Callable[[str], object] = lambda task_id: None,  # noqa: ARG005 - no handlers to stop
    ) -> None:
        """An inbox in `records`.

        Args:
            records: the database.
            service: the service.
            lease_seconds: how long a claim holds unless it is renewed.
            on_cancelled: called with the id of each cancelled task that runs here.
        """
        self._on_cancelled = on_cancelled
        self._records = records
        self._service = service
        self._lease = timedelta(seconds=lease_seconds)
        self.kept = KeptMessages(records, service)
        #: A unique name for each claim.
        self._owners = map(f"{secrets.token_hex(8)}.{{:x}}".format, itertools.count())
        #: Owner of each claim that is held, and its task.
        self._held: dict[str, str] = {}
        self._renewing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to renew leases; the tables must exist."""
        self._renewing = asyncio.create_task(self._renew_for_ever(), name="renew leases")

    def make_table(self) -> None:
        """Creates the tables if they are missing; other replicas may do so at the same time."""
        with self._records.engine.begin() as connection:
            for metadata in (METADATA, CANCELLED_METADATA, KEPT_METADATA):
                make_tables(connection, metadata)

    async def stop(self) -> None:
        """Stops renewing; remaining claims are free once their leases have expired."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)

    @property
    def lease_seconds(self) -> float:
        """How long a claim holds unless it is renewed."""
        return self._lease.total_seconds()

    def now(self) -> datetime:
        """The time on the clock that all replicas with the same inbox share."""
        return self._records.now()

    async def claim(self, envelope: Envelope) -> Ticket:
        """Claims the attempt that `envelope` names."""
        now = self.now()
        request = ClaimRequest(
            envelope.task_id,
            envelope.redrive_no,
            envelope.attempt,
            next(self._owners),
            now,
            now + self._lease,
            envelope.snooze_no,
        )
        # If the machine goes down and the claim is lost, the message comes again and is claimed again.
        ticket = await self._records.write(self._claim_all, request, relaxed=True)
        if isinstance(ticket, Claimed):
            self._held[ticket.owner] = envelope.task_id
        return ticket

    async def record(self, owner: str, envelope: Envelope, outcome: Outcome) -> Outcome | None:
        """Records the outcome of a claimed attempt, and releases the claim.

        Returns:
            The recorded outcome: `Cancelled` if another attempt would follow but the task was cancelled
            meanwhile; None if another run has taken the claim over.
        """
        recorded = await self._records.write(
            self._record_all, _Record(owner, envelope, outcome), patience=RECORD_SECONDS
        )
        self.let_go(owner)
        return recorded

    def record_at_once(self, owner: str, envelope: Envelope, outcome: Outcome) -> Outcome | None:
        """Records an outcome from any thread, without the event loop: for a process that is about to end."""
        return self._records.write_at_once(self._record_all, _Record(owner, envelope, outcome))

    def let_go(self, owner: str) -> None:
        """Stops renewing a claim: without an outcome, another copy takes it over when its lease expires."""
        self._held.pop(owner, None)

    async def begin_again(self, owner: str) -> int:
        """Records that another run of a claimed attempt begins, after one that was cut off.

        Returns:
            The number of runs that have begun, including this one.

        Raises:
            LeaseLostError: the claim has been taken over.
        """
        starts = await self._records.write(self._begin_all_again, owner)
        if starts is None:
            raise LeaseLostError
        return starts

    async def begin_effect(self, owner: str) -> None:
        """Records that the run begins an effect that cannot be undone, nor recognised if it is repeated.

        If the run ends without an outcome, the next run knows that the effect may have happened.

        Raises:
            LeaseLostError: the claim has been taken over, so this run must not act.
        """
        if not await self._records.write(self._begin_effects, owner):
            raise LeaseLostError

    async def release(self, owner: str, *, goes_on: bool = False) -> None:
        """Releases the claim of a run that a stop of the process cut off: the next run need not wait.

        Args:
            owner: of the claim.
            goes_on: the run goes on in a thread until the process ends; so the next one waits for the lease.
        """
        await self._records.write(self._uncount_all if goes_on else self._release_all, owner)
        self.let_go(owner)

    async def cancel(self, task_id: str) -> None:
        """Records for good that a task was cancelled: no attempt of it begins from now on."""
        await self._records.write(mark, (self._service, task_id))

    def _claim_all(self, connection: Connection, requests: Sequence[ClaimRequest]) -> Sequence[Ticket]:
        # In one order for all replicas: two with the same tasks must not wait for each other.
        ordered = sorted(requests, key=_order)
        # Nearly always the subtask is new, and this one statement is enough.
        new = {
            row.owner: Claimed(row.owner, is_cancelled=row.is_cancelled)
            for row in CLAIM_NEW.rows(connection, *map(self._row, ordered))
        }
        known = [request for request in requests if request.owner not in new]
        tickets = new | self._claim_known(connection, known) if known else new
        return [tickets[request.owner] for request in requests]

    def _claim_known(self, connection: Connection, requests: Sequence[ClaimRequest]) -> dict[str, Ticket]:
        """Tickets for subtasks that have a row, by the owner of each request."""
        task_ids = {request.task_id for request in requests}
        rows = self._locked_rows(connection, task_ids)
        cancelled = cancelled_among(connection, self._service, task_ids)
        tickets: dict[str, Ticket] = {}
        taken_over: list[dict[str, object]] = []
        for request in requests:
            key = (request.task_id, request.redrive_no)
            ticket = decide(rows[key], request)
            if isinstance(ticket, Claimed):
                # Two copies may stand in one batch: the second must see what the first got.
                rows[key] = _taken_over(rows[key], request, ticket)
                taken_over.append(_bound(self._row(request, rows[key])))
                ticket = replace(ticket, is_cancelled=request.task_id in cancelled)
            tickets[request.owner] = ticket
        if taken_over:
            TAKE_OVER.write(connection, taken_over)
        return tickets

    def _record_all(self, connection: Connection, records: Sequence[_Record]) -> Sequence[Outcome | None]:
        if any(isinstance(record.outcome, RetryLater | Snoozed) for record in records):
            return self._record_with_rows(connection, records)
        # In the order of all replicas, as claims are.
        rows = [
            self._key(record)
            | {"b_owner": record.owner, "b_outcome": OUTCOME.dump_json(record.outcome).decode()}
            for record in sorted(records, key=_order_of_record)
        ]
        finished = {row.owner for row in FINISH_FOR_GOOD.rows(connection, *rows)}
        return [record.outcome if record.owner in finished else None for record in records]

    def _record_with_rows(
        self, connection: Connection, records: Sequence[_Record]
    ) -> Sequence[Outcome | None]:
        """Records outcomes of which some depend on what the rows say, or on a cancellation."""
        task_ids = {record.envelope.task_id for record in records}
        rows = self._locked_rows(connection, task_ids)
        cancelled = cancelled_among(connection, self._service, task_ids)
        answers: list[Outcome | None] = []
        done: list[dict[str, object]] = []
        for record in records:
            key = (record.envelope.task_id, record.envelope.redrive_no)
            row = rows.get(key)
            if row is None or row.owner != record.owner or row.state is not RowState.CLAIMED:
                answers.append(None)
                continue
            outcome = record.outcome
            if isinstance(outcome, RetryLater | Snoozed) and record.envelope.task_id in cancelled:
                outcome = _instead_of(outcome, row)
            answers.append(outcome)
            done.append(
                self._key(record)
                | {
                    "b_state": RowState.DONE,
                    "b_outcome": OUTCOME.dump_json(outcome).decode(),
                    "b_in_doubt": row.in_doubt or (isinstance(outcome, RetryLater) and outcome.in_doubt),
                }
            )
        if done:
            FINISH.write(connection, done)
        return answers

    def _key(self, record: _Record) -> dict[str, object]:
        envelope = record.envelope
        return {
            "b_service": self._service,
            "b_task_id": envelope.task_id,
            "b_redrive_no": envelope.redrive_no,
        }

    def _locked_rows(self, connection: Connection, task_ids: set[str]) -> dict[tuple[str, int], InboxRow]:
        found = ROWS_OF_TASKS.rows(connection, {"service": self._service, "task_ids": list(task_ids)})
        return {
            (row.task_id, row.redrive_no): InboxRow(
                row.attempt,
                RowState(row.state),
                row.owner,
                row.lease_until,
                None if row.outcome is None else OUTCOME.validate_json(row.outcome),
                row.starts,
                row.effect_begun,
                row.in_doubt,
                row.snooze_no,
                row.life_since,
                row.attempt_since,
            )
            for row in found
        }

    def _begin_all_again(self, connection: Connection, owners: Sequence[str]) -> Sequence[int | None]:
        begun = connection.execute(
            self._update_held(owners)
            .values(starts=INBOX.c.starts + 1)
            .returning(INBOX.c.owner, INBOX.c.starts)
        )
        starts = {row.owner: row.starts for row in begun}
        return [starts.get(owner) for owner in owners]

    def _begin_effects(self, connection: Connection, owners: Sequence[str]) -> Sequence[bool]:
        update_held = self._update_held(owners).values(effect_begun=True).returning(INBOX.c.owner)
        begun = set(connection.scalars(update_held))
        return [owner in begun for owner in owners]

    def _release_all(self, connection: Connection, owners: Sequence[str]) -> Sequence[None]:
        connection.execute(self._update_held(owners).values(lease_until=self._records.now()))
        return self._uncount_all(connection, owners)

    def _uncount_all(self, connection: Connection, owners: Sequence[str]) -> Sequence[None]:
        # The stop of the process is not the attempt's fault: the run that it cut off is not counted.
        connection.execute(self._update_held(owners).values(starts=INBOX.c.starts - 1))
        return [None] * len(owners)

    def _update_held(self, owners: Iterable[str]) -> Update:
        return update(INBOX).where(INBOX.c.owner.in_(sorted(owners)), INBOX.c.state == RowState.CLAIMED)

    def _row(self, request: ClaimRequest, row: InboxRow | None = None) -> dict[str, object]:
        return {
            "service": self._service,
            "task_id": request.task_id,
            "redrive_no": request.redrive_no,
            "attempt": request.attempt,
            "state": RowState.CLAIMED,
            "owner": request.owner,
            "lease_until": request.lease_until,
            "outcome": None,
            "starts": row.starts if row else 1,
            "in_doubt": row is not None and row.in_doubt,
            "snooze_no": request.snooze_no,
            "life_since": row.life_since if row else request.now,
            "attempt_since": row.attempt_since if row else request.now,
        }

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._lease.total_seconds() / RENEWALS_PER_LEASE)
            if not self._held:
                continue
            try:
                renewal = (dict(self._held), self._records.now() + self._lease)
                for task_id in await self._records.write(self._renew_all, renewal, relaxed=True):
                    self._on_cancelled(task_id)
            except Exception:  # the next renewal may succeed before the leases expire
                log.exception("leases could not be renewed", held=len(self._held))

    def _renew_all(
        self, connection: Connection, renewals: Sequence[tuple[dict[str, str], datetime]]
    ) -> Sequence[set[str]]:
        # Another replica may have recorded the cancellation: each looks for its own tasks.
        answers = []
        for held, until in renewals:
            connection.execute(self._update_held(held).values(lease_until=until))
            answers.append(cancelled_among(connection, self._service, set(held.values())))
        return answers


def _instead_of(outcome: RetryLater | Snoozed, row: InboxRow) -> Cancelled:
    """The outcome of an attempt that another would follow if the task were not cancelled."""
    is_in_doubt = row.in_doubt or (isinstance(outcome, RetryLater) and outcome.in_doubt)
    doubt = may_have_happened(
        f"It was cancelled after an attempt that got no answer ({outcome.error.message})"
    )
    return Cancelled(
        at=outcome.at,
        seconds=outcome.seconds,
        max_attempts=outcome.max_attempts,
        error=doubt if is_in_doubt else outcome.error,
    )


def _order(request: ClaimRequest) -> tuple[str, int]:
    return request.task_id, request.redrive_no


def _order_of_record(record: _Record) -> tuple[str, int]:
    return record.envelope.task_id, record.envelope.redrive_no


def _taken_over(row: InboxRow, request: ClaimRequest, ticket: Claimed) -> InboxRow:
    return InboxRow(
        request.attempt,
        RowState.CLAIMED,
        request.owner,
        request.lease_until,
        None,
        # After a run that was cut off, `begin_again` counts the next one.
        starts=row.starts if ticket.begun_before else 1,
        in_doubt=ticket.in_doubt,
        snooze_no=request.snooze_no,
        life_since=ticket.life_since or request.now,
        attempt_since=ticket.attempt_since or request.now,
    )


def _bound(row: dict[str, object]) -> dict[str, object]:
    return {f"b_{name}": value for name, value in row.items()}
