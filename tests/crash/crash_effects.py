"""What the outside world shows of the tasks: records in the crm, mails, files, dead letters."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any

import aio_pika
from crash_rows import Flow
from crash_stack import CrashStack

from contracts.names import HEADER_TASK_ID, dead_letter_queue


@dataclass(frozen=True, slots=True)
class Effects:
    """How often what has happened."""

    #: How often each task's effect has happened.
    times: Counter[str]
    #: Repeats that the other side recognised, so that nothing happened.
    recognised: int = 0
    #: Effects that belong to no task.
    more: int = 0


def effects_of(stack: CrashStack, flow: Flow, accepted: list[str]) -> Effects:
    """Looks at where the effects of a flow's tasks are to be seen."""
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
    requests = stack.crm.get("/requests").raise_for_status().json()
    # The key is `<task>.<service>`.
    written = Counter(r["idempotency_key"].split(".")[0] for r in requests if r["outcome"] == "written")
    return Effects(written, recognised=sum(r["outcome"] == "replayed" for r in requests))


def _mails(stack: CrashStack) -> Effects:
    mails = stack.mailbox.get("/api/messages").raise_for_status().json()
    # A Message-ID is `<task.service@domain>`.
    return Effects(Counter(mail["message_id"].strip("<>").split(".")[0] for mail in mails))


def _files(stack: CrashStack, accepted: list[str]) -> Effects:
    """A task's files are there, or not; those that no task's result names are there once too often."""
    named = {task_id: _keys(result) for task_id, result in stack.ledger.results("images").items()}
    kept = {
        path.relative_to(stack.objects).as_posix()
        for path in (stack.objects / "variants").rglob("*")
        if path.is_file()
    }
    there = Counter(task_id for task_id in accepted if named[task_id] and named[task_id] <= kept)
    return Effects(there, more=len(kept - set().union(*named.values())))


def _keys(result: dict[str, Any]) -> set[str]:
    variants = result.get("variants", {}).values()
    return {file["key"] for variant in variants for file in variant["files"].values()}


async def _dead_letters(stack: CrashStack) -> Effects:
    """Takes the dead letters out. One that came twice is one: whoever takes it in knows it by its task."""
    letters: Counter[str] = Counter()
    async with await aio_pika.connect(stack.amqp_url) as connection, connection.channel() as channel:
        queue = await channel.get_queue(dead_letter_queue("sync"))
        while (letter := await queue.get(fail=False)) is not None:
            await letter.ack()
            letters[str(letter.headers[HEADER_TASK_ID])] += 1
    return Effects(Counter(letters.keys()), recognised=letters.total() - len(letters))
