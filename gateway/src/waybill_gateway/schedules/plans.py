"""Conversions from a posted schedule to the plan in the ledger, and back to the answers of the API."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from itertools import islice
from typing import Any, Final, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from waybill_contracts.events import Event
from waybill_contracts.kinds import CATALOG, EmailRequested, SyncRequested, UserCreated
from waybill_contracts.privacy import SealBrokenError, UnknownKeyError, mask_addresses
from waybill_gateway.auth import Caller
from waybill_gateway.emails import require_known_template
from waybill_gateway.http import FieldError, Problem, key_missing
from waybill_gateway.runtime import Resources
from waybill_gateway.schedules.models import (
    SHOWN_AHEAD,
    ChangeSchedule,
    PostSchedule,
    ScheduleDetails,
    ScheduleFields,
    ScheduleLinks,
    ScheduleView,
    SlotTaskView,
    Steering,
)
from waybill_gateway.syncs import require_known_target
from waybill_gateway.tasks import AMQP_PRIORITIES, links_of, priority_name
from waybill_ledger import Plan, Schedule, Task, get_schedule
from waybill_ledger.access import REDACTED, redacted_payload

#: The two kinds of recurrence; a change of one replaces the other.
_RECURRENCES: Final = ("cron", "every_seconds")

_Model = TypeVar("_Model", bound=Steering)


def plan_of(posted: ScheduleFields, resources: Resources, schedule_id: str) -> Plan:
    """The plan of a checked schedule, with its sensitive fields sealed.

    Raises:
        Problem: 422, its body names a target that is not configured.
        RequestValidationError: its body names a template that does not exist, or has wrong parameters for it.
    """
    # With any id: only the subject of the task is needed from this event.
    event = CATALOG[posted.kind].event.of_posted(posted.body, posted.name)
    if isinstance(event, SyncRequested):
        require_known_target(resources, event.target, field="body.target")
    require_known_template(resources, event, "body")
    return Plan(
        name=posted.name,
        kind=posted.kind,
        body=resources.keyring.seal_fields(posted.body, event.sensitive_fields(), schedule_id),
        about=mask_addresses(_about(event)),
        person=event.person and resources.persons.digest(event.person),
        **_steered(posted),
    )


def changed_plan(schedule: Schedule, change: ChangeSchedule, resources: Resources) -> Plan:
    """The plan with the change applied.

    A body that is not replaced is checked and sealed again. If it cannot be opened it does not change, so
    that
    such a schedule can be paused, but not resumed.

    Raises:
        RequestValidationError: the result is not valid.
        Problem: the schedule is resumed, and its body cannot be opened; or as `plan_of`.
    """
    wanted = change.model_dump(exclude_unset=True)
    plan = schedule.plan
    _require_no_redacted(wanted.get("body"))
    now: dict[str, Any] = {name: getattr(plan, name) for name in PostSchedule.model_fields}
    now["priority"] = priority_name(plan.priority)
    for one, other in (_RECURRENCES, _RECURRENCES[::-1]):
        if wanted.get(one) is not None and other not in wanted:
            now[other] = None
    then = now | _without_defaults(wanted)
    if "body" not in wanted:
        try:
            then["body"] = resources.keyring.open_fields(plan.body, schedule.id)
        except (UnknownKeyError, SealBrokenError) as error:
            if plan.paused and not then["paused"]:
                raise _cannot_resume(schedule, error) from None
            steering = _checked(Steering, {name: then[name] for name in Steering.model_fields})
            return replace(plan, **_steered(steering))
    # Rules for new schedules only: an older schedule without them can still be paused.
    model = PostSchedule if wanted.keys() & {"body", "priority"} else ScheduleFields
    return plan_of(_checked(model, then), resources, schedule.id)


def view_of(schedule: Schedule) -> ScheduleView:
    """The view of a schedule."""
    return ScheduleView(**_shown(schedule))


def details_of(schedule: Schedule, tasks: list[Task]) -> ScheduleDetails:
    """The view of a schedule with its last tasks."""
    return ScheduleDetails(
        **_shown(schedule),
        last_tasks=[
            SlotTaskView(id=task.id, state=task.state, slot=task.slot_at, links=links_of(task.id))
            for task in tasks
            if task.slot_at is not None
        ],
    )


async def find_schedule(resources: Resources, caller: Caller, schedule_id: UUID) -> Schedule:
    """The schedule of this id.

    Raises:
        Problem: 404, the caller may see no schedule of this id.
    """
    schedule = await resources.records.read(
        partial(get_schedule, schedule_id=str(schedule_id), tenant=caller.sees)
    )
    if schedule is None:
        raise no_such_schedule()
    return schedule


def no_such_schedule() -> Problem:
    """The answer to an unknown id of a schedule."""
    return Problem(
        HTTPStatus.NOT_FOUND,
        "no_such_schedule",
        "There is no schedule of this id; it may have been deleted. GET /v1/schedules lists them.",
    )


def never_due() -> Problem:
    """The answer to a plan without a slot in the future."""
    message = "there is no slot before this time"
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "never_due",
        "This schedule would never be due. Give it a later end, or none.",
        errors=[FieldError(field="ends_at", message=message)],
    )


def _require_no_redacted(body: dict[str, Any] | None) -> None:
    # A caller that sends back the answer of a GET would have the placeholder mailed.
    for name, value in (body or {}).items():
        if value == REDACTED:
            message = f"is {REDACTED}, the placeholder of hidden values: send the value itself"
            raise RequestValidationError([{"loc": ("body", "body", name), "msg": message}])


def _checked(model: type[_Model], values: dict[str, Any]) -> _Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise RequestValidationError(
            [line | {"loc": ("body", *line["loc"])} for line in error.errors()]
        ) from error


def _steered(posted: Steering) -> dict[str, Any]:
    """The fields of a plan beside the content of its tasks."""
    values = {name: getattr(posted, name) for name in Steering.model_fields}
    return values | {"priority": AMQP_PRIORITIES[posted.priority]}


def _cannot_resume(schedule: Schedule, error: UnknownKeyError | SealBrokenError) -> Problem:
    if isinstance(error, UnknownKeyError):
        detail = "The schedule stays paused: resume it later, or send its body again."
        return key_missing(error, f"schedule {schedule.id}", detail)
    return Problem(
        HTTPStatus.CONFLICT,
        "body_broken",
        "The body of this schedule was altered, and cannot be read any more. Send the body again.",
        errors=[FieldError(field="body", message=str(error))],
    )


def _about(event: Event) -> str:
    match event:
        case EmailRequested():
            return event.to
        case UserCreated():
            return event.email
        case SyncRequested():
            return f"{event.target}/{event.resource}/{event.id}"
    raise TypeError(f"{event.KIND} cannot be scheduled")


def _without_defaults(wanted: Mapping[str, Any]) -> dict[str, Any]:
    # Null removes an optional field, and resets any other to its default.
    defaults = {name: field.get_default() for name, field in PostSchedule.model_fields.items()}
    return {
        name: defaults[name] if value is None and name != "body" else value for name, value in wanted.items()
    }


def _shown(schedule: Schedule) -> dict[str, Any]:
    plan = schedule.plan
    zone = ZoneInfo(plan.timezone)
    ahead = []
    if schedule.next_at is not None:
        following = islice(schedule.recurrence.slots(schedule.next_at), SHOWN_AHEAD - 1)
        ahead = [slot.astimezone(zone) for slot in (schedule.next_at, *following)]
    return {
        "id": schedule.id,
        **{name: getattr(plan, name) for name in PostSchedule.model_fields},
        "body": redacted_payload(plan.kind, plan.body),
        "priority": priority_name(plan.priority),
        "created_at": schedule.created_at,
        "updated_at": schedule.updated_at,
        "next": ahead,
        "last_slot_at": schedule.last_slot_at,
        "error": schedule.error,
        "links": ScheduleLinks(
            self=f"/v1/schedules/{schedule.id}", tasks=f"/v1/tasks?schedule={schedule.id}"
        ),
    }
