from dataclasses import replace
from functools import partial

from desk_under_test import Desk, rows_of
from sqlalchemy import text

from waybill_contracts.events import Event
from waybill_contracts.states import State
from waybill_contracts.wire.lifecycle import LifecycleType
from waybill_ledger import (
    Holdings,
    NewSchedule,
    NewTask,
    Person,
    ResetToken,
    Submission,
    accept,
    create_schedules,
    delete_published,
    holdings_of,
    new_task_id,
)
from waybill_testkit.samples import (
    NOON,
    dead_message,
    email_event,
    event_in,
    image_event,
    keyed,
    new_task,
    plan,
    reported,
    reset_event,
    uploaded,
    user_event,
)

ANN, BOB = 32 * "a", 32 * "b"


async def accepted(
    desk: Desk,
    event: Event | None = None,
    person: str = ANN,
    tenant: str = "default",
    token: ResetToken | None = None,
    **more: object,
) -> NewTask:
    """A task that has left the outbox."""
    task = new_task(event or email_event(), person=person, tenant=tenant)
    await uploaded(desk.records, *task.files)
    answer = await desk.records.write(accept, Submission(task, rows=rows_of(token, task), **more))  # type: ignore[arg-type]
    await desk.records.write(delete_published, [answer.message.outbox_id])  # type: ignore[union-attr]
    return task


def image_of(tenant: str) -> Event:
    return image_event().model_copy(update={"source_key": f"files/{tenant}/aa/{64 * 'a'}"})


async def furnished(desk: Desk, person: str, tenant: str = "default") -> dict[str, NewTask]:
    """Has one of everything for a person."""
    token = ResetToken(f"hash of {person} {tenant}", "sealed", NOON)
    tasks = {
        "completed": await accepted(desk, None, person, tenant, call=keyed(f"{person} {tenant}")),
        "failed": await accepted(desk, user_event(), person, tenant),
        "reset": await accepted(desk, reset_event(), person, tenant, token=token),
        "file": await accepted(desk, image_of(tenant), person, tenant),
    }
    failed = tasks["failed"]
    await desk.apply(
        reported(LifecycleType.COMPLETED, tasks["completed"].id),
        reported(LifecycleType.COMPLETED, failed.id, service="email", kind=failed.kind),
        desk.told(failed, LifecycleType.DEAD),
    )
    await desk.came(dead_message(event_in(failed), failed.id))
    wish = NewSchedule(new_task_id(), replace(plan(f"for {person}"), person=person), NOON, 10, None, tenant)
    await desk.records.write(create_schedules, wish)
    return tasks


async def held(desk: Desk, person: str, tenant: str | None = None) -> Holdings:
    return await desk.records.read(partial(holdings_of, person=Person(person, tenant)))


async def test_what_is_held_of_a_person_is_counted_and_nobody_elses(desk: Desk) -> None:
    assert await held(desk, ANN) == Holdings({}, 0, 0, 0, 0, 0)
    await furnished(desk, BOB)
    assert await held(desk, ANN) == Holdings({}, 0, 0, 0, 0, 0)
    await furnished(desk, ANN)
    await furnished(desk, ANN, "acme")
    one = Holdings({State.COMPLETED: 1, State.FAILED: 1, State.PENDING: 2}, 1, 1, 1, 1, 1)
    assert await held(desk, ANN, "acme") == one
    assert await held(desk, ANN, "default") == one
    assert await held(desk, ANN, "beta") == Holdings({}, 0, 0, 0, 0, 0)
    # Equal files of two tenants are two.
    both = Holdings({State.COMPLETED: 2, State.FAILED: 2, State.PENDING: 4}, 2, 2, 2, 2, 2)
    assert await held(desk, ANN) == both


async def test_reset_links_of_a_task_are_found_by_an_index(desk: Desk) -> None:
    explain = "EXPLAIN QUERY PLAN" if desk.records.engine.dialect.name == "sqlite" else "EXPLAIN"
    query = text(f"{explain} SELECT 1 FROM password_resets WHERE task_id = 'x'")
    rows = await desk.records.read(lambda connection: connection.execute(query).all())
    # A table with nothing in it is read whole by PostgreSQL, whatever there is.
    assert "password_resets_by_task" in str(rows) or desk.records.engine.dialect.name == "postgresql"
