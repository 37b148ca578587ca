"""The inbox: a service's record of what it has claimed and done.

Claims and outcomes are written in group commits. Leases of attempts under way are renewed together; a claim
whose process died is taken over when its lease has run out. An outcome is recorded only by the claim's owner,
so that of two copies of an attempt only one can ever speak.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, Text, bindparam, select, update

from chassis.claims import (
    Claimed,
    ClaimRequest,
    InboxRow,
    RowState,
    Ticket,
    decide,
)
from chassis.logs import get_logger
from chassis.outcome import OUTCOME, Completed, Died, RetryLater
from contracts.envelope import Envelope
from database import Instant, Records, insert_new, one_at_a_time

log = get_logger(__name__)

METADATA = MetaData()
INBOX = Table(
    "inbox",
    METADATA,
    Column("service", String(64), primary_key=True),
    Column("task_id", String(64), primary_key=True),
    Column("redrive_no", Integer, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("owner", String(32), nullable=False),
    Column("lease_until", Instant, nullable=False),
    Column("outcome", Text),
)
#: Renewals in the span of one lease: two may fail before it is lost.
RENEWALS_PER_LEASE = 3


@dataclass(frozen=True, slots=True)
class _Record:
    owner: str
    envelope: Envelope
    outcome: Completed | RetryLater | Died


class Inbox:
    """The inbox of one service; replicas of the service share it."""

    def __init__(self, records: Records, service: str, *, lease_seconds: float) -> None:
        self._records = records
        self._service = service
        self._lease = timedelta(seconds=lease_seconds)
        self._held: set[str] = set()
        self._renewing: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Creates the table if it is missing, and begins to renew leases."""
        self.make_table()
        self._renewing = asyncio.create_task(self._renew_for_ever(), name="renew leases")

    def make_table(self) -> None:
        """Creates the table if it is missing; other replicas may be at it too."""
        with self._records.engine.begin() as connection:
            one_at_a_time(connection)
            METADATA.create_all(connection)

    async def close(self) -> None:
        """Stops renewing; what is still claimed is free once its lease has run out."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)

    async def claim(self, envelope: Envelope) -> Ticket:
        """Asks for the right to run the attempt that `envelope` names."""
        now = datetime.now(UTC)
        request = ClaimRequest(
            envelope.task_id, envelope.redrive_no, envelope.attempt, uuid4().hex, now, now + self._lease
        )
        ticket = await self._records.write(self._claim_all, request)
        if isinstance(ticket, Claimed):
            self._held.add(ticket.owner)
        return ticket

    async def record(self, owner: str, envelope: Envelope, outcome: Completed | RetryLater | Died) -> bool:
        """Records what came of a claimed attempt, and gives the claim back.

        Returns:
            Whether it was recorded: False if the claim has been taken over by another meanwhile.
        """
        recorded = await self._records.write(self._record_all, _Record(owner, envelope, outcome))
        self.let_go(owner)
        return recorded

    def let_go(self, owner: str) -> None:
        """Renews a claim no more: without an outcome, another copy takes it over when its lease runs out."""
        self._held.discard(owner)

    def _claim_all(self, connection: Connection, requests: Sequence[ClaimRequest]) -> Sequence[Ticket]:
        # Nearly always the subtask is new, and this one statement is all there is to do.
        new = set(
            connection.scalars(
                insert_new(connection, INBOX).returning(INBOX.c.owner),
                # In one order for all: two replicas with the same tasks must not wait for each other.
                [self._row(request) for request in sorted(requests, key=_order)],
            )
        )
        known = [request for request in requests if request.owner not in new]
        rows = self._locked_rows(connection, {request.task_id for request in known}) if known else {}
        tickets: list[Ticket] = []
        taken_over: list[ClaimRequest] = []
        for request in requests:
            if request.owner in new:
                tickets.append(Claimed(request.owner))
                continue
            key = (request.task_id, request.redrive_no)
            ticket = decide(rows[key], request)
            tickets.append(ticket)
            if isinstance(ticket, Claimed):
                taken_over.append(request)
                # Two copies may stand in one batch: the second must see what the first got.
                rows[key] = InboxRow(
                    request.attempt, RowState.CLAIMED, request.owner, request.lease_until, None
                )
        if taken_over:
            connection.execute(_TAKE_OVER, [_bound(self._row(request)) for request in taken_over])
        return tickets

    def _record_all(self, connection: Connection, records: Sequence[_Record]) -> Sequence[bool]:
        rows = self._locked_rows(connection, {record.envelope.task_id for record in records})
        answers = [
            (row := rows.get((record.envelope.task_id, record.envelope.redrive_no))) is not None
            and row.owner == record.owner
            and row.state is RowState.CLAIMED
            for record in records
        ]
        done = [
            {
                "b_service": self._service,
                "b_task_id": record.envelope.task_id,
                "b_redrive_no": record.envelope.redrive_no,
                "b_outcome": OUTCOME.dump_json(record.outcome).decode(),
            }
            for record, holds in zip(records, answers, strict=True)
            if holds
        ]
        if done:
            connection.execute(_FINISH, done)
        return answers

    def _locked_rows(self, connection: Connection, task_ids: set[str]) -> dict[tuple[str, int], InboxRow]:
        query = (
            select(INBOX)
            .where(INBOX.c.service == self._service, INBOX.c.task_id.in_(task_ids))
            .order_by(INBOX.c.task_id, INBOX.c.redrive_no)
            .with_for_update()
        )
        return {
            (row.task_id, row.redrive_no): InboxRow(
                row.attempt,
                RowState(row.state),
                row.owner,
                row.lease_until,
                None if row.outcome is None else OUTCOME.validate_json(row.outcome),
            )
            for row in connection.execute(query)
        }

    def _row(self, request: ClaimRequest) -> dict[str, object]:
        return {
            "service": self._service,
            "task_id": request.task_id,
            "redrive_no": request.redrive_no,
            "attempt": request.attempt,
            "state": RowState.CLAIMED,
            "owner": request.owner,
            "lease_until": request.lease_until,
            "outcome": None,
        }

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._lease.total_seconds() / RENEWALS_PER_LEASE)
            if not self._held:
                continue
            try:
                await self._records.write(
                    _renew_all, (frozenset(self._held), datetime.now(UTC) + self._lease)
                )
            except Exception:  # the next renewal may succeed, and until the lease is lost nothing is
                log.exception("leases could not be renewed", held=len(self._held))


def _renew_all(connection: Connection, renewals: Sequence[tuple[frozenset[str], datetime]]) -> Sequence[None]:
    for owners, until in renewals:
        connection.execute(
            update(INBOX)
            .where(INBOX.c.owner.in_(owners), INBOX.c.state == RowState.CLAIMED)
            .values(lease_until=until)
        )
    return [None] * len(renewals)


def _order(request: ClaimRequest) -> tuple[str, int]:
    return request.task_id, request.redrive_no


def _bound(row: dict[str, object]) -> dict[str, object]:
    return {f"b_{name}": value for name, value in row.items()}


_THIS_ROW = (
    (INBOX.c.service == bindparam("b_service"))
    & (INBOX.c.task_id == bindparam("b_task_id"))
    & (INBOX.c.redrive_no == bindparam("b_redrive_no"))
)
_TAKE_OVER = (
    update(INBOX)
    .where(_THIS_ROW)
    .values(
        attempt=bindparam("b_attempt"),
        state=bindparam("b_state"),
        owner=bindparam("b_owner"),
        lease_until=bindparam("b_lease_until"),
        outcome=bindparam("b_outcome"),
    )
)
_FINISH = update(INBOX).where(_THIS_ROW).values(state=RowState.DONE, outcome=bindparam("b_outcome"))
