"""Uploaded files: who may remove one, and until when."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Connection, func, select

from waybill_contracts.states import State
from waybill_contracts.wire.lifecycle import LifecycleEvent, LifecycleType
from waybill_database import Records
from waybill_ledger import (
    ABANDONED_AFTER,
    Accepted,
    AcceptedBefore,
    EraseStep,
    FilesMissing,
    Mark,
    NamedTasks,
    NewTask,
    PruneStep,
    Removal,
    Renewal,
    Submission,
    Touch,
    accept,
    apply_events,
    delete_published,
    delete_removed,
    erase_persons,
    mark_unused,
    prune_tasks,
    record_stored,
    renew_marks,
    touch_files,
)
from waybill_ledger.schema.tables import FILES, IDEMPOTENCY, TASK_FILES, TASKS
from waybill_testkit.samples import NOON, image_event, keyed, new_task, reported, sync_event, uploaded

DAY = timedelta(days=1)


async def marked(records: Records, since: datetime, now: datetime, most: int = 10) -> list[Mark]:
    return await records.write(mark_unused, Removal(since, now, most))


async def unused(records: Records, since: datetime, now: datetime) -> list[str]:
    return [mark.key for mark in await marked(records, since, now)]


async def test_a_mark_is_given_to_one_and_to_another_only_when_it_was_long_not_renewed(
    records: Records,
) -> None:
    keys = [f"originals/aa/{number}" for number in range(3)]
    for key in keys:
        await records.write(touch_files, Touch(key, NOON))
    now = NOON + DAY
    first = await marked(records, since=now, now=now, most=2)
    second = await marked(records, since=now, now=now, most=2)
    assert sorted(mark.key for mark in first + second) == keys

    later = now + ABANDONED_AFTER / 2
    assert await records.write(renew_marks, Renewal(first[0], later)) is True
    later = now + ABANDONED_AFTER + timedelta(seconds=1)
    taken = await marked(records, since=later, now=later)

    assert {mark.key for mark in taken} == {first[1].key, second[0].key}
    assert {mark.owner for mark in taken}.isdisjoint({first[1].owner, second[0].owner})
    for late in (first[1], second[0]):
        assert await records.write(renew_marks, Renewal(late, later)) is False
        assert await records.write(delete_removed, late) is False
    assert await records.write(delete_removed, first[0]) is True


async def test_a_task_is_accepted_with_a_file_only_from_when_it_is_stored_until_it_is_being_removed(
    records: Records,
) -> None:
    key = image_event().source_key
    refused = FilesMissing((key,))

    async def accepted() -> object:
        return await records.write(accept, Submission(new_task(image_event())))

    assert await accepted() == refused
    await records.write(touch_files, Touch(key, NOON))
    assert await accepted() == refused
    assert await records.write(record_stored, Touch(key, NOON)) is True
    [mark] = await marked(records, NOON + DAY, NOON + DAY)
    assert await accepted() == refused
    assert await records.write(record_stored, Touch(key, NOON + DAY)) is False
    assert await records.write(delete_removed, mark) is True
    assert await records.write(record_stored, Touch(key, NOON + DAY)) is False
    assert await counted(records) == (0, 0, 0)

    await uploaded(records, key)
    assert isinstance(await accepted(), Accepted)
    assert await unused(records, since=NOON + 99 * DAY, now=NOON + 99 * DAY) == []
    assert await counted(records) == (1, 1, 0)


async def test_a_call_whose_files_are_missing_may_be_repeated_with_its_key(records: Records) -> None:
    task, other = new_task(image_event()), new_task(image_event())
    call, mail = keyed("k"), new_task()
    with records.engine.begin() as connection:
        # In one batch: the call, its repeat, and one that has nothing to do with them.
        batch = [Submission(task, call), Submission(other, call), Submission(mail)]
        first, repeat, apart = accept(connection, batch)
    assert first == repeat == FilesMissing(task.files)
    assert isinstance(apart, Accepted)

    await uploaded(records, *task.files)
    assert isinstance(await records.write(accept, Submission(task, call)), Accepted)
    again = await records.write(accept, Submission(other, call))
    assert isinstance(again, AcceptedBefore)
    assert again.task_id == task.id


async def test_no_task_may_refer_to_a_file_of_another_tenant(records: Records) -> None:
    key = f"files/acme/aa/{'a' * 64}"
    await uploaded(records, key)
    theirs = replace(new_task(), files=(key,))
    assert await records.write(accept, Submission(theirs)) == FilesMissing((key,))
    assert isinstance(
        await records.write(accept, Submission(replace(new_task(tenant="acme"), files=(key, key)))), Accepted
    )
    assert await counted(records) == (1, 1, 0)


async def counted(records: Records) -> tuple[int, int, int]:
    """Numbers of tasks, of references to files, and of idempotency keys."""
    tables = (TASKS, TASK_FILES, IDEMPOTENCY)
    queries = [select(func.count()).select_from(table) for table in tables]
    tasks, references, keys = await records.read(lambda connection: [connection.scalar(q) for q in queries])
    return tasks or 0, references or 0, keys or 0


async def test_a_mark_of_the_last_release_counts_from_when_it_is_first_seen(records: Records) -> None:
    await records.write(touch_files, Touch("originals/aa/b", NOON))
    with records.engine.begin() as connection:
        connection.execute(FILES.update().values(removing=True))
    now = NOON + DAY
    assert await unused(records, since=now, now=now) == []
    assert await unused(records, since=now, now=now + ABANDONED_AFTER) == []
    assert await unused(records, since=now, now=now + 2 * ABANDONED_AFTER) == ["originals/aa/b"]


async def test_what_one_collector_marked_the_last_release_leaves_alone(records: Records) -> None:
    await records.write(touch_files, Touch("originals/aa/b", NOON))
    now = NOON + DAY
    await marked(records, since=now, now=now)

    with records.engine.begin() as connection:
        # As it asks, without a look at marks.
        found = select(FILES.c.key).where(FILES.c.tasks == 0, FILES.c.touched_at < now)
        assert connection.scalars(found).all() == []


async def ended(
    records: Records,
    task: NewTask,
    type_: LifecycleType = LifecycleType.COMPLETED,
    *,
    has_files: bool | None = True,
) -> None:
    """The task has ended, and its service says that it may have stored files."""
    about = reported(type_, task.id, service="sync", kind=task.kind, has_files=has_files)

    def apply(connection: Connection, events: Sequence[LifecycleEvent]) -> list[None]:
        # Twice, as a report may come.
        apply_events(connection, [*events, *events])
        apply_events(connection, events)
        return [None] * len(events)

    await records.write(apply, about)


async def row_of(records: Records, task: NewTask) -> tuple[int, bool] | None:
    """How many tasks count for the files that a task has written, and whether they are being removed."""
    query = select(FILES.c.tasks, FILES.c.removing).where(FILES.c.key == f"results/{task.id}")
    row = await records.read(lambda connection: connection.execute(query).one_or_none())
    return None if row is None else (row.tasks, row.removing)


async def synced(records: Records) -> NewTask:
    task = new_task(sync_event())
    answer = await records.write(accept, Submission(task))
    assert isinstance(answer, Accepted)
    assert answer.message is not None
    await records.write(delete_published, [answer.message.outbox_id])
    return task


@pytest.mark.parametrize(
    "type_",
    [
        LifecycleType.COMPLETED,
        LifecycleType.DEAD,
        LifecycleType.CANCELLED,
        LifecycleType.RETRYING,
        LifecycleType.SNOOZED,
    ],
)
async def test_what_an_attempt_may_have_stored_is_counted_once_whatever_its_outcome(
    records: Records, type_: LifecycleType
) -> None:
    task, other = await synced(records), await synced(records)
    await ended(records, task, type_)

    assert await row_of(records, task) == (1, False)
    assert await row_of(records, other) is None
    assert await unused(records, since=NOON + 99 * DAY, now=NOON + 99 * DAY) == []


async def test_the_files_of_a_task_may_be_removed_once_it_was_pruned(records: Records) -> None:
    task = await synced(records)
    await ended(records, task)
    over = NOON + 60 * DAY
    await records.write(prune_tasks, PruneStep(State.COMPLETED, over, over, 10))

    assert await row_of(records, task) == (0, False)
    assert await unused(records, since=over + DAY, now=over + DAY) == [f"results/{task.id}"]


async def test_the_files_of_a_task_may_be_removed_once_it_was_erased_also_if_they_come_late(
    records: Records,
) -> None:
    early, late = await synced(records), await synced(records)
    await ended(records, early)
    await ended(records, late, LifecycleType.CANCELLED, has_files=None)
    erasure = EraseStep(NamedTasks((early.id, late.id)), NOON, 10, "e", "ann")
    assert (await records.write(erase_persons, erasure)).erased.tasks == 2
    assert await row_of(records, early) == (0, False)

    await ended(records, late)

    assert await row_of(records, late) == (0, False)
    removed = await unused(records, since=NOON + DAY, now=NOON + DAY)
    assert sorted(removed) == sorted(f"results/{task.id}" for task in (early, late))


async def test_files_of_a_task_that_is_not_there_any_more_are_removed(records: Records) -> None:
    task = new_task(sync_event())
    await ended(records, task)
    assert await row_of(records, task) == (0, False)
    assert await unused(records, since=NOON + DAY, now=NOON + DAY) == [f"results/{task.id}"]
    # Reported again while they are being removed: the collector leaves the mark, and marks it again.
    await ended(records, task)
    assert await row_of(records, task) == (0, False)
