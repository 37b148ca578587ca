"""What came of a cell: waits until nothing moves any more, then compares what was accepted with the world."""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any

import aio_pika
import httpx
from crash_callers import Call
from crash_rows import Flow
from crash_stack import PATIENCE, CrashStack

from contracts.names import HEADER_TASK_ID, dead_letter_queue

#: Seconds between two looks that must both see nothing: the broker's numbers are up to a second old.
STILL_SECONDS = 1.2
#: Seconds between looks while something moves.
LOOK_SECONDS = 0.25
TERMINAL = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Count:
    """The numbers of one cell."""

    #: Calls that were answered with 202, of how many.
    accepted: int
    called: int
    #: Accepted tasks that have the outcome and the effect that the row is about.
    ended: int
    #: Accepted tasks that have not.
    lost: int
    #: Effects that happened more than once, and tasks that nobody was told of.
    doubled: int
    #: Repeats of an effect that the other side recognised, so that nothing happened.
    recognised: int
    #: Whether all came to rest: nothing left in the outbox, nor in any queue that should be empty.
    at_rest: bool
    #: What is wrong, in words.
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Effects:
    #: How often each task's effect has happened.
    times: Counter[str]
    recognised: int = 0
    #: Effects that belong to no task.
    more: int = 0


def count(stack: CrashStack, flow: Flow, calls: list[Call], accepted: list[str], before: int) -> Count:
    """Counts after all has come to rest.

    Args:
        stack: what ran.
        flow: what the tasks were.
        calls: what was asked for.
        accepted: the ids that were answered with 202.
        before: how many tasks the ledger held before.
    """
    unrest = _came_to_rest(stack, flow, accepted)
    remarks = [f"not at rest after {PATIENCE:g} s: {unrest}"] if unrest else []
    tasks = _tasks(stack, accepted)
    effects = _effects(stack, flow, accepted)
    wanted = "failed" if flow is Flow.DEAD else "completed"
    lost = [task_id for task_id in accepted if tasks.get(task_id) != wanted or not effects.times[task_id]]
    remarks += [f"lost: {task_id} is {tasks.get(task_id)}" for task_id in lost]
    untold = number_of_tasks(stack) - before - len(set(accepted))
    if untold:
        remarks.append(f"{untold} tasks that nobody was told of")
    doubled = effects.more + sum(times - 1 for times in effects.times.values() if times > 1)
    return Count(
        accepted=len(accepted),
        called=len(calls),
        ended=len(accepted) - len(lost),
        lost=len(lost),
        doubled=doubled + untold,
        recognised=effects.recognised,
        at_rest=unrest is None,
        remarks=tuple(remarks),
    )


def number_of_tasks(stack: CrashStack) -> int:
    """How many tasks the ledger holds."""
    ((number,),) = _query(stack, "SELECT count(*) FROM tasks")
    return int(number)


def _came_to_rest(stack: CrashStack, flow: Flow, accepted: list[str]) -> str | None:
    """Waits until nothing moves any more; what still does when the time has run out."""
    deadline = monotonic() + PATIENCE
    still_since: float | None = None
    moving = None
    while monotonic() < deadline:
        moving = _moving(stack, flow, accepted)
        if moving is not None:
            still_since = None
        elif still_since is None:
            still_since = monotonic()
        elif monotonic() - still_since > STILL_SECONDS:
            return None
        sleep(LOOK_SECONDS)
    return moving or "it came to rest too late"


def _moving(stack: CrashStack, flow: Flow, accepted: list[str]) -> str | None:
    states = _tasks(stack, accepted)
    under_way = [task_id for task_id in accepted if states.get(task_id) not in TERMINAL]
    if under_way:
        return f"{len(under_way)} tasks, {under_way[0]} is {states.get(under_way[0])}"
    ((outbox,),) = _query(stack, "SELECT count(*) FROM outbox")
    if outbox:
        return f"{outbox} rows in the outbox"
    try:
        queues = stack.broker.management.queues(stack.vhost)
    except httpx.HTTPError as error:  # the broker is just starting
        return f"the broker: {error}"
    # Dead letters wait for a person; of those tasks that are to complete there must be none.
    waiting = {dead_letter_queue("sync")} if flow is Flow.DEAD else set()
    full = [queue for queue in queues if queue.ready + queue.unacked and queue.name not in waiting]
    return ", ".join(f"{queue.ready}+{queue.unacked} in {queue.name}" for queue in full) or None


def _tasks(stack: CrashStack, task_ids: Iterable[str]) -> dict[str, str]:
    ids = list(task_ids)
    marks = ",".join("?" * len(ids))
    return dict(_query(stack, f"SELECT id, state FROM tasks WHERE id IN ({marks})", *ids))


def _query(stack: CrashStack, query: str, *values: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{stack.ledger}?mode=ro", uri=True)) as connection:
        return connection.execute(query, values).fetchall()


def _effects(stack: CrashStack, flow: Flow, accepted: list[str]) -> _Effects:
    match flow:
        case Flow.MAIL:
            return _mails(stack)
        case Flow.IMAGE:
            return _files(stack, accepted)
        case Flow.DEAD:
            return asyncio.run(_dead_letters(stack))
        case _:
            return _records(stack)


def _records(stack: CrashStack) -> _Effects:
    requests = stack.crm.get("/requests").raise_for_status().json()
    # The key is `<task>.<service>`.
    written = Counter(r["idempotency_key"].split(".")[0] for r in requests if r["outcome"] == "written")
    return _Effects(written, recognised=sum(r["outcome"] == "replayed" for r in requests))


def _mails(stack: CrashStack) -> _Effects:
    mails = stack.mailbox.get("/api/messages").raise_for_status().json()
    # A Message-ID is `<task.service@domain>`.
    return _Effects(Counter(mail["message_id"].strip("<>").split(".")[0] for mail in mails))


def _files(stack: CrashStack, accepted: list[str]) -> _Effects:
    """A task's files are there, or not; those that no task's result names are there once too often."""
    query = "SELECT task_id, result FROM subtasks WHERE service = 'images'"
    named = {task_id: _keys(json.loads(result or "{}")) for task_id, result in _query(stack, query)}
    kept = {
        path.relative_to(stack.objects).as_posix()
        for path in (stack.objects / "variants").rglob("*")
        if path.is_file()
    }
    there = Counter(task_id for task_id in accepted if named[task_id] and named[task_id] <= kept)
    return _Effects(there, more=len(kept - set().union(*named.values())))


def _keys(result: dict[str, Any]) -> set[str]:
    variants = result.get("variants", {}).values()
    return {file["key"] for variant in variants for file in variant["files"].values()}


async def _dead_letters(stack: CrashStack) -> _Effects:
    """Takes the dead letters out. One that came twice is one: whoever takes it in knows it by its task."""
    letters: Counter[str] = Counter()
    async with await aio_pika.connect(stack.amqp_url) as connection, connection.channel() as channel:
        queue = await channel.get_queue(dead_letter_queue("sync"))
        while (letter := await queue.get(fail=False)) is not None:
            await letter.ack()
            letters[str(letter.headers[HEADER_TASK_ID])] += 1
    return _Effects(Counter(letters.keys()), recognised=letters.total() - len(letters))
