"""What is known of a letter's effect on the outside world."""

import pytest
from desk_under_test import Desk

from waybill_contracts.wire.lifecycle import DeadReason, ErrorInfo, LifecycleType
from waybill_ledger.deadletters.redrives.edits import Edit
from waybill_ledger.deadletters.states import Effect
from waybill_testkit.samples import dead_message, new_task, sync_event

OTHER = ErrorInfo(type="PermanentError", message="the record is gone")


async def test_a_dry_run_tells_what_is_known_of_each_effect(desk: Desk) -> None:
    await desk.failed()
    await desk.failed(2, reason=DeadReason.PERMANENT, error=OTHER, attempt=1)
    [done] = await desk.failed()
    await desk.apply(desk.told(done, LifecycleType.COMPLETED))
    await desk.came(dead_message(sync_event(), new_task().id))
    plan = await desk.planned(service="sync")

    assert {name: n for name, n in plan.dry_run["effects"].items() if n} == {
        "unknown": 1,
        "not_done": 2,
        "done": 1,
        "no_task": 1,
    }
    assert (plan.dry_run["will_run"], plan.dry_run["will_skip"]) == (3, 2)


async def test_a_letter_that_came_back_shows_what_is_known_of_its_effect(desk: Desk) -> None:
    await desk.failed()
    plan = await desk.planned(service="sync")
    await desk.start(plan)
    messages = await desk.sent(plan)
    assert [letter["effect"] for letter in await desk.letters()] == [Effect.UNDER_WAY]
    await desk.failed_again(messages)
    await desk.settled(plan)

    assert [letter["effect"] for letter in await desk.letters()] == [Effect.UNKNOWN] * 2
    again = await desk.planned(service="sync")
    assert {name: n for name, n in again.dry_run["effects"].items() if n} == {"unknown": 1}
    await desk.start(again)
    await desk.completed(await desk.sent(again))
    await desk.settled(again)
    assert [letter["effect"] for letter in await desk.letters()] == [Effect.DONE] * 2


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (DeadReason.PERMANENT, DeadReason.PERMANENT, Effect.NOT_DONE),
        # What was refused now may have been done before, and the other way round.
        (DeadReason.CRASHED, DeadReason.PERMANENT, Effect.UNKNOWN),
        (DeadReason.PERMANENT, DeadReason.CRASHED, Effect.UNKNOWN),
    ],
)
async def test_an_effect_is_not_done_only_if_no_redrive_may_have_done_it(
    desk: Desk, first: DeadReason, second: DeadReason, expected: Effect
) -> None:
    await desk.failed(reason=first, attempt=1)
    plan = await desk.planned(service="sync")
    await desk.start(plan)
    await desk.failed_again(await desk.sent(plan), reason=second, attempt=1)
    await desk.settled(plan)

    assert [letter["effect"] for letter in await desk.letters()] == [expected] * 2
    again = await desk.planned(service="sync")
    assert again.dry_run["effects"][expected] == 1


async def test_the_effect_of_an_edit_is_its_own(desk: Desk) -> None:
    [task] = await desk.failed()
    edit = Edit([{"op": "replace", "path": "/resource", "value": "people"}])
    plan = await desk.planned(service="sync", edits=[edit])
    await desk.start(plan)
    await desk.failed_again(await desk.sent(plan), reason=DeadReason.PERMANENT, attempt=1)
    await desk.settled(plan)

    edited, before = await desk.letters(task=task.id)
    assert (before["effect"], edited["effect"]) == (Effect.UNKNOWN, Effect.NOT_DONE)
