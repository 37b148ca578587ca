"""The last measurement in the ledger: of each tenant its own part, and always the newest."""

from datetime import timedelta

from sqlalchemy import Engine, delete

from waybill_contracts.states import State
from waybill_ledger import (
    Measurement,
    QueueMeasured,
    Range,
    StallTimeouts,
    Submission,
    accept,
    last_measurement,
    measure,
    store_measurements,
)
from waybill_ledger.schema.tables import SUBTASKS
from waybill_testkit.samples import NOON, new_task, user_event

MINUTE = timedelta(minutes=1)
TIMEOUTS = StallTimeouts(*[timedelta(days=1)] * 3)


def stored(engine: Engine, *measurements: Measurement) -> Measurement | None:
    with engine.begin() as connection:
        for each in measurements:
            store_measurements(connection, [each])
        return last_measurement(connection)


def test_there_is_none_before_the_first(engine: Engine) -> None:
    assert stored(engine) is None


def test_what_is_measured_is_of_each_tenant_and_read_as_it_was_stored(engine: Engine) -> None:
    lost = new_task(tenant="acme", created_at=NOON + MINUTE)
    with engine.begin() as connection:
        tasks = [new_task(), new_task(user_event()), new_task(user_event(), tenant="acme"), lost]
        accept(connection, [Submission(task) for task in tasks])
        connection.execute(delete(SUBTASKS).where(SUBTASKS.c.task_id == lost.id))
        measures = measure(connection, Range(NOON + MINUTE, TIMEOUTS))
    measured = Measurement(
        at=NOON,
        work=measures.work,
        gaps=measures.gaps,
        unpublished=measures.unpublished,
        oldest_unpublished=measures.oldest_unpublished,
        queues={"email.work": QueueMeasured(3, 1)},
        bytes=measures.bytes,
    )

    assert stored(engine, measured) == measured
    numbers = {
        tenant: {part.service: part.subtasks for part in parts} for tenant, parts in measures.work.items()
    }
    assert numbers == {"default": {"email": 2, "sync": 1}, "acme": {"email": 1, "sync": 1}}
    assert measures.open["email"] == {State.PENDING: 3}
    assert {tenant: (gap.tasks, gap.first.task_id) for tenant, gap in measures.gaps.items()} == {
        "acme": (1, lost.id)
    }


def test_an_older_measurement_does_not_replace_a_newer_one(engine: Engine) -> None:
    older, newer = Measurement(at=NOON, bytes=1), Measurement(at=NOON + MINUTE, bytes=2)

    assert stored(engine, older, newer) == newer
    assert stored(engine, older) == newer
