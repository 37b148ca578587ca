"""Accepting a task in the transaction of an application."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, TextClause, text
from sqlalchemy.orm import Session, scoped_session

from waybill.calls import Priority
from waybill.outbox.direct.grants import quoted
from waybill.outbox.rows import NewRow, OutboxError, new_row
from waybill_contracts.events import Event
from waybill_contracts.privacy import Keyring, mask_addresses
from waybill_contracts.registry import Contract, Kind, Registry
from waybill_contracts.wire import new_traceparent
from waybill_ledger import (
    DEFAULT_TENANT,
    HIGH_PRIORITY,
    LOW_PRIORITY,
    NewTask,
    PersonSettings,
    insert_tasks,
    missing_files,
)
from waybill_ledger.registry import load_registry

_PRIORITIES: Final = {"low": LOW_PRIORITY, "high": HIGH_PRIORITY, None: None}


@dataclass(frozen=True, slots=True)
class _Moment:
    """What the ledger's database says as its tables come into view."""

    now: datetime
    revision: int


class Direct:
    """Accepts tasks in an application's own transaction, in SQLAlchemy on psycopg.

        direct = Direct(schema="waybill")

        with Session(engine) as session, session.begin():
            session.add(Order(id="7"))
            direct.submit(session, InvoiceRequested(order_id="7"))

    Its database user needs what `waybill outbox grants` prints, and no more.

    Args:
        schema: of PostgreSQL that has the ledger's tables.
        sealing_keys: those of the installation, the first of which seals; None: WAYBILL_SEALING_KEYS.
        persons_key: that of the installation; None: WAYBILL_PERSONS_KEY.
        sealed: False: the installation does without sealing, by WAYBILL_SEALING=off.
        tenant: owns the tasks.

    Raises:
        ValueError: a key is missing or malformed.
    """

    def __init__(
        self,
        *,
        schema: str,
        sealing_keys: str | None = None,
        persons_key: str | None = None,
        sealed: bool = True,
        tenant: str = DEFAULT_TENANT,
    ) -> None:
        keys = Keyring.of(sealing_keys or os.environ.get("WAYBILL_SEALING_KEYS", ""), seals=sealed)
        if sealed and not keys.names:
            raise ValueError("no sealing key is named: sealing_keys=…, or the variable WAYBILL_SEALING_KEYS")
        settings = PersonSettings.model_validate(
            {"persons_key": persons_key or os.environ.get("WAYBILL_PERSONS_KEY")}
        )
        self._keyring = keys
        self._persons = settings.digests(is_sealing=sealed)
        self._schema = schema
        self._enter = _entering(schema)
        self._tenant = tenant
        self._registry = Registry()

    def submit(
        self,
        target: "Session | Connection | scoped_session[Any]",
        event: Event,
        *,
        delay_seconds: float | timedelta | None = None,
        send_at: datetime | None = None,
        priority: Priority = "normal",
    ) -> str:
        """Accepts a task; it exists if the transaction of `target` is committed.

            with Session(engine) as session, session.begin():
                session.add(Order(id="7"))
                direct.submit(session, InvoiceRequested(order_id="7"))

        Args:
            target: a session or connection of SQLAlchemy, with a transaction in the ledger's database.
            event: an instance of the class of a kind, or `task.event(…)` of a handler task.
            delay_seconds: not before so many seconds from now.
            send_at: not before this time, which has a zone.
            priority: `low`, `normal` or `high`.

        Returns:
            The id of the task, as the gateway knows it.

        Raises:
            OutboxError: the contract does not allow the data, no service handles the kind, or an option is
                wrong; nothing was written.
            TypeError: `target` has no transaction in a PostgreSQL, by psycopg.
        """
        row = new_row(event, delay_seconds=delay_seconds, send_at=send_at, priority=priority)
        connection = _connection_of(target)
        with self._tables(connection) as moment:
            if moment.revision != self._registry.revision:
                self._registry = load_registry(connection, self._registry)
            task = self._task(row, *_contract_of(self._registry, row), moment.now)
            if missing := missing_files(connection, [task]):
                raise OutboxError(f"there are no such files: {', '.join(missing[task.id].keys)}")
            insert_tasks(connection, [task])
        return row.id

    def _task(self, row: NewRow, kind: Kind, contract: Contract, now: datetime) -> NewTask:
        data = json.loads(row.data)
        if faults := contract.faults(contract.completed(data, row.id)):
            shown = "; ".join(f"{fault.pointer or '/'}: {fault.message}" for fault in faults)
            raise OutboxError(f"the registered {contract.dataschema} does not allow this data: {shown}")
        person = contract.person_of(data)
        due_at = None if row.send_at is None else datetime.fromisoformat(row.send_at)
        return NewTask.of(
            kind,
            data,
            self._keyring,
            id=row.id,
            version=contract.version,
            created_at=now,
            correlation_id=row.id,
            traceparent=row.traceparent or new_traceparent(),
            about=mask_addresses(contract.about(data) or person or ""),
            person=person and self._persons.digest(person),
            due_at=due_at if due_at is not None and due_at > now else None,
            priority=_PRIORITIES[row.priority],
            tenant=self._tenant,
        )

    @contextmanager
    def _tables(self, connection: Connection) -> Iterator[_Moment]:
        """Has names of tables mean those of the ledger, until the end of the block."""
        before = connection.scalar(_SEARCH_PATH)
        try:
            now, revision = connection.execute(self._enter, {"schema": quoted(self._schema)}).one()[1:]
            yield _Moment(now, revision)
        finally:
            # Otherwise it can only be rolled back, and the path with it.
            if _driver(connection).info.transaction_status != TransactionStatus.INERROR:
                connection.execute(_SET, {"path": before})


def _connection_of(target: Any) -> Connection:
    connection = target if isinstance(target, Connection) else target.connection()
    dialect = connection.dialect
    if (dialect.name, dialect.driver) != ("postgresql", "psycopg"):
        raise TypeError("tasks are accepted directly in PostgreSQL by psycopg: postgresql+psycopg://…")
    if _driver(connection).autocommit:
        raise TypeError("this connection commits each statement: there is no transaction to accept a task in")
    return connection


def _driver(connection: Connection) -> Any:
    return connection.connection.dbapi_connection


def _contract_of(registry: Registry, row: NewRow) -> tuple[Kind, Contract]:
    kind = registry.find(row.kind)
    if kind is None or not kind.services:
        raise OutboxError(f"no service handles {row.kind}: waybill services apply registers one")
    contract = kind.contracts.get(row.version)
    if contract is None:
        raise OutboxError(f"{row.kind} has no version {row.version} yet: register the newer service first")
    return kind, contract


def _entering(schema: str) -> TextClause:
    return text(
        "SELECT set_config('search_path', :schema, true), clock_timestamp(), "  # noqa: S608 - the name is quoted
        f"(SELECT revision FROM {quoted(schema)}.registry)"
    )


_SEARCH_PATH: Final = text("SELECT current_setting('search_path')")
_SET: Final = text("SELECT set_config('search_path', :path, true)")
