"""Sealed data, shown to callers that may see it and give a reason."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from waybill_contracts.privacy import UnknownKeyError
from waybill_gateway.auth import Actor, Caller, CallerDep, GuardedJsonRoute
from waybill_gateway.desk import LetterId, no_such_letter
from waybill_gateway.http import Problem, key_missing
from waybill_gateway.reveals.models import (
    RevealedEditView,
    RevealedLetterView,
    RevealedPlanView,
    RevealedScheduleView,
    RevealedTaskView,
    RevealedView,
    RevealLetter,
    RevealReason,
)
from waybill_gateway.runtime import Resources, ResourcesDep
from waybill_gateway.schedules import no_such_schedule
from waybill_gateway.tasks import no_such_task
from waybill_ledger.access import NotKept, OfLetter, OfSchedule, OfTask, Opened, Reveal, Thing, reveal
from waybill_ledger.deadletters.letters import Message
from waybill_ledger.deadletters.redrives import edited

router = APIRouter(tags=["reveal"], route_class=GuardedJsonRoute)

#: No cache may store the answer.
_NO_STORE = {"Cache-Control": "no-store"}


@router.post("/v1/tasks/{task_id}/reveal")
async def reveal_task(
    task_id: UUID,
    posted: RevealReason,
    response: Response,
    resources: ResourcesDep,
    caller: CallerDep,
    actor: Actor,
) -> RevealedTaskView:
    """Shows the payload of a task with its sealed fields opened, and records who saw it and why.

    Secrets, such as the link of a password reset, are never shown.
    """
    thing = OfTask(str(task_id))
    opened = await _opened(resources, caller, actor, thing, posted, no_such_task())
    response.headers.update(_NO_STORE)
    payloads = dict(opened.payloads)
    own = payloads.pop("payload")
    edits = {service: RevealedView.of(each) for service, each in sorted(payloads.items())}
    return RevealedTaskView.of(own, id=thing.id, edited=edits)


@router.post("/v1/schedules/{schedule_id}/reveal")
async def reveal_schedule(
    schedule_id: UUID,
    posted: RevealReason,
    response: Response,
    resources: ResourcesDep,
    caller: CallerDep,
    actor: Actor,
) -> RevealedScheduleView:
    """Shows the body of a schedule with its sealed fields opened, and records who saw it and why."""
    thing = OfSchedule(str(schedule_id))
    opened = await _opened(resources, caller, actor, thing, posted, no_such_schedule())
    response.headers.update(_NO_STORE)
    return RevealedScheduleView.of(opened.payloads["payload"], id=thing.id)


@router.post("/v1/dead-letters/{letter_id}/reveal")
async def reveal_dead_letter(
    letter_id: Annotated[LetterId, Path()],
    posted: RevealLetter,
    response: Response,
    resources: ResourcesDep,
    caller: CallerDep,
    actor: Actor,
) -> RevealedLetterView:
    """Shows the payload of a letter with its sealed fields opened, and records who saw it and why.

    With a patch it also shows the result of an edit, like the preview of an edit, but with only secrets
    masked.
    It changes nothing.
    """
    opened = await _opened(resources, caller, actor, OfLetter(letter_id), posted, no_such_letter())
    response.headers.update(_NO_STORE)
    held = opened.held
    edit = None
    if posted.patch is not None:
        body = held.bodies["payload"]
        message = Message(held.service or "", body.kind, body.dataschema, body.body, held.owner)
        made = edited(message, posted.patch, resources.gate)
        edit = RevealedEditView.made(body.kind, resources.kinds.current.find(body.kind), made)
    return RevealedLetterView.of(opened.payloads["payload"], id=letter_id, task_id=held.owner, edited=edit)


@router.post("/v1/redrives/{redrive_id}/letters/{letter_id}/reveal")
async def reveal_planned_letter(
    redrive_id: Annotated[LetterId, Path()],
    letter_id: Annotated[LetterId, Path()],
    posted: RevealReason,
    response: Response,
    resources: ResourcesDep,
    caller: CallerDep,
    actor: Actor,
) -> RevealedPlanView:
    """Shows the payload of a letter and the result of the plan's edit, and records who saw it and why."""
    missing = Problem(
        HTTPStatus.NOT_FOUND, "no_such_letter", "There is no letter of this number in this redrive."
    )
    opened = await _opened(resources, caller, actor, OfLetter(letter_id, redrive_id), posted, missing)
    response.headers.update(_NO_STORE)
    after = opened.payloads.get("edited")
    return RevealedPlanView(
        redrive=redrive_id,
        letter=letter_id,
        before=RevealedView.of(opened.payloads["payload"]),
        after=after and RevealedView.of(after),
    )


async def _opened(
    resources: Resources, caller: Caller, actor: str, thing: Thing, posted: RevealReason, missing: Problem
) -> Opened:
    """The stored data of a thing, opened; the reveal is recorded.

    Raises:
        Problem: there is no such thing for this caller, it is not kept, or its key is not configured here.
    """
    wish = Reveal(
        thing,
        caller.sees,
        posted.reason,
        actor,
        caller.key_id,
        resources.records.now(),
        resources.keyring,
        resources.kinds.current,
    )
    # In a transaction of its own: opening a large payload delays no accept.
    answer = await resources.records.write_apart(reveal, wish)
    match answer:
        case Opened():
            return answer
        case None:
            raise missing
        case NotKept(erased_at=None):
            raise Problem(
                HTTPStatus.GONE,
                "payload_deleted",
                "The content is not kept any more: a payload with a secret is deleted after its use.",
            )
        case NotKept(erased_at=at):
            raise Problem(HTTPStatus.GONE, "erased", f"The content was erased at {at:%Y-%m-%dT%H:%M:%SZ}.")
        case UnknownKeyError():
            name, value = next(iter(thing.named().items()))
            raise key_missing(answer, f"a look at {name} {value}", "Nothing was shown.")
