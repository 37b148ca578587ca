from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from desk_under_test import KEEP, LATER, Desk, rows_of
from sqlalchemy import Connection, event, func, select

from waybill_contracts.states import State
from waybill_contracts.wire.lifecycle import LifecycleType
from waybill_ledger import (
    ABANDONED_AFTER,
    Accepted,
    AcceptedBefore,
    Account,
    Mark,
    NewTask,
    PrunedKeys,
    PrunedStep,
    PruneKeys,
    PruneStep,
    Range,
    Removal,
    ResetToken,
    StallTimeouts,
    Submission,
    Touch,
    accept,
    apply_events,
    delete_published,
    delete_removed,
    get_task,
    mark_unused,
    prune_keys,
    prune_tasks,
    take_account,
    touch_files,
    would_prune,
)
from waybill_ledger.deadletters.intake.intake import take_in
from waybill_ledger.deadletters.intake.letter import letter_of
from waybill_ledger.deadletters.letters.archiving import Move, move
from waybill_ledger.deadletters.letters.pruning import Pruning, prune
from waybill_ledger.deadletters.letters.queries import LetterFilter
from waybill_ledger.deadletters.states import LetterState
from waybill_ledger.files import release_files
from waybill_ledger.retention import pruning
from waybill_ledger.schema.desk_tables import DEAD_LETTER_GROUPS, DEAD_LETTERS
from waybill_ledger.schema.tables import IDEMPOTENCY, METADATA, OUTBOX, PASSWORD_RESETS, PRUNED, TASKS
from waybill_testkit.samples import (
    NOON,
    dead_message,
    email_event,
    gate_of,
    image_event,
    keyed,
    new_task,
    reported,
    sync_event,
    uploaded,
)

DAY = timedelta(days=1)
#: Tables that have the built-in kinds and services, whatever tasks there are.
REGISTERED = {"contracts", "kinds", "registry", "routes", "services"}
#: All that ended at noon is over by then.
OVER = NOON + 60 * DAY
COMPLETED, DEAD = LifecycleType.COMPLETED, LifecycleType.DEAD


async def accepted(desk: Desk, task: NewTask, **submission: object) -> NewTask:
    await uploaded(desk.records, *task.files)
    answer = await desk.records.write(accept, Submission(task, **submission))  # type: ignore[arg-type]
    assert isinstance(answer, Accepted)
    if answer.message is not None:
        await desk.records.write(delete_published, [answer.message.outbox_id])
    return task


async def completed(desk: Desk, task: NewTask | None = None, **submission: object) -> NewTask:
    task = await accepted(desk, task or new_task(), **submission)
    for service in task.services:
        await desk.apply(
            reported(LifecycleType.STARTED, task.id, service=service, kind=task.kind),
            reported(COMPLETED, task.id, service=service, kind=task.kind),
        )
    return task


async def pruned(
    desk: Desk, state: State = State.COMPLETED, *, before: datetime = NOON + DAY, most: int = 100
) -> PrunedStep:
    return await desk.records.write(prune_tasks, PruneStep(state, before, OVER, most))


async def counts(desk: Desk) -> dict[str, int]:
    """The rows of each table that has any; counts by the minute stay longer than the tasks."""
    return await desk.records.read(
        lambda connection: {
            table.name: number
            for table in METADATA.sorted_tables
            if (number := connection.scalar(select(func.count()).select_from(table)))
            and table.name not in {"alert_window", "counts", *REGISTERED}
        }
    )


async def is_there(desk: Desk, task: NewTask) -> bool:
    return await desk.records.read(partial(get_task, task_id=task.id)) is not None


async def account(desk: Desk, **wanted: Any) -> Account:
    patience = StallTimeouts(*[timedelta(minutes=1)] * 3)
    query = partial(take_account, wanted=Range(OVER, patience, **wanted), limit=10, cursor=None)
    return await desk.records.read(query)


async def test_a_finished_task_goes_with_all_that_is_its_own_and_is_counted(desk: Desk) -> None:
    await completed(desk)

    assert await pruned(desk) == PrunedStep(tasks=1, kept=0, after=None)
    assert await counts(desk) == {"pruned": 1}


async def test_what_ended_later_stays(desk: Desk) -> None:
    task = await completed(desk)

    assert await pruned(desk, before=NOON) == PrunedStep(tasks=0, kept=0, after=None)
    assert await is_there(desk, task)


async def test_a_task_without_outcome_stays_however_old_it_is(desk: Desk) -> None:
    waiting = await accepted(desk, new_task())
    running = await accepted(desk, new_task())
    scheduled = await accepted(desk, new_task(due_at=OVER + 1000 * DAY))
    await desk.apply(reported(LifecycleType.STARTED, running.id))

    for state in (State.COMPLETED, State.FAILED, State.CANCELLED):
        assert (await pruned(desk, state, before=OVER)).tasks == 0
    for task in (waiting, running, scheduled):
        assert await is_there(desk, task)


async def test_the_account_adds_up_as_before(desk: Desk) -> None:
    for _ in range(3):
        await completed(desk)
    await completed(desk, new_task(created_at=NOON - DAY))
    await accepted(desk, new_task())
    before = await account(desk, since=NOON - timedelta(hours=13))

    await pruned(desk, most=2)
    await pruned(desk)
    after = await account(desk, since=NOON - timedelta(hours=13))

    assert (after.kinds, after.accepted) == (before.kinds, before.accepted)
    assert after.kinds["email.requested"][State.COMPLETED] == 3
    assert (before.pruned, after.pruned) == ({}, {"email.requested": 3})
    whole = await account(desk)
    assert (whole.accepted, whole.pruned) == ({"email.requested": 5}, {"email.requested": 4})


async def test_days_of_pruned_tasks_are_counted_once_in_ranges_side_by_side(desk: Desk) -> None:
    for day in range(4):
        await completed(desk, new_task(created_at=NOON - day * DAY))
    await pruned(desk)

    middle = NOON - 2 * DAY
    earlier, later = await account(desk, until=middle), await account(desk, since=middle)

    assert sum(earlier.pruned.values()) + sum(later.pruned.values()) == 4


async def test_steps_go_on_where_the_last_one_ended_and_look_at_so_many_only(desk: Desk) -> None:
    tasks = [await completed(desk) for _ in range(5)]
    step = PruneStep(State.COMPLETED, NOON + DAY, OVER, 2)

    assert await desk.records.read(partial(would_prune, step=step)) == PrunedStep(2, 0, tasks[1].id)
    first = await desk.records.write(prune_tasks, step)
    assert first == PrunedStep(2, 0, tasks[1].id)
    second = await desk.records.write(
        prune_tasks, PruneStep(State.COMPLETED, NOON + DAY, OVER, 2, tasks[1].id)
    )
    assert (second.tasks, second.after) == (2, tasks[3].id)
    assert [await is_there(desk, task) for task in tasks] == [False, False, False, False, True]


async def test_a_step_that_fails_changes_nothing_and_the_next_one_goes_on(desk: Desk) -> None:
    task = await completed(desk, call=keyed("k"))
    before = await counts(desk)

    def die(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("DELETE FROM tasks"):
            raise RuntimeError("the process died")

    event.listen(desk.records.engine, "before_cursor_execute", die)
    with pytest.raises(RuntimeError, match="the process died"):
        await pruned(desk)
    event.remove(desk.records.engine, "before_cursor_execute", die)

    assert await counts(desk) == before
    assert await is_there(desk, task)
    assert (await pruned(desk)).tasks == 1
    assert (await account(desk)).accepted == {"email.requested": 1}


async def test_a_late_event_of_a_pruned_task_makes_no_ghost(desk: Desk) -> None:
    task = await completed(desk)
    await pruned(desk)
    before = await counts(desk)

    with desk.records.engine.begin() as connection:
        merged = apply_events(
            connection, [reported(LifecycleType.STARTED, task.id), reported(COMPLETED, task.id)]
        )

    assert merged.unknown == {task.id}
    assert await counts(desk) == before


async def test_a_late_letter_of_a_pruned_task_waits_for_a_person_and_makes_no_task(desk: Desk) -> None:
    task = await completed(desk)
    await pruned(desk)

    await desk.came(dead_message(email_event(), task.id, service="email"))

    assert not await is_there(desk, task)
    [letter] = await desk.letters()
    assert letter["state"] == "dead"
    plan = await desk.planned(ids=[letter["id"]])
    assert plan.dry_run["will_run"] == 0


async def test_an_open_letter_keeps_its_task(desk: Desk) -> None:
    [task] = await desk.failed()

    assert await pruned(desk, State.FAILED, before=OVER) == PrunedStep(tasks=0, kept=1, after=None)
    assert await is_there(desk, task)


async def test_a_task_under_redrive_stays_and_goes_with_its_letters_once_it_has_ended(desk: Desk) -> None:
    [task] = await desk.failed()
    plan = await desk.planned()
    await desk.start(plan)
    messages = await desk.sent(plan)
    for state in (State.FAILED, State.COMPLETED):
        assert (await pruned(desk, state, before=OVER)).tasks == 0

    await desk.records.write(delete_published, [message.outbox_id for message in messages])
    await desk.completed(messages)
    # Until the desk has settled it the letter is on its way.
    assert (await pruned(desk, before=OVER)).tasks == 0
    await desk.settled(plan)
    assert (await pruned(desk, before=OVER)).tasks == 1

    assert not await is_there(desk, task)
    left = await counts(desk)
    assert DEAD_LETTERS.name not in left
    assert DEAD_LETTER_GROUPS.name not in left


async def test_a_letter_that_comes_in_while_its_task_is_forgotten_is_not_lost(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    [task] = await desk.failed()
    plan = await desk.planned()
    await desk.start(plan)
    messages = await desk.sent(plan)
    await desk.records.write(delete_published, [message.outbox_id for message in messages])
    await desk.completed(messages)
    await desk.settled(plan)
    late = letter_of(dead_message(sync_event(), task.id, redrive_no=1, died_at=LATER), gate=gate_of())

    def leave_as_another_comes_in(connection: Connection, task_ids: Sequence[str], at: datetime) -> None:
        take_in(connection, [late])
        release_files(connection, task_ids, at)

    # Once a step has chosen its tasks, this is the first that it does with them.
    monkeypatch.setattr(pruning, "release_files", leave_as_another_comes_in)
    assert (await pruned(desk, before=OVER)).tasks == 1

    assert not await is_there(desk, task)
    assert [(each["state"], each["redrive_no"]) for each in await desk.letters()] == [(LetterState.DEAD, 1)]


async def test_a_letter_that_can_be_restored_keeps_its_task_until_it_is_forgotten(desk: Desk) -> None:
    await desk.failed()
    await move(
        desk.records,
        Move(LetterFilter(), LetterState.DISCARDED, "ann", LATER, "no one wants it", LATER + KEEP),
    )
    assert (await pruned(desk, State.FAILED, before=OVER)).tasks == 0

    await desk.records.write(prune, Pruning(LATER + 2 * KEEP, 10, KEEP))

    assert (await pruned(desk, State.FAILED, before=OVER)).tasks == 1


async def test_what_waits_in_the_outbox_keeps_its_task(desk: Desk) -> None:
    task = new_task()
    await desk.records.write(accept, Submission(task))
    await desk.apply(reported(LifecycleType.STARTED, task.id), reported(COMPLETED, task.id))

    assert (await pruned(desk)).tasks == 0
    assert OUTBOX.name in await counts(desk)


async def test_a_key_outlives_its_task_and_is_answered_as_the_first_time(desk: Desk) -> None:
    task = await completed(desk, call=keyed("k"))
    await pruned(desk)

    again = await desk.records.write(accept, Submission(new_task(), keyed("k")))

    assert again == AcceptedBefore(task.id, task.kind, None)
    assert TASKS.name not in await counts(desk)


async def test_keys_and_reset_tokens_go_by_their_own_age(desk: Desk) -> None:
    for number in range(3):
        token = ResetToken(f"hash {number}", "ann@example.test", NOON + number * DAY)
        task = new_task(created_at=NOON + number * DAY)
        await completed(desk, task, call=keyed(str(number)), rows=rows_of(token, task))

    wish = PruneKeys(NOON + 2 * DAY, 10)
    assert await desk.records.write(prune_keys, wish) == PrunedKeys(4, None)
    assert await desk.records.write(prune_keys, wish) == PrunedKeys(0, None)

    left = await counts(desk)
    assert (left[IDEMPOTENCY.name], left[PASSWORD_RESETS.name], left[TASKS.name]) == (1, 1, 3)


async def test_a_key_stays_for_as_long_as_its_task_is_open_and_keeps_no_other(desk: Desk) -> None:
    later = new_task(created_at=NOON, due_at=NOON + 90 * DAY)
    await accepted(desk, later, call=keyed("later"))
    for number in range(4):
        # Two in one moment, so that a step ends between them.
        task = new_task(created_at=NOON + number // 2 * DAY)
        await (accepted if number % 2 else completed)(desk, task, call=keyed(f"k{number}"))
    deleted: list[int] = []
    after: str | None = ""
    while after is not None:
        step = await desk.records.write(prune_keys, PruneKeys(NOON + 60 * DAY, 1, after))
        deleted.append(step.deleted)
        after = step.after

    assert deleted == [1, 0, 0, 1, 0, 0]
    again = await desk.records.write(accept, Submission(new_task(), keyed("later")))
    assert again == AcceptedBefore(later.id, later.kind, later.due_at)
    assert (await counts(desk))[IDEMPOTENCY.name] == 3


async def marked(desk: Desk, since: datetime = OVER + DAY, now: datetime = OVER + 9 * DAY) -> list[Mark]:
    return await desk.records.write(mark_unused, Removal(since, now, 10))


async def unused(desk: Desk, since: datetime = OVER + DAY, now: datetime = OVER + 9 * DAY) -> list[str]:
    return [mark.key for mark in await marked(desk, since, now)]


async def test_a_file_is_in_use_until_the_last_task_that_refers_to_it_has_gone(desk: Desk) -> None:
    key = image_event().source_key
    await completed(desk, new_task(image_event()))
    waiting = await accepted(desk, new_task(image_event()))
    await pruned(desk)
    assert await unused(desk) == []

    await desk.apply(reported(COMPLETED, waiting.id, service="images", kind=waiting.kind))
    await pruned(desk)

    assert await unused(desk, since=OVER) == []
    [mark] = await marked(desk)
    assert mark.key == key
    assert await desk.records.write(delete_removed, mark) is True
    assert await counts(desk) == {PRUNED.name: 1}


async def test_an_upload_keeps_a_file_and_waits_for_one_that_is_being_removed(desk: Desk) -> None:
    key = image_event().source_key
    await completed(desk, new_task(image_event()))
    await pruned(desk)

    assert await desk.records.write(touch_files, Touch(key, OVER + 2 * DAY)) is True
    assert await unused(desk) == []
    now = OVER + 3 * DAY
    assert await unused(desk, since=now, now=now) == [key]
    assert await desk.records.write(touch_files, Touch(key, now)) is False
    # Whoever marked it died: the mark is found again.
    now += ABANDONED_AFTER + timedelta(seconds=1)
    [mark] = await marked(desk, since=now, now=now)
    assert await desk.records.write(touch_files, Touch(key, now)) is False
    assert await desk.records.write(delete_removed, mark) is True
    assert await desk.records.write(touch_files, Touch(key, OVER + 4 * DAY)) is True


async def test_an_upload_that_no_task_came_of_is_unused(desk: Desk) -> None:
    assert await desk.records.write(touch_files, Touch("originals/aa/b", NOON)) is True
    assert await unused(desk, since=NOON) == []
    assert await unused(desk, since=NOON + DAY) == ["originals/aa/b"]
