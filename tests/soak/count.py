"""Result of a soak: accepted tasks, compared with the ledger, the mailbox, the crm and the files."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from time import monotonic, sleep
from typing import Any

import httpx

from tests.crash.callers import TERMINAL, Accepted
from tests.crash.effects import files_of, taken_dead_letters
from tests.crash.ledger_file import SubtaskRow
from tests.soak.stack import SoakStack
from waybill_contracts.kinds.catalog import STATUS_SERVICE, WORK_SERVICES
from waybill_contracts.wire.names import dead_letter_queue

#: Seconds for everything to come to rest: what a sweep had taken when it died is free after 60 s, and a
#: a missing first heartbeat is noticed after 60 s more.
REST_SECONDS = 400.0
#: Seconds between two checks that must both find no work.
STILL_SECONDS = 2.0
#: Seconds from a mail's content to its record, at most: a kill in between makes it be sent again.
WINDOW = timedelta(seconds=10)
#: Mails that the stack sends by itself.
ALERTS = "operators"

#: A subtask: its task and its service.
Key = tuple[str, str]


@dataclass(slots=True)
class Verdict:
    """Numbers, and descriptions of what is wrong."""

    asked: int
    accepted: int
    states: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    #: Mails that went out twice because the email service was killed between a mail and its record.
    in_window: int = 0
    #: Calls that were repeated and recognised by the crm.
    recognised: int = 0
    #: Cancelled ones that say that their effect may have happened.
    in_doubt: int = 0
    unrest: str | None = None

    @property
    def is_right(self) -> bool:
        """Whether all guarantees hold."""
        return self.asked == self.accepted and not self.lost and not self.doubled and self.unrest is None


def wait_for_rest(stack: SoakStack, accepted: Sequence[str]) -> str | None:
    """Waits until all work has ended; returns what has not when the time has run out."""
    deadline = monotonic() + REST_SECONDS
    still_since: float | None = None
    moving: str | None = "nothing was looked at"
    while monotonic() < deadline:
        moving = _moving(stack, accepted)
        if moving is not None:
            still_since = None
        elif still_since is None:
            still_since = monotonic()
        elif monotonic() - still_since > STILL_SECONDS:
            return None
        sleep(0.5)
    return moving


def count(
    stack: SoakStack, asked: int, answers: Sequence[Accepted], email_kills: Sequence[datetime]
) -> Verdict:
    """Waits for rest, and counts."""
    accepted = {each.task_id: each for each in answers}
    unrest = wait_for_rest(stack, list(accepted))
    verdict = Verdict(asked, len(accepted), unrest=unrest)
    effects, mails = _effects(stack, verdict)
    services = (*WORK_SERVICES, STATUS_SERVICE)
    letters = (
        set(asyncio.run(taken_dead_letters(stack.broker.amqp_url, services))) | stack.ledger.dead_letters()
    )
    outcomes = stack.ledger.outcomes()
    rows: dict[str, list[SubtaskRow]] = defaultdict(list)
    for row in stack.ledger.subtasks():
        rows[row.task_id].append(row)
    for task_id in rows.keys() - accepted.keys() - stack.ledger.tasks_about(ALERTS):
        verdict.doubled.append(f"task {task_id}: its caller got no answer")
    for task_id, answer in accepted.items():
        if not rows[task_id]:
            verdict.lost.append(f"task {task_id}: the ledger does not know it")
        for row in rows[task_id]:
            key = (task_id, row.service)
            verdict.states[row.state] += 1
            verdict.in_doubt += row.state == "cancelled" and row.is_in_doubt
            if (wrong := _wrong(row, effects[key], key in letters, answer)) is not None:
                verdict.lost.append(f"{row.service} of {task_id}: {wrong}")
            if outcomes[key] != 1:
                verdict.lost.append(f"{row.service} of {task_id}: {outcomes[key]} outcomes in its timeline")
    _count_repeats(verdict, effects, mails, email_kills)
    return verdict


def _wrong(row: SubtaskRow, times: int, is_in_dlq: bool, answer: Accepted) -> str | None:  # noqa: FBT001
    match row.state:
        case "completed":
            if answer.cancellation == "prevented":
                return "completed, though its cancellation was answered with `prevented`"
            return None if times else "completed without its effect"
        case "cancelled":
            if answer.cancellation is None:
                return "cancelled, though its caller has not cancelled it"
            return None if not times or row.is_in_doubt else "cancelled, and its effect has happened silently"
        case "failed":
            return None if is_in_dlq else "failed, and there is no dead letter"
    return f"it is {row.state}"


def _count_repeats(
    verdict: Verdict,
    effects: Counter[Key],
    mails: dict[Key, list[datetime]],
    email_kills: Sequence[datetime],
) -> None:
    for key, times in effects.items():
        if times < 2:
            continue
        received = mails.get(key, [])
        in_window = sum(
            any(before <= kill <= after and kill - before < WINDOW for kill in email_kills)
            for before, after in pairwise(received)
        )
        verdict.in_window += in_window
        if times - 1 > in_window:
            verdict.doubled.append(f"{key[1]} of {key[0]}: {times} times")


def _moving(stack: SoakStack, accepted: Sequence[str]) -> str | None:
    states = stack.ledger.states(accepted)
    if under_way := [task_id for task_id in accepted if states.get(task_id) not in TERMINAL]:
        return f"{len(under_way)} tasks, {under_way[0]} is {states.get(under_way[0])}"
    if outbox := stack.ledger.rows_in_outbox():
        return f"{outbox} rows in the outbox"
    try:
        queues = stack.broker.management.queues()
    except httpx.HTTPError as error:  # the broker is just starting
        return f"the broker: {error}"
    waiting = {dead_letter_queue(service) for service in WORK_SERVICES}
    full = [queue for queue in queues if queue.ready + queue.unacked and queue.name not in waiting]
    return ", ".join(f"{queue.ready}+{queue.unacked} in {queue.name}" for queue in full) or None


def _effects(stack: SoakStack, verdict: Verdict) -> tuple[Counter[Key], dict[Key, list[datetime]]]:
    effects: Counter[Key] = Counter()
    for request in _listed(stack.crm, "/requests"):
        verdict.recognised += request["outcome"] == "replayed"
        if request["outcome"] == "written":
            effects[_key(request["idempotency_key"])] += 1
    mails: dict[Key, list[datetime]] = defaultdict(list)
    for mail in _listed(stack.mailbox, "/api/messages"):
        # A Message-ID is `<task.service@domain>`.
        mails[_key(mail["message_id"].strip("<>").partition("@")[0])].append(
            datetime.fromisoformat(mail["received_at"])
        )
    effects.update({key: len(received) for key, received in mails.items()})
    for task_id in files_of(stack.objects, stack.ledger.results("images")):
        effects[task_id, "images"] += 1
    return effects, mails


def _listed(client: httpx.Client, path: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = client.get(path).raise_for_status().json()
    return listed


def _key(effect_key: str) -> Key:
    task_id, service = effect_key.split(".")[:2]
    return task_id, service
