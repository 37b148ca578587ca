from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from desk_under_test import Desk

from waybill_contracts.states import State
from waybill_contracts.wire.lifecycle import DeadReason, ErrorInfo, LifecycleType
from waybill_ledger import BadCursorError, Submission, accept, get_timeline
from waybill_ledger.audit.trail import AuditFilter, list_audit_entries
from waybill_ledger.deadletters.groups.queries import NewNote, note
from waybill_ledger.deadletters.intake import amqp_json
from waybill_ledger.deadletters.intake.intake import take_in
from waybill_ledger.deadletters.intake.letter import DeadMessage, letter_of
from waybill_ledger.deadletters.letters.archiving import GroupMove, Move, mark_group, move
from waybill_ledger.deadletters.letters.pruning import Pruning, prune
from waybill_ledger.deadletters.letters.queries import LetterFilter, list_letters
from waybill_ledger.deadletters.states import GroupState, LetterState, Verdict
from waybill_testkit.samples import NOON, dead_message, envelope_of, gate_of, new_task, sync_event

SYNC = sync_event()
ELEVEN = NOON - timedelta(hours=1)
#: As RabbitMQ writes it when a message was returned too often; its times have no zone.
X_DEATH = [
    {"reason": "delivery_limit", "queue": "sync.work", "count": 1, "time": ELEVEN.replace(tzinfo=None)},
    {"reason": "expired", "queue": "delay.01", "count": 1, "time": ELEVEN.replace(tzinfo=None)},
]


def raw(queue: str, body: bytes = b"\xff\x00", **headers: Any) -> DeadMessage:
    return DeadMessage(queue, body, headers, {}, NOON)


async def test_the_same_letter_a_thousand_times_is_one_row(desk: Desk) -> None:
    message = dead_message(SYNC, new_task().id)
    new = [await desk.records.write(take_in, letter_of(message, gate=gate_of())) for _ in range(1000)]

    assert new == [True] + [False] * 999
    [letter] = await desk.letters()
    assert letter["deliveries"] == 1000
    assert [group.total for group in await desk.groups()] == [1]


async def test_a_letter_is_kept_byte_for_byte_with_all_that_is_told_of_it(desk: Desk) -> None:
    [task] = await desk.failed(body=b'{"caf\xc3\xa9" : 1}\n')
    [row] = await desk.letters()
    letter = await desk.letter(row["id"])

    assert letter["payload"] == {"café": 1}
    assert letter["headers"]["x-task-id"] == task.id
    assert (letter["attempt"], letter["max_attempts"], letter["reason"]) == (4, 4, "exhausted")
    assert (letter["error_type"], letter["error_message"]) == ("TransientError", "refused")
    assert (letter["frame"], letter["service_version"]) == ("waybill_sync.client:put", "0.1.0")
    assert letter["traceback"].startswith("Traceback")
    assert letter["properties"] == {"content_type": "application/json", "correlation_id": "order-7"}
    assert letter["died_at"] == NOON


async def test_what_cannot_be_read_is_a_letter_too(desk: Desk) -> None:
    odd = raw("sync.dlq", b"\xff\x00\x01", **{"x-nul": "a\0b", "x-bytes": b"\x00\xff", "x-task-id": 7})
    assert await desk.came(odd, odd, raw("unrouted", b"{}"), raw("status.dlq", b"[]")) == [
        True,
        False,
        True,
        True,
    ]
    letters = {letter["queue"]: letter for letter in await desk.letters()}
    assert {letter["verdict"] for letter in letters.values()} == {Verdict.UNFIXABLE}
    assert letters["sync.dlq"]["errors"][0]["field"] == "headers"
    assert letters["status.dlq"]["errors"][0]["field"] == "service"
    whole = await desk.letter(letters["sync.dlq"]["id"])
    assert (whole["payload"], whole["body_base64"]) == (None, "/wAB")
    assert whole["headers"]["x-bytes"] == {"$bytes": "AP8="}


async def test_what_the_broker_gave_up_is_told_to_the_ledger(desk: Desk) -> None:
    task = new_task(SYNC)
    await desk.records.write(accept, Submission(task))
    headers = envelope_of(SYNC, task.id).to_headers() | {"x-death": X_DEATH}
    await desk.came(DeadMessage("sync.dlq", b"{}", headers, {}, NOON))

    found = await desk.task(task.id)
    assert found.state is State.FAILED
    [letter] = await desk.letters()
    assert (letter["reason"], letter["died_at"]) == ("delivery_limit", ELEVEN)
    timeline = await desk.records.read(lambda connection: get_timeline(connection, task.id))
    assert [(entry.type, entry.details["reason"]) for entry in timeline] == [("task.dead", "delivery_limit")]


async def test_letters_of_one_fault_are_one_group_and_another_fault_is_another(desk: Desk) -> None:
    for n in range(3):
        await desk.failed(error=ErrorInfo(type="TransientError", message=f"crm answered 503 to order-{n}"))
    await desk.failed(error=ErrorInfo(type="TransientError", message="crm answered 401 to order-9"))
    by_message = {group.message: group for group in await desk.groups()}

    assert {message: group.total for message, group in by_message.items()} == {
        "crm answered 503 to <id>": 3,
        "crm answered 401 to <id>": 1,
    }
    group = by_message["crm answered 503 to <id>"]
    assert (group.state, group.service, group.letters) == (GroupState.OPEN, "sync", {LetterState.DEAD: 3})
    assert group.sample == max(x["id"] for x in await desk.letters(group=group.id))


async def test_the_trend_counts_each_hour(desk: Desk) -> None:
    for hours in (0, 0, 1, 23, 24, 30):
        await desk.came(dead_message(SYNC, new_task().id, died_at=desk.clock.now - timedelta(hours=hours)))
    [group] = await desk.groups()
    assert group.trend == [1] + [0] * 21 + [1, 2]
    assert group.total == 6


async def test_a_resolved_group_that_comes_back_has_regressed(desk: Desk) -> None:
    await desk.failed()
    await discard(desk)
    assert [group.state for group in await desk.groups()] == [GroupState.RESOLVED]
    await desk.failed()
    assert [group.state for group in await desk.groups()] == [GroupState.REGRESSED]
    assert await desk.groups(state=GroupState.OPEN) == []


async def discard(desk: Desk, target: LetterState = LetterState.DISCARDED, **wanted: Any) -> int:
    until = desk.clock.now + timedelta(days=30)
    wish = Move(LetterFilter(**wanted), target, "ann", desk.clock.now, "no longer wanted", until)
    return await move(desk.records, wish)


async def restore(desk: Desk, **wanted: Any) -> int:
    return await move(
        desk.records, Move(LetterFilter(**wanted), LetterState.DEAD, "bob", desk.clock.now, None)
    )


async def pruned(desk: Desk, days: float) -> int:
    now = desk.clock.now + timedelta(days=days)
    return await desk.records.write(prune, Pruning(now, 500, timedelta(days=7)))


async def test_what_is_discarded_is_restored_until_it_is_forgotten(desk: Desk) -> None:
    await desk.failed(3)
    ids = [letter["id"] for letter in await desk.letters()]
    assert await discard(desk, ids=ids[:2]) == 2
    assert await restore(desk, ids=ids[:1]) == 1
    assert await pruned(desk, 29) == 0
    assert await pruned(desk, 31) == 1
    assert await pruned(desk, 31) == 0

    assert [letter["id"] for letter in await desk.letters()] == [ids[0], ids[2]]
    assert await restore(desk, ids=ids) == 0


async def test_a_letter_in_a_running_redrive_is_not_put_away(desk: Desk) -> None:
    await desk.failed(2)
    plan = await desk.planned(service="sync")
    await desk.start(plan)
    assert await discard(desk, service="sync") == 0


async def test_a_group_is_archived_until_it_comes_back(desk: Desk) -> None:
    await desk.failed(2)
    [group] = await desk.groups()
    await discard(desk, LetterState.ARCHIVED, group=group.id)
    await desk.records.write(mark_group, GroupMove(group.id, archived=True, at=desk.clock.now))
    assert [found.state for found in await desk.groups()] == [GroupState.ARCHIVED]
    await desk.failed()
    assert [found.state for found in await desk.groups()] == [GroupState.REGRESSED]


async def test_every_deed_is_in_the_audit_trail(desk: Desk) -> None:
    await desk.failed(2)
    [group] = await desk.groups()
    await desk.records.write(note, NewNote(group.id, "see ticket 7", "ann", desk.clock.now))
    plan = await desk.planned(group=group.id)
    await desk.start(plan)
    await desk.steer(plan, "pause")
    await desk.steer(plan, "cancel")
    await discard(desk, group=group.id)
    await restore(desk, group=group.id)

    page = await desk.records.read(lambda c: list_audit_entries(c, AuditFilter(), limit=100, cursor=None))
    assert [(entry.actor, entry.action) for _, entry in reversed(page.entries)] == [
        ("ann", "note"),
        ("ann", "plan"),
        ("ann", "start"),
        ("bob", "pause"),
        ("bob", "cancel"),
        ("ann", "discard"),
        ("bob", "restore"),
    ]
    of_plan = await desk.records.read(
        lambda c: list_audit_entries(c, AuditFilter(redrive_id=plan.id), limit=100, cursor=None)
    )
    assert len(of_plan.entries) == 4
    assert [group.note for group in await desk.groups()] == ["see ticket 7"]


async def test_filters_and_pages(desk: Desk) -> None:
    await desk.failed(5)
    await desk.failed(error=ErrorInfo(type="ValueError", message="100% odd"), reason=DeadReason.PERMANENT)
    assert len(await desk.letters(q="0% o")) == 1
    assert len(await desk.letters(reason="permanent")) == 1
    assert len(await desk.letters(error_type="TransientError", kind="sync.requested")) == 5
    assert await desk.letters(since=NOON + timedelta(seconds=1)) == []
    assert await desk.letters(q="\0") == await desk.letters(service="a\0b") == []
    assert len(await desk.letters(task=(await desk.letters())[0]["task_id"])) == 1
    seen: list[int] = []
    cursor = None
    while True:
        query = partial(list_letters, wanted=LetterFilter(), limit=4, cursor=cursor)
        page = await desk.records.read(query)
        seen += [letter["id"] for letter in page.letters]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == 6


@pytest.mark.parametrize("cursor", ["", "!", "AAAA", "W10", "WyJhIl0", "WzldAA", "WzFlOTld"])
async def test_a_cursor_that_was_never_given_out_is_refused(tmp_path: Any, cursor: str) -> None:
    desk = Desk(f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(BadCursorError):
        await desk.records.read(lambda c: list_letters(c, LetterFilter(), limit=4, cursor=cursor))
    await desk.records.close()


@pytest.mark.parametrize(
    "value",
    [
        {"a": b"\x00\xff", "b": [1, True, None, 2.5], "c": {"d": datetime(2026, 1, 2, tzinfo=UTC)}},
        {"$odd": "key", "x": {"$bytes": "no bytes"}},
        {"decimal": Decimal("1.50"), "infinite": float("inf")},
    ],
)
def test_headers_come_back_with_their_types(value: Any) -> None:
    assert amqp_json.from_json(amqp_json.to_json(value)) == value


async def test_completing_a_task_leaves_its_old_letter_to_a_person(desk: Desk) -> None:
    [task] = await desk.failed()
    await desk.apply(desk.told(task, LifecycleType.COMPLETED))
    [letter] = await desk.letters()
    assert (letter["state"], letter["effect"]) == (LetterState.DEAD, "done")


async def test_the_audit_trail_shows_no_address_that_letters_were_looked_for_by(desk: Desk) -> None:
    await desk.failed(error=ErrorInfo(type="PermanentError", message="crm knows no ann@example.com"))
    assert await discard(desk, q="ann@example.com") == 1
    assert await restore(desk, q="ann@example.com") == 1

    page = await desk.records.read(lambda c: list_audit_entries(c, AuditFilter(), limit=100, cursor=None))
    assert [entry.details and entry.details["q"] for _, entry in page.entries] == ["a***@example.com"] * 2
