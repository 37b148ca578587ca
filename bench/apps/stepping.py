"""`python -m bench.apps.stepping MODULE`: runs a process of Waybill that notes when a task passes each step.

It wraps functions of Waybill's, so it knows some names within; where one is gone, the process does not start.
"""

import re
import runpy
import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, Final

from bench.kit.stamps import Steps
from waybill_database import group_commit, records
from waybill_worker.consume import consumer
from waybill_worker.inbox import inbox
from waybill_worker.publish import publisher

_NUMBER: ContextVar[int] = ContextVar("number of the task")
#: Numbers of the tasks of this process by their ids, until they are committed.
_NUMBERS: dict[str, int] = {}
_IN_BODY: Final = re.compile(rb'"id":\s*"(\d+)"')


def main() -> None:
    """Wraps, then runs the module as the interpreter would."""
    module = sys.argv[1]
    sys.argv[:] = sys.argv[1:]
    steps = Steps.from_environment()
    if module == "waybill_gateway":
        _wrap_gateway(steps)
    elif module == "bench.apps.waybill_service":
        _wrap_service(steps)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _wrap_gateway(steps: Steps) -> None:
    # Only the gateway has it.
    from waybill_gateway.tasks import post_route  # noqa: PLC0415 - see above

    validated: Any = post_route._validated  # noqa: SLF001 - as said above
    write, frames = records.Records.write, publisher._frames  # noqa: SLF001 - as said above

    def noted_validated(model: Any, body: bytes) -> Any:
        posted = validated(model, body)
        _NUMBER.set(int(posted.id))
        steps.note(int(posted.id), "routed")
        return posted

    async def noted_write(self: Any, batch_write: Any, item: Any, **options: Any) -> Any:
        if batch_write.__name__ != "accept":
            return await write(self, batch_write, item, **options)
        number = _NUMBERS[item.task.id] = _NUMBER.get()
        steps.note(number, "accepting")
        answer = await write(self, batch_write, item, **options)
        steps.note(number, "accepted")
        del _NUMBERS[item.task.id]
        return answer

    def noted_frames(message: Any, *rest: Any) -> Any:
        if (found := _IN_BODY.search(message.body)) is not None:
            steps.note(int(found[1]), "published")
        return frames(message, *rest)

    _put(post_route, "_validated", noted_validated)
    _put(records.Records, "write", noted_write)
    _put(publisher, "_frames", noted_frames)
    _wrap_commits(steps, lambda item: item.task.id if hasattr(item, "task") else "", "accept")


def _wrap_service(steps: Steps) -> None:
    take, claim = consumer.Consumer._take, inbox.Inbox.claim  # noqa: SLF001 - as said above

    def noted_take(self: Any, message: Any) -> None:
        if (found := _IN_BODY.search(message.body)) is not None:
            _NUMBER.set(int(found[1]))
            steps.note(int(found[1]), "delivered")
        take(self, message)

    async def noted_claim(self: Any, envelope: Any) -> Any:
        number = _NUMBERS[envelope.task_id] = _NUMBER.get()
        steps.note(number, "claiming")
        ticket = await claim(self, envelope)
        steps.note(number, "claimed")
        del _NUMBERS[envelope.task_id]
        return ticket

    _put(consumer.Consumer, "_take", noted_take)
    _put(inbox.Inbox, "claim", noted_claim)
    _wrap_commits(steps, lambda item: getattr(item, "task_id", ""), "claim")


def _wrap_commits(steps: Steps, task_id_of: Callable[[Any], str], what: str) -> None:
    transact = group_commit.GroupCommit._transact  # noqa: SLF001 - as said above

    def noted_transact(self: Any, batch: Sequence[Any]) -> Any:
        numbers = [_NUMBERS[task_id] for each in batch if (task_id := task_id_of(each.item)) in _NUMBERS]
        for number in numbers:
            steps.note(number, f"{what}_begun")
        results = transact(self, batch)
        for number in numbers:
            steps.note(number, f"{what}_committed")
        return results

    _put(group_commit.GroupCommit, "_transact", noted_transact)


def _put(owner: Any, name: str, function: Callable[..., Any]) -> None:
    setattr(owner, name, function)


if __name__ == "__main__":
    main()
