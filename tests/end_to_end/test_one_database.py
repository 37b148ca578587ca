"""Two of each service on one PostgreSQL, which crashes; processes are killed, and every effect is counted."""

import asyncio
import signal
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from tests.end_to_end.stack import POLL_SECONDS
from tests.end_to_end.twins import PATIENCE, Twins, twins
from waybill_devstack.stack.plan import OPS_ADDRESS
from waybill_testkit.eventually import eventually
from waybill_testkit.postgres.private import InstalledPostgres
from waybill_worker.consume.settings import ServiceSettings

#: Rounds of posts, and how many a second.
ROUNDS, RATE = 60, 6
#: In which round what happens; letters come after the crash, so that each has had one attempt.
CRASH, KILL_EMAIL, KILL_STATUS, KILL_GATEWAY = 15, 30, 35, 45
LETTERS = 10
#: Letters that a redrive sends in a second: so few that a desk can be killed in its middle.
REDRIVE_RATE = 1
#: Seconds from posting a task with a delay of one second to its cancellation: before and around its release.
CANCEL_AFTER = (0.0, 0.8, 0.9, 1.0, 1.1)
#: Mails in work at once: as many may be sent again when their service dies between DATA and its record.
IN_WORK = ServiceSettings.model_fields["prefetch"].default


@dataclass
class Posted:
    """What was accepted: address or record id, and its task."""

    mails: dict[str, str] = field(default_factory=dict)
    records: dict[str, str] = field(default_factory=dict)
    prevented: dict[str, str] = field(default_factory=dict)
    stopping: dict[str, str] = field(default_factory=dict)


async def test_two_of_each_lose_nothing_and_double_nothing(
    topology_url: str, own_postgres: InstalledPostgres, tmp_path: Path
) -> None:
    async with twins(tmp_path, topology_url, own_postgres) as stack:
        posted = Posted()
        async with asyncio.TaskGroup() as posting:
            for number in range(ROUNDS):
                await asyncio.sleep(1 / RATE)
                for post in (_mail_at_both, _record, _low_mail, _later_mail, _cancelled):
                    posting.create_task(post(stack, posted, number))
                if number == CRASH:
                    await asyncio.to_thread(own_postgres.stop, signal.SIGQUIT)
                    posting.create_task(asyncio.to_thread(own_postgres.start))
                for round_, killed in (
                    (KILL_EMAIL, ("email", 0)),
                    (KILL_STATUS, ("status", 0)),
                    (KILL_GATEWAY, ("gateway", 1)),
                ):
                    if number == round_:
                        stack.kill(*killed)
        assert stack.asked_to_repeat
        assert stack.found_no_process
        refused = await _refused_records(stack)
        await eventually(lambda: _all_ended(stack), PATIENCE, every=POLL_SECONDS)
        assert stack.ended() == {}
        await _redriven_by_both(stack, refused)
        await eventually(lambda: _all_ended(stack), PATIENCE, every=POLL_SECONDS)
        await _assert_counts(stack, posted, refused)


async def _mail_at_both(stack: Twins, posted: Posted, number: int) -> None:
    """One key, at both gateways at once: one task."""
    to = f"both-{number}@example.com"
    mail = {"to": to, "subject": "Hello", "text": "It works."}
    answers = await asyncio.gather(
        *(stack.retry_until_success("/v1/emails", mail, to, first) for first in range(2))
    )
    assert answers[0]["id"] == answers[1]["id"]
    posted.mails[to] = answers[0]["id"]


async def _record(stack: Twins, posted: Posted, number: int) -> None:
    name = f"record-{number}"
    record = {"target": "crm", "resource": "contacts", "id": name, "data": {"number": number}}
    posted.records[name] = (await stack.retry_until_success("/v1/syncs", record, name, number))["id"]


async def _low_mail(stack: Twins, posted: Posted, number: int) -> None:
    to = f"low-{number}@example.com"
    mail = {"to": to, "subject": "Hello", "text": "It works.", "priority": "low", "list_unsubscribe": []}
    posted.mails[to] = (await stack.retry_until_success("/v1/emails", mail, to, number))["id"]


async def _later_mail(stack: Twins, posted: Posted, number: int) -> None:
    to = f"later-{number}@example.com"
    mail = {"to": to, "subject": "Hello", "text": "It works.", "delay_seconds": 2}
    posted.mails[to] = (await stack.retry_until_success("/v1/emails", mail, to, number))["id"]


async def _cancelled(stack: Twins, posted: Posted, number: int) -> None:
    """Cancelled at both gateways, while two status services release it."""
    to = f"off-{number}@example.com"
    mail = {"to": to, "subject": "Hello", "text": "It works.", "delay_seconds": 1}
    task_id = (await stack.retry_until_success("/v1/emails", mail, to, number))["id"]
    await asyncio.sleep(CANCEL_AFTER[number % len(CANCEL_AFTER)])
    answers = await asyncio.gather(*(_cancel(stack, task_id, first) for first in range(2)))
    for answer, task_ids in (("prevented", posted.prevented), ("stopping", posted.stopping)):
        if answer in answers:
            task_ids[to] = task_id
            return
    posted.mails[to] = task_id


async def _cancel(stack: Twins, task_id: str, first: int) -> str:
    async with asyncio.timeout(PATIENCE):
        while True:
            gateway = stack.gateways[first % 2]
            first += 1
            try:
                answer = await gateway.post(f"/v1/tasks/{task_id}/cancel")
            except httpx.TransportError:
                continue
            if answer.status_code == HTTPStatus.CONFLICT:
                return "too_late"
            if answer.is_success:
                return str(answer.json()["outcome"])
            assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE, answer.text


async def _refused_records(stack: Twins) -> dict[str, str]:
    """Records that the crm refuses for good, until its fault is cleared."""
    refused: dict[str, str] = {}
    for number in range(LETTERS):
        name = f"refused-{number}"
        await stack.crm.post("/faults", json={"status": 422, "id": name})
        record = {"target": "crm", "resource": "contacts", "id": name, "data": {}}
        refused[name] = (await stack.retry_until_success("/v1/syncs", record, name))["id"]

    async def all_in() -> bool:
        return len((await stack.get("/v1/dead-letters"))["items"]) == LETTERS

    await eventually(all_in, PATIENCE, every=POLL_SECONDS)
    for name in refused:
        await stack.crm.post("/faults", json={"id": name})
    return refused


async def _redriven_by_both(stack: Twins, refused: dict[str, str]) -> None:
    """Started at both gateways at once, and sent by two desks, of which one is killed meanwhile."""
    await stack.start_again("gateway", 1)
    ids = [letter["id"] for letter in (await stack.get("/v1/dead-letters"))["items"]]
    wish = {"ids": ids, "canary": 1, "rate": REDRIVE_RATE, "note": "it works"}
    made = await stack.gateways[0].post("/v1/redrives", json=wish)
    plan = made.raise_for_status().json()
    path = plan["links"]["self"]
    start = {"hash": plan["hash"]}
    answers = await asyncio.gather(*(at.post(f"{path}/start", json=start) for at in stack.gateways))
    assert sorted(answer.status_code for answer in answers) == [HTTPStatus.OK, HTTPStatus.CONFLICT]

    async def has_begun() -> bool:
        return bool((await stack.get(path))["progress"]["succeeded"])

    await eventually(has_begun, PATIENCE, every=POLL_SECONDS)
    stack.kill("deadletters", 0)
    assert (await stack.get(path))["ended_at"] is None

    async def is_over() -> bool:
        redrive = await stack.get(path)
        assert redrive["halted_because"] is None
        return redrive["ended_at"] is not None

    await eventually(is_over, PATIENCE, every=POLL_SECONDS)
    assert (await stack.get(path))["progress"]["succeeded"] == len(refused)


async def _all_ended(stack: Twins) -> bool:
    total = (await stack.get("/v1/accounting"))["total"]
    return bool(total["accepted"] == total["completed"] + total["failed"] + total["cancelled"])


async def _assert_counts(stack: Twins, posted: Posted, refused: dict[str, str]) -> None:
    account = await stack.get("/v1/accounting")
    assert account["balanced"]
    assert account["total"]["failed"] == 0
    mails = (await stack.mailbox.get("/api/messages")).json()
    arrived = Counter(mail["to"][0] for mail in mails)
    alerts = [mail for mail in mails if mail["to"] == [OPS_ADDRESS]]
    assert [mail["subject"] for mail in alerts if "failed (" in mail["subject"]] == [alerts[0]["subject"]]
    assert posted.mails.keys() <= arrived.keys()
    assert posted.prevented
    assert not posted.prevented.keys() & arrived.keys()
    assert arrived.keys() <= posted.mails.keys() | posted.stopping.keys() | {OPS_ADDRESS}
    for to, task_id in posted.stopping.items():
        task = await stack.get(f"/v1/tasks/{task_id}")
        assert _tells_of(task, arrived=to in arrived), (to, task)
    doubled = {to: count for to, count in arrived.items() if count > 1 and to != OPS_ADDRESS}
    assert sum(doubled.values()) - len(doubled) <= IN_WORK, doubled
    ids = {(mail["to"][0], mail["message_id"]) for mail in mails if mail["to"] != [OPS_ADDRESS]}
    assert len(ids) == len(arrived) - 1, "a mail that comes twice bears one Message-ID"
    await _assert_records(stack, posted, refused)


def _tells_of(task: dict[str, Any], *, arrived: bool) -> bool:
    """Whether the record of a cancelled mail is true; a process killed in the window cannot know."""
    [subtask] = task["subtasks"]
    in_doubt = (subtask["error"] or {}).get("type") == "MayHaveHappened"
    return arrived if task["state"] == "completed" else in_doubt or not arrived


async def _assert_records(stack: Twins, posted: Posted, refused: dict[str, str]) -> None:
    calls: list[dict[str, Any]] = (await stack.crm.get("/requests")).json()
    written = Counter(call["path"].rpartition("/")[2] for call in calls if call["outcome"] == "written")
    assert written == dict.fromkeys((*posted.records, *refused), 1)
    sent = Counter(call["path"].rpartition("/")[2] for call in calls)
    assert {name: sent[name] for name in refused} == dict.fromkeys(refused, 2)
