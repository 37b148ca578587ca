"""Intake: stores dead messages as letters, one row for each letter, however often it is delivered."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from waybill_contracts.wire import (
    DeadReason,
    ErrorInfo,
    LifecycleData,
    LifecycleEvent,
    LifecycleType,
    lifecycle_event,
)
from waybill_database import insert_new
from waybill_ledger.deadletters import DESK_ITSELF, LetterState
from waybill_ledger.deadletters.intake import amqp_json
from waybill_ledger.deadletters.intake.letter import Letter
from waybill_ledger.deadletters.intake.membership import count_in, quiet_groups
from waybill_ledger.deadletters.letters import discarded_values
from waybill_ledger.progress import apply_events
from waybill_ledger.schema import DEAD_LETTER_MESSAGES, DEAD_LETTERS, TASKS


def take_in(connection: Connection, letters: Sequence[Letter]) -> Sequence[bool]:
    """Stores letters; a batch write for `Records.write`.

    Returns:
        For each letter whether its row is new.
    """
    # A letter may occur twice in one batch. In one order for all writers, so that two desks cannot deadlock.
    unique = {letter.key: letter for letter in _owned(connection, letters)}
    in_order = [unique[key] for key in sorted(unique)]
    quiet = quiet_groups(connection, in_order)
    new = _insert(connection, in_order)
    fresh = [letter for letter in in_order if letter.key in new]
    if fresh:
        connection.execute(insert(DEAD_LETTER_MESSAGES), [_message_row(letter, new) for letter in fresh])
        apply_events(connection, [_dead_event(letter) for letter in fresh if letter.is_unreported])
        count_in(connection, fresh, ids=new, quiet=quiet)
    _count_deliveries(connection, letters)
    return [letter.key in new for letter in letters]


def _owned(connection: Connection, letters: Sequence[Letter]) -> list[Letter]:
    """The letters, each owned by the tenant of its task; those of erased tasks without content."""
    ids = {letter.envelope.task_id for letter in letters if letter.envelope is not None}
    query = select(TASKS.c.id, TASKS.c.tenant, TASKS.c.erased_at).where(TASKS.c.id.in_(ids))
    # A running erasure ends first, or waits and then sees the letter. Locked in the order of the merge, which
    # may follow.
    query = query.order_by(TASKS.c.id).with_for_update()
    tasks = {row.id: row for row in connection.execute(query)} if ids else {}
    owned = []
    for letter in letters:
        task = tasks.get(letter.envelope.task_id) if letter.envelope else None
        own = letter.of(None if task is None else task.tenant)
        owned.append(own if task is None or task.erased_at is None else own.erased())
    return owned


def _insert(connection: Connection, letters: Sequence[Letter]) -> dict[str, int]:
    """Ids of new letters by key."""
    rows = connection.execute(
        insert_new(connection, DEAD_LETTERS, DEAD_LETTERS.c.letter_key, DEAD_LETTERS.c.id),
        [_row(letter) for letter in letters],
    ).all()
    return {row.letter_key: row.id for row in rows}


def _row(letter: Letter) -> dict[str, Any]:
    envelope = letter.envelope
    kind, dataschema = (envelope.kind, envelope.dataschema) if envelope else (None, None)
    return {
        "letter_key": letter.key,
        "tenant": letter.tenant,
        "state": LetterState.DEAD,
        "version": 1,
        "queue": letter.message.queue,
        "service": letter.service,
        "task_id": envelope.task_id if envelope else None,
        "redrive_no": envelope.redrive_no if envelope else 0,
        "edit_no": envelope.edit_no if envelope else 0,
        "kind": kind,
        "dataschema": dataschema,
        "correlation_id": letter.correlation_id,
        "attempt": envelope.attempt if envelope else None,
        "max_attempts": envelope.max_attempts if envelope else None,
        "reason": letter.reason,
        "error_type": letter.error_type,
        "error_message": letter.error_message,
        "frame": letter.frame,
        "service_version": letter.service_version,
        "fingerprint": letter.fingerprint,
        "verdict": letter.checked.verdict,
        "errors": letter.checked.errors(),
        "checked_against": letter.checked_against,
        "died_at": letter.died_at,
        "received_at": letter.message.received_at,
        "last_received_at": letter.message.received_at,
        "deliveries": 0,  # set by the following update
        **_discarded_values(letter),
    }


def _discarded_values(letter: Letter) -> dict[str, Any]:
    if letter.is_erased:
        return discarded_values(DESK_ITSELF, letter.message.received_at)
    return dict.fromkeys(("put_away_at", "put_away_by", "put_away_reason", "forget_at"))


def _message_row(letter: Letter, ids: dict[str, int]) -> dict[str, Any]:
    message = letter.message
    return {
        "letter_id": ids[letter.key],
        "body": None if letter.is_erased else message.body,
        "headers": amqp_json.to_json(message.headers),
        "properties": amqp_json.to_json(message.properties),
        "traceback": letter.traceback,
    }


def _count_deliveries(connection: Connection, letters: Sequence[Letter]) -> None:
    counts = Counter(letter.key for letter in letters)
    latest = {letter.key: letter.message.received_at for letter in letters}
    connection.execute(
        _DELIVERED, [{"b_key": key, "b_more": counts[key], "b_at": latest[key]} for key in sorted(counts)]
    )


def _dead_event(letter: Letter) -> LifecycleEvent:
    """Lifecycle event that the service would have reported, had it dead-lettered the message itself."""
    envelope = letter.envelope
    if envelope is None:
        raise ValueError("a letter without an envelope has no subtask")
    data = LifecycleData(
        task_id=envelope.task_id,
        service=letter.service,
        kind=envelope.kind,
        redrive_no=envelope.redrive_no,
        attempt=envelope.attempt,
        max_attempts=envelope.max_attempts or envelope.attempt,
        error=ErrorInfo(type=letter.error_type, message=letter.error_message),
        reason=_REASONS.get(letter.reason, DeadReason.REJECTED),
    )
    return lifecycle_event(LifecycleType.DEAD, letter.died_at, data)


#: Reasons of the broker as reasons of the contracts; all others count as a rejection.
_REASONS = {reason.value: reason for reason in DeadReason}
_DELIVERED = (
    update(DEAD_LETTERS)
    .where(DEAD_LETTERS.c.letter_key == bindparam("b_key"))
    .values(
        deliveries=DEAD_LETTERS.c.deliveries + bindparam("b_more"),
        last_received_at=bindparam("b_at"),
    )
)
