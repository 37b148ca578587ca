"""Two users: one whose record gets through in the end, one whose record never does."""

import asyncio
from datetime import datetime
from typing import Any

from waybill.client import TaskEvent, TimelineEvent
from waybill_devstack.stack import OPS_ADDRESS
from waybill_devstack.tour.narrator import Narrator
from waybill_devstack.tour.world import PATIENCE_SECONDS, World, until

#: Attempts that the stack's settings allow each handler.
MAX_ATTEMPTS = 4
#: What the timeline shows of an attempt that another one follows.
FAILED_ATTEMPT = ("task.started", "task.retrying")


async def user_through_an_outage(world: World, narrator: Narrator) -> None:
    """One task with two subtasks, while the crm answers 503 twice."""
    narrator.chapter("A user, while the crm is busy")
    await world.crm_faults(status=503, count=2)
    narrator.did("the crm answers the next two writes with 503")
    user = {"id": f"dora-{world.mark}", "email": f"dora.{world.mark}@example.com", "name": "Dora"}
    accepted = await world.gateway.call("POST", "/v1/users", user, key=user["id"])
    narrator.saw(f"POST /v1/users: 202, task {accepted['id']}")
    mail = await world.mail_to(user["email"])
    narrator.saw(f"the welcome mail arrived: “{mail['subject']}”")
    task = await world.outcome(accepted["id"])
    narrator.expect(
        [(part.service, part.state) for part in task.subtasks]
        == [("email", "completed"), ("sync", "completed")],
        "one task, two subtasks, both completed",
        task,
    )
    record = await world.crm_record(user["id"])
    narrator.expect(
        record is not None and record["data"]["email"] == user["email"], "the record is in the crm", record
    )
    sync = [event for event in await world.timeline(accepted["id"]) if event.service == "sync"]
    narrator.expect(
        [event.type for event in sync]
        == [
            "task.started",
            "task.retrying",
            "task.started",
            "task.retrying",
            "task.started",
            "task.completed",
        ],
        "the timeline shows both failed attempts, the waits and the success",
        sync,
    )
    narrator.sum_up("a user got the welcome mail, and a record in the crm at the third attempt")


async def user_that_fails(world: World, narrator: Narrator) -> str:
    """A user whose record the crm never takes: retried, then given up, with an alert.

    Returns:
        The task's id.
    """
    narrator.chapter("A user whose sync fails for good")
    user = {"id": f"emil-{world.mark}", "email": f"emil.{world.mark}@example.com", "name": "Emil"}
    await world.crm_faults(status=503, id=user["id"])
    narrator.did(f"the crm answers every write of {user['id']} with 503")
    accepted = await world.gateway.call("POST", "/v1/users", user, key=user["id"])
    narrator.saw(f"POST /v1/users: 202, task {accepted['id']}")
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for event in world.gateway.events(accepted["id"]):
            _print_failed_attempt(narrator, event)
    task = await world.gateway.get(accepted["id"])
    waits = [_wait(event) for event in await world.timeline(accepted["id"]) if event.type == "task.retrying"]
    narrator.expect(
        len(waits) == MAX_ATTEMPTS - 1 and waits == sorted(set(waits)),
        f"three retries with growing waits: {', '.join(f'{wait:.0f} s' for wait in waits)}",
        waits,
    )
    email, failed = task.subtasks
    narrator.expect(
        task.state == "failed" and failed.state == "failed" and email.state == "completed",
        f"the task is failed ({failed.error and failed.error['message'][:60]}…), its mail completed",
        task,
    )

    letter = await world.letter_of(accepted["id"])
    narrator.saw(f"the message waits at the failure desk, as letter {letter['id']}")
    narrator.saw(f"the operators got a mail: “{(await _alert(world, accepted['id']))['subject']}”")
    await world.crm_faults()
    narrator.sum_up(
        "a user's record failed for good: three retries, the failure desk, an alert; his mail arrived"
    )
    return str(accepted["id"])


async def _alert(world: World, task_id: str) -> dict[str, Any]:
    async def arrived() -> dict[str, Any] | None:
        mails = await world.mails_to(OPS_ADDRESS)
        return next((mail for mail in mails if task_id in (mail["text"] or "")), None)

    return await until("the alert in the ops mailbox", arrived)


def _print_failed_attempt(narrator: Narrator, event: TaskEvent) -> None:
    if event.type == "task.retrying":
        reason = event.details["error"]["message"].partition(":")[0]
        narrator.did(f"attempt {event.attempt} failed ({reason}), the next one in {_wait(event):.0f} s")


def _wait(retrying: TaskEvent | TimelineEvent) -> float:
    """Seconds between a failed attempt and the next one."""
    due = datetime.fromisoformat(retrying.details["next_attempt_at"])
    return (due - retrying.at).total_seconds()
