import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection, Engine, func, insert, select
from sqlalchemy.exc import IntegrityError

from waybill_contracts.states import State
from waybill_database import Records
from waybill_ledger import Accepted, ResetToken, Submission, Sweep, accept, get_task, insert_tasks, take_due
from waybill_ledger.outbox.outbox import RELAY_GRACE
from waybill_ledger.schema.tables import METADATA, OUTBOX, PASSWORD_RESETS, SUBTASKS, TASKS
from waybill_testkit.samples import NOON, email_event, keyed, new_task, reset_event, user_event


def rows(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {
            table.name: connection.scalar(select(func.count()).select_from(table)) or 0
            for table in METADATA.tables.values()
        }


def test_an_accepted_task_can_be_read_at_once(engine: Engine) -> None:
    task = new_task(user_event(), correlation_id="order-7", about="Ann", priority=7)
    with engine.begin() as connection:
        (acceptance,) = accept(connection, [Submission(task)])
    with engine.begin() as connection:
        found = get_task(connection, task.id)

    assert isinstance(acceptance, Accepted)
    assert found is not None
    assert (found.state, found.kind, found.correlation_id, found.about) == (
        State.PENDING,
        "user.created",
        "order-7",
        "Ann",
    )
    assert [(s.service, s.state, s.attempt) for s in found.subtasks] == [
        ("email", State.PENDING, 0),
        ("sync", State.PENDING, 0),
    ]


def test_the_message_at_once_and_the_message_of_the_outbox_are_the_same(engine: Engine) -> None:
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    task = new_task(priority=7, deadline=NOON + timedelta(hours=1), traceparent=traceparent)
    with engine.begin() as connection:
        (acceptance,) = accept(connection, [Submission(task)])
        later = NOON + RELAY_GRACE
        ((swept,),) = take_due(connection, [Sweep(later, later + timedelta(minutes=1), 10)])

    assert acceptance == Accepted(swept)
    assert swept.body == b'{"to":"ann@example.test","subject":"Hello","text":"How are you?"}'
    assert (swept.exchange, swept.routing_key) == ("tasks", "email.requested")
    assert swept.envelope.traceparent == traceparent


def test_a_task_for_later_is_not_to_be_published_now(engine: Engine) -> None:
    task = new_task(due_at=NOON + timedelta(days=2))
    with engine.begin() as connection:
        (acceptance,) = accept(connection, [Submission(task)])
        found = get_task(connection, task.id)

    assert acceptance == Accepted(None)
    assert found is not None
    assert found.state is State.SCHEDULED
    assert found.subtasks[0].next_attempt_at == task.due_at


def test_many_tasks_in_one_batch_keep_their_own_messages(engine: Engine) -> None:
    tasks = [new_task(email_event(f"n{n}@example.test")) for n in range(500)]
    # Every second one is for later, so that answers and outbox rows have to be told apart.
    tasks = [replace(task, due_at=NOON) if n % 2 else task for n, task in enumerate(tasks)]
    with engine.begin() as connection:
        answers = accept(connection, [Submission(task) for task in tasks])
        outbox = {row.id: row.task_id for row in connection.execute(select(OUTBOX))}

    for number, (task, answer) in enumerate(zip(tasks, answers, strict=True)):
        assert isinstance(answer, Accepted)
        if number % 2:
            assert answer.message is None
        else:
            assert answer.message is not None
            assert answer.message.envelope.task_id == task.id
            assert outbox[answer.message.outbox_id] == task.id
            assert f"n{number}@".encode() in answer.message.body


def test_a_token_is_kept_with_its_task(engine: Engine) -> None:
    task = new_task(reset_event())
    token = ResetToken("f" * 64, "ann@example.test", NOON + timedelta(hours=1))
    with engine.begin() as connection:
        accept(connection, [Submission(new_task()), Submission(task, None, (token.row(task),))])
        (row,) = connection.execute(select(PASSWORD_RESETS)).all()

    assert (row.token_hash, row.task_id, row.sealed_email, row.expires_at, row.redeemed_at) == (
        "f" * 64,
        task.id,
        "ann@example.test",
        NOON + timedelta(hours=1),
        None,
    )


def test_what_fails_in_the_middle_leaves_nothing(engine: Engine) -> None:
    token = ResetToken("f" * 64, "ann@example.test", NOON)
    tasks = [new_task(reset_event()), new_task(reset_event())]
    # The second token clashes with the first, in the last of the statements.
    clash = [Submission(task, keyed(task.id), (token.row(task),)) for task in tasks]
    before = rows(engine)  # what the migrations put there
    with pytest.raises(IntegrityError), engine.begin() as connection:
        accept(connection, clash)

    assert rows(engine) == before
    assert before["tasks"] == before["subtasks"] == before["outbox"] == before["password_resets"] == 0


async def test_a_failing_neighbour_does_not_take_a_task_along(ledger_url: str) -> None:
    records = Records(ledger_url)
    taken = new_task()
    await records.write(accept, Submission(taken))
    good = new_task()
    answers = await asyncio.gather(
        *(records.write(accept, Submission(task)) for task in (taken, good)), return_exceptions=True
    )
    counts = rows(records.engine)
    await records.close()

    assert [type(answer) for answer in answers] == [IntegrityError, Accepted]
    assert (counts["tasks"], counts["subtasks"], counts["outbox"]) == (2, 2, 2)


def test_our_own_tasks_are_part_of_the_callers_transaction_and_due_at_once(engine: Engine) -> None:
    task = new_task()

    def insert_and_fail(connection: Connection, tasks: Sequence[str]) -> None:
        insert_tasks(connection, [task])
        raise LookupError(tasks)

    with pytest.raises(LookupError), engine.begin() as connection:
        insert_and_fail(connection, [])
    assert rows(engine)["tasks"] == 0
    with engine.begin() as connection:
        insert_tasks(connection, [task])
        insert_tasks(connection, [])
        ((message,),) = take_due(connection, [Sweep(NOON, NOON + timedelta(minutes=1), 10)])

    assert message.envelope.task_id == task.id


def test_subtasks_need_their_task(engine: Engine) -> None:
    orphan = {"task_id": "none", "service": "email", "state": "pending", "position": 0}
    orphan |= {"redrive_no": 0, "attempt": 0, "updated_at": NOON}
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(insert(SUBTASKS), orphan)
    with engine.begin() as connection:
        assert connection.scalar(select(func.count()).select_from(TASKS)) == 0
