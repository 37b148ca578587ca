"""Messages of long attempts: acknowledged before the attempt has ended, and kept here until it has.

The broker takes back a message that is held for too long. So the message of a long attempt moves from the
broker into the inbox, next to the claim: from then on the lease of the claim stands for the delivery. When it
ends, because the process died, any replica of the service goes on from this copy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    and_,
    bindparam,
    delete,
    or_,
    select,
)

from waybill_contracts.wire import Envelope
from waybill_database import Records, insert_into
from waybill_worker.inbox.table import INBOX

KEPT_METADATA = MetaData()
KEPT: Final = Table(
    "kept_messages",
    KEPT_METADATA,
    Column("service", String(64), primary_key=True),
    Column("task_id", String(64), primary_key=True),
    Column("redrive_no", Integer, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("snooze_no", Integer, nullable=False),
    # As it came, with its sealed fields.
    Column("body", LargeBinary, nullable=False),
    Column("headers", JSON, nullable=False),
    Column("correlation_id", String(255)),
    Column("priority", Integer),
)
#: Types of headers that are kept; ours have no other.
_PLAIN: Final = (str, int, float, bool)


@dataclass(frozen=True, slots=True)
class KeptKey:
    """The attempt that a message is for."""

    task_id: str
    redrive_no: int
    attempt: int
    snooze_no: int

    @classmethod
    def of(cls, envelope: Envelope) -> Self:
        """The key of the message with this envelope."""
        return cls(envelope.task_id, envelope.redrive_no, envelope.attempt, envelope.snooze_no)


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """A message as it was delivered."""

    body: bytes
    headers: Mapping[str, Any]
    correlation_id: str | None
    priority: int | None


class KeptMessages:
    """The kept messages of one service; replicas of the service share them.

    Args:
        records: the inbox's database.
        service: the service.
    """

    def __init__(self, records: Records, service: str) -> None:
        self._records = records
        self._service = service

    async def keep(self, key: KeptKey, message: KeptMessage) -> None:
        """Keeps the message of a claimed attempt; when this returns, the broker need not keep it."""
        headers = {name: value for name, value in message.headers.items() if isinstance(value, _PLAIN)}
        row = {"service": self._service, **asdict(key), **asdict(message), "headers": headers}
        # Not relaxed: the broker deletes the message next. The commit makes the claim durable with it.
        await self._records.write(_keep_all, row)

    async def delete(self, key: KeptKey) -> None:
        """Deletes the message of an attempt that is over and reported."""
        bound = {f"b_{name}": value for name, value in asdict(key).items()}
        await self._records.write(_delete_all, bound | {"b_service": self._service})

    async def left_over(self, most: int) -> list[tuple[KeptKey, KeptMessage]]:
        """Messages whose attempt nobody runs: the lease of its claim has ended."""
        values = {"service": self._service, "now": self._records.now(), "most": most}
        rows = await self._records.read(lambda connection: connection.execute(_LEFT_OVER, values).all())
        return [
            (
                KeptKey(row.task_id, row.redrive_no, row.attempt, row.snooze_no),
                KeptMessage(row.body, row.headers, row.correlation_id, row.priority),
            )
            for row in rows
        ]


def _keep_all(connection: Connection, rows: Sequence[dict[str, Any]]) -> Sequence[None]:
    insert = insert_into(connection, KEPT)
    latest = {name: insert.excluded[name] for name in rows[0]}
    statement = insert.on_conflict_do_update(index_elements=list(KEPT.primary_key), set_=latest)
    # In one order for all replicas, so that two do not wait for each other; one statement a row, because two
    # copies of one message may stand in one batch.
    for row in sorted(rows, key=lambda row: (row["task_id"], row["redrive_no"])):
        connection.execute(statement, row)
    return [None] * len(rows)


def _delete_all(connection: Connection, keys: Sequence[dict[str, Any]]) -> Sequence[None]:
    ordered = sorted(keys, key=lambda key: (key["b_task_id"], key["b_redrive_no"]))
    connection.execute(_DELETE, ordered)
    return [None] * len(keys)


_SAME_SUBTASK = and_(
    INBOX.c.service == KEPT.c.service,
    INBOX.c.task_id == KEPT.c.task_id,
    INBOX.c.redrive_no == KEPT.c.redrive_no,
)
_LEFT_OVER = (
    select(KEPT)
    .outerjoin(INBOX, _SAME_SUBTASK)
    .where(
        KEPT.c.service == bindparam("service"),
        or_(
            INBOX.c.lease_until.is_(None),
            INBOX.c.lease_until < bindparam("now", type_=INBOX.c.lease_until.type),
        ),
    )
    .order_by(KEPT.c.task_id)
    .limit(bindparam("most"))
)
_DELETE = delete(KEPT).where(
    KEPT.c.service == bindparam("b_service"),
    KEPT.c.task_id == bindparam("b_task_id"),
    KEPT.c.redrive_no == bindparam("b_redrive_no"),
    # A later attempt may have put its own message here.
    KEPT.c.attempt == bindparam("b_attempt"),
    KEPT.c.snooze_no == bindparam("b_snooze_no"),
)
