"""Effects of the tasks: records in the crm, mails, files, dead letters."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aio_pika

from tests.crash.rows import Flow
from tests.crash.stack import CrashStack
from waybill_contracts.wire.names import HEADER_TASK_ID, dead_letter_queue


@dataclass(frozen=True, slots=True)
class Effects:
    """Numbers of effects."""

    #: Number of effects by task.
    times: Counter[str]
    #: Repeats that the peer recognised, without an effect.
    recognised: int = 0
    #: Effects that belong to no task, or have happened before.
    more: int = 0


def effects_of(stack: CrashStack, flow: Flow, accepted: list[str]) -> Effects:
    """Counts the effects of the tasks of a flow."""
    match flow:
        case Flow.MAIL:
            return _mails(stack)
        case Flow.IMAGE:
            return _files(stack, accepted)
        case Flow.DEAD:
            return asyncio.run(_dead_letters(stack))
        case _:
            return _records(stack)


def _records(stack: CrashStack) -> Effects:
    """A task's records are there, one under the key of each subtask, or not; all others are too many."""
    requests = stack.crm.get("/requests").raise_for_status().json()
    written = Counter(r["idempotency_key"] for r in requests if r["outcome"] == "written")
    due: dict[str, set[str]] = defaultdict(set)
    for subtask in stack.ledger.subtasks():
        due[subtask.task_id].add(f"{subtask.task_id}.{subtask.service}")
    there = Counter(task_id for task_id, keys in due.items() if keys <= written.keys())
    more = written - Counter(key for keys in due.values() for key in keys)
    recognised = sum(r["outcome"] == "replayed" for r in requests)
    return Effects(there, recognised=recognised, more=more.total())


def _mails(stack: CrashStack) -> Effects:
    mails = stack.mailbox.get("/api/messages").raise_for_status().json()
    # A Message-ID is `<task.service@domain>`.
    return Effects(Counter(mail["message_id"].strip("<>").split(".")[0] for mail in mails))


def _files(stack: CrashStack, accepted: list[str]) -> Effects:
    """A task's files are there, or not; those that no task's result names are there once too often."""
    results = stack.ledger.results("images")
    there = files_of(stack.objects, results)
    named = set[str]().union(*map(_keys, results.values()))
    return Effects(Counter(there & set(accepted)), more=len(_kept(stack.objects) - named))


def files_of(objects: Path, results: dict[str, dict[str, Any]]) -> set[str]:
    """Those tasks all of whose files are in the object store."""
    kept = _kept(objects)
    return {task_id for task_id, result in results.items() if (keys := _keys(result)) and keys <= kept}


def _kept(objects: Path) -> set[str]:
    return {
        path.relative_to(objects).as_posix() for path in (objects / "results").rglob("*") if path.is_file()
    }


def _keys(result: dict[str, Any]) -> set[str]:
    variants = result.get("variants", {}).values()
    return {file["key"] for variant in variants for file in variant["files"].values()}


async def _dead_letters(stack: CrashStack) -> Effects:
    """Takes the dead letters out. One that came twice is one: the desk knows it by its task."""
    letters = Counter(task_id for task_id, _ in await taken_dead_letters(stack.amqp_url, ("sync",)))
    kept = {task_id for task_id, service in stack.ledger.dead_letters() if service == "sync"}
    return Effects(Counter(letters.keys() | kept), recognised=letters.total() - len(letters))


async def taken_dead_letters(amqp_url: str, services: Iterable[str]) -> list[tuple[str, str]]:
    """Takes what waits in the dead-letter queues of `services`: the task and service of each letter."""
    letters = []
    async with await aio_pika.connect(amqp_url) as connection, connection.channel() as channel:
        for service in services:
            queue = await channel.get_queue(dead_letter_queue(service))
            while (letter := await queue.get(fail=False)) is not None:
                await letter.ack()
                letters.append((str(letter.headers[HEADER_TASK_ID]), service))
    return letters
