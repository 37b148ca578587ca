import asyncio
from datetime import timedelta
from typing import Any

import pytest
from desk_under_test import Desk
from sqlalchemy import Connection, event, select, update

from waybill_contracts.kinds.catalog import CATALOG
from waybill_contracts.kinds.syncs import SyncRequested
from waybill_contracts.privacy.seal import NO_KEYS
from waybill_contracts.registry import apply, built_in_registry
from waybill_contracts.states import State
from waybill_contracts.wire.envelope import Envelope
from waybill_contracts.wire.lifecycle import DeadReason, ErrorInfo, LifecycleType
from waybill_ledger import Cancellation, Submission, Sweep, accept, cancel, outlook, take_due
from waybill_ledger.deadletters.letters.contract_gate import ContractGate
from waybill_ledger.deadletters.redrives import plan as planning
from waybill_ledger.deadletters.redrives.edits import Edit
from waybill_ledger.deadletters.redrives.plan import NothingSelectedError
from waybill_ledger.deadletters.states import (
    Effect,
    GroupState,
    ItemState,
    LetterState,
    Phase,
    RedriveState,
    Verdict,
)
from waybill_ledger.schema.desk_tables import DEAD_LETTERS
from waybill_testkit.samples import (
    NOON,
    dead_message,
    event_in,
    new_task,
    next_release,
    reported,
    reset_event,
    user_event,
)

OTHER = ErrorInfo(type="PermanentError", message="the record is gone")


async def test_a_redrive_sends_the_letter_as_it_came_and_completes_its_task(desk: Desk) -> None:
    [task] = await desk.failed()
    plan = await desk.planned(service="sync")
    assert plan.state is RedriveState.PLANNED
    assert (plan.dry_run["will_run"], plan.dry_run["destinations"]) == (1, {"sync.work": 1})
    assert await desk.start(plan) is None
    [message] = await desk.sent(plan)

    assert (message.exchange, message.routing_key) == ("", "sync.work")
    assert message.body == task.payload
    envelope = message.envelope
    assert (envelope.task_id, envelope.redrive_no, envelope.attempt) == (task.id, 1, 1)
    assert Envelope.from_headers(envelope.to_headers()) == envelope
    assert (await desk.task(task.id)).state is State.PENDING
    [letter] = await desk.letters()
    assert (letter["state"], letter["redrive_id"]) == (LetterState.REDRIVING, plan.id)
    assert [group.state for group in await desk.groups()] == [GroupState.REDRIVING]

    await desk.completed([message])
    assert (await desk.settled(plan)).outcomes == 1
    await desk.sent(plan)
    ended = await desk.redrive(plan.id)
    assert (ended.state, ended.progress.succeeded) == (RedriveState.COMPLETED, 1)
    whole = await desk.letter(letter["id"])
    assert (whole["state"], whole["redrive_id"]) == (LetterState.RECOVERED, None)
    assert [(r["redrive_id"], r["redrive_no"], r["state"]) for r in whole["redrives"]] == [
        (plan.id, 1, ItemState.SUCCEEDED)
    ]
    assert (await desk.task(task.id)).state is State.COMPLETED
    assert [group.state for group in await desk.groups()] == [GroupState.RESOLVED]


async def test_a_letter_that_comes_back_is_one_of_its_own_and_its_group_has_regressed(desk: Desk) -> None:
    [task] = await desk.failed()
    plan = await desk.planned(service="sync")
    await desk.start(plan)
    await desk.failed_again(await desk.sent(plan))
    settled = await desk.settled(plan)

    assert "came back" in (settled.halted_because or "")
    assert "TransientError: refused" in (settled.halted_because or "")
    second, first = await desk.letters()
    assert (first["state"], second["state"]) == (LetterState.RETURNED, LetterState.DEAD)
    assert (second["redrive_no"], second["effect"]) == (1, Effect.UNKNOWN)
    [redriven] = (await desk.letter(second["id"]))["redrives"]
    assert (redriven["state"], redriven["returned_as"]) == (ItemState.FAILED, second["id"])
    assert [group.state for group in await desk.groups()] == [GroupState.REGRESSED]
    assert (await desk.task(task.id)).state is State.FAILED


async def test_with_the_fault_still_there_500_letters_lose_5_canaries(desk: Desk) -> None:
    await desk.failed(500)
    plan = await desk.planned(service="sync", canary=5, rate=2000)
    await desk.start(plan)
    canaries = await desk.sent(plan)
    assert len(canaries) == 5
    await desk.failed_again(canaries)
    await desk.settled(plan)

    assert await desk.sent(plan) == []
    halted = await desk.redrive(plan.id)
    assert (halted.state, halted.progress.waiting, halted.progress.failed) == (RedriveState.HALTED, 495, 5)
    assert "5 of its canaries did not complete" in (halted.halted_because or "")


async def test_the_canary_is_awaited_and_then_the_redrive_widens_by_what_came_out_well(desk: Desk) -> None:
    await desk.failed(60)
    plan = await desk.planned(service="sync", canary=3, rate=2000)
    await desk.start(plan)
    first = await desk.sent(plan)
    assert len(first) == 3
    await desk.completed(first[:2])
    await desk.settled(plan)
    assert await desk.sent(plan) == []
    await desk.completed(first[2:])
    await desk.settled(plan)

    second = await desk.sent(plan)
    assert len(second) == 12
    assert (await desk.redrive(plan.id)).phase is Phase.FULL
    await desk.completed(second)
    await desk.settled(plan)
    assert len(await desk.sent(plan)) == 45


async def test_after_a_halt_it_is_resumed_with_a_canary_again(desk: Desk) -> None:
    await desk.failed(20)
    plan = await desk.planned(service="sync", canary=2)
    await desk.start(plan)
    await desk.failed_again(await desk.sent(plan))
    await desk.settled(plan)
    assert await desk.steer(plan, "resume") is None
    again = await desk.sent(plan)

    assert len(again) == 2
    await desk.completed(again)
    await desk.settled(plan)
    assert len(await desk.sent(plan)) == 8


async def test_another_fault_does_not_halt_a_redrive_that_has_widened(desk: Desk) -> None:
    await desk.failed(10)
    plan = await desk.planned(service="sync", canary=1)
    await desk.start(plan)
    await desk.completed(await desk.sent(plan))
    await desk.settled(plan)
    await desk.failed_again(await desk.sent(plan), OTHER)

    assert (await desk.settled(plan)).halted_because is None


async def test_of_two_people_who_start_one_plan_the_second_is_told_who_was_first(desk: Desk) -> None:
    await desk.failed(3)
    plan = await desk.planned(service="sync")
    answers = await asyncio.gather(desk.start(plan, "ann"), desk.start(plan, "bob"))

    [refused] = [answer for answer in answers if answer is not None]
    assert refused.code == "already_started"
    assert "ann" in refused.why or "bob" in refused.why
    assert len(await desk.sent(plan)) == 3


async def test_of_two_plans_that_overlap_the_second_is_told_which_letters_are_taken(desk: Desk) -> None:
    await desk.failed(5)
    letters = [letter["id"] for letter in await desk.letters()]
    first = await desk.planned(ids=letters[:3])
    second = await desk.planned(ids=letters[2:])
    assert await desk.start(first) is None
    refused = await desk.start(second)

    assert refused is not None
    assert refused.code == "overlaps"
    assert f"redrive {first.id} holds 1" in refused.why
    await desk.steer(first, "cancel")
    assert await desk.start(second) is None


async def test_a_plan_needs_the_hash_of_what_was_seen(desk: Desk) -> None:
    await desk.failed()
    plan = await desk.planned(service="sync")
    refused = await desk.start(plan, hash_="0" * 64)
    assert refused is not None
    assert refused.code == "hash_differs"


async def test_the_hash_tells_sets_versions_and_edits_apart(desk: Desk) -> None:
    await desk.failed(2)
    one, two = (letter["id"] for letter in await desk.letters())
    patch = [{"op": "add", "path": "/data/city", "value": "London"}]
    hashes = [
        (await desk.planned(ids=[one, two])).hash,
        (await desk.planned(ids=[one])).hash,
        (await desk.planned(ids=[one, two], edits=[Edit(patch)])).hash,
        (await desk.planned(ids=[one, two], edits=[Edit(patch, frozenset({one}))])).hash,
    ]
    assert len(set(hashes)) == 4
    assert (await desk.planned(ids=[two, one])).hash == hashes[0]


async def test_what_changed_after_the_plan_is_not_sent(desk: Desk) -> None:
    [done, cancelled, kept] = await desk.failed(3)
    plan = await desk.planned(service="sync")
    await desk.apply(desk.told(done, LifecycleType.COMPLETED))
    await desk.apply(desk.told(cancelled, LifecycleType.CANCELLED))
    await desk.start(plan)
    [message] = await desk.sent(plan)

    assert message.envelope.task_id == kept.id
    skipped = await desk.items(plan.id, state=ItemState.SKIPPED)
    assert {item["task_id"]: item["skipped_because"] for item in skipped} == {
        done.id: "done",
        cancelled.id: "cancelled",
    }


async def test_an_edit_is_checked_sent_and_kept_for_as_often_as_it_is_put_back(desk: Desk) -> None:
    await desk.failed()
    patch = [{"op": "replace", "path": "/data/name", "value": "Ada"}]
    plan = await desk.planned(service="sync", edits=[Edit(patch)])
    assert plan.dry_run["edited"] == 1
    await desk.start(plan)
    [message] = await desk.sent(plan)

    assert SyncRequested.model_validate_json(message.body).data == {"name": "Ada"}
    assert message.envelope.edit_no == 1
    due = (await desk.records.read(outlook)).outbox_at
    assert due is not None
    sweep = Sweep(due, due + timedelta(minutes=1), 10)
    [swept] = await desk.records.write(take_due, sweep)
    assert (swept.body, swept.envelope) == (message.body, message.envelope)


async def test_an_edit_that_breaks_the_contract_is_named_and_not_sent(desk: Desk) -> None:
    await desk.failed()
    plan = await desk.planned(service="sync", edits=[Edit([{"op": "remove", "path": "/target"}])])
    assert plan.dry_run["verdicts"]["unfixable"] == 1
    [unfixable] = plan.dry_run["unfixable"]
    assert unfixable["errors"] == [{"field": "target", "message": "is required"}]
    await desk.start(plan)
    assert await desk.sent(plan) == []


async def test_a_broken_payload_is_named_with_its_fields_and_mended_by_an_edit(desk: Desk) -> None:
    await desk.failed(
        body=b'{"target": "crm", "resource": "contacts", "id": 7}', reason=DeadReason.UNREADABLE
    )
    [letter] = await desk.letters()
    assert letter["verdict"] == Verdict.UNFIXABLE
    assert {error["field"] for error in letter["errors"]} == {"id", "data"}
    patch: list[dict[str, Any]] = [
        {"op": "replace", "path": "/id", "value": "7"},
        {"op": "add", "path": "/data", "value": {}},
    ]
    plan = await desk.planned(service="sync", edits=[Edit(patch)])
    await desk.start(plan)
    [message] = await desk.sent(plan)
    assert SyncRequested.model_validate_json(message.body).id == "7"


async def test_an_older_version_is_sent_for_its_service_to_bring_up(desk: Desk) -> None:
    await desk.failed()
    [letter] = await desk.letters()
    desk.gate = ContractGate(
        apply(built_in_registry(), next_release("sync", SyncRequested.KIND)).registry, NO_KEYS
    )
    plan = await desk.planned(service="sync")

    assert plan.dry_run["verdicts"] == {"valid": 0, "upcastable": 1, "unfixable": 0}
    await desk.start(plan)
    [message] = await desk.sent(plan)
    assert message.envelope.dataschema == letter["dataschema"] == "urn:waybill:sync.requested:v1"


async def test_nothing_selected_is_no_plan(desk: Desk) -> None:
    with pytest.raises(NothingSelectedError):
        await desk.planned(service="email")


@pytest.mark.parametrize("letters", [6, 7])
async def test_a_plan_of_many_transactions_misses_no_letter(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, letters: int
) -> None:
    monkeypatch.setattr(planning, "CHUNK", 3)
    await desk.failed(letters)
    plan = await desk.planned(service="sync")

    assert plan.letters == letters


async def test_a_deadline_that_has_passed_does_not_kill_a_redrive(desk: Desk) -> None:
    [task] = await desk.failed(reason=DeadReason.DEADLINE, deadline=NOON)
    plan = await desk.planned(service="sync")
    await desk.start(plan)
    [message] = await desk.sent(plan)
    assert message.envelope.task_id == task.id
    assert message.envelope.deadline is None


async def test_a_task_that_was_cancelled_stays_so(desk: Desk) -> None:
    [task] = await desk.failed(event=user_event())
    # The other subtask is still under way, so that the whole can be called off.
    await desk.records.write(cancel, Cancellation(task.id, desk.clock.now))
    plan = await desk.planned(service="sync")
    assert plan.dry_run["effects"]["cancelled"] == 1


async def test_pause_and_cancel_leave_what_is_on_its_way(desk: Desk) -> None:
    await desk.failed(10)
    plan = await desk.planned(service="sync", canary=4)
    await desk.start(plan)
    canaries = await desk.sent(plan)
    assert await desk.steer(plan, "pause") is None
    await desk.completed(canaries)
    await desk.settled(plan)
    assert await desk.sent(plan) == []
    assert await desk.steer(plan, "resume") is None
    more = await desk.sent(plan)
    assert len(more) == 6
    assert await desk.steer(plan, "cancel") is None
    assert (await desk.redrive(plan.id)).ended_at is None
    await desk.completed(more)
    await desk.settled(plan)
    ended = await desk.redrive(plan.id)
    assert (ended.state, ended.progress.succeeded) == (RedriveState.CANCELLED, 10)
    assert ended.ended_at is not None
    refused = await desk.steer(plan, "resume")
    assert refused is not None
    assert refused.code == "wrong_state"


async def test_the_payload_of_a_letter_is_forgotten_with_the_secret_in_it(desk: Desk) -> None:
    assert CATALOG[reset_event().KIND].event.is_sensitive()
    task = new_task(reset_event())
    await desk.records.write(accept, Submission(task))
    await desk.came(dead_message(event_in(task), task.id, service="email"))
    [letter] = await desk.letters()
    assert (await desk.letter(letter["id"]))["payload"]["link"] == "[redacted]"

    await desk.apply(reported(LifecycleType.COMPLETED, task.id, kind=task.kind, attempt=4))
    assert (await desk.letter(letter["id"]))["payload"] is None


async def test_a_plan_comes_to_an_end_while_another_process_checks_with_other_keys(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.failed(5)
    monkeypatch.setattr(planning, "CHUNK", 2)
    others = update(DEAD_LETTERS).values(checked_against="other keys")
    with desk.records.engine.begin() as connection:
        connection.execute(others)
    checked: list[int] = []

    @event.listens_for(desk.records.engine, "commit")
    def undo(connection: Connection) -> None:
        ours = DEAD_LETTERS.c.checked_against == desk.gate.version
        checked.extend(connection.scalars(select(DEAD_LETTERS.c.id).where(ours)))
        connection.execute(others)

    assert (await asyncio.wait_for(desk.planned(), timeout=30)).letters == 5
    assert len(checked) == len(set(checked)) == 5
