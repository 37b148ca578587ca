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
from pydantic_core import to_json

from waybill_contracts.privacy import SealBrokenError, UnknownKeyError, mask_addresses
from waybill_contracts.registry import Contract, Registry
from waybill_gateway.auth import Caller
from waybill_gateway.http import FieldError, Problem, key_missing
from waybill_gateway.runtime import Resources, kind_in_use
from waybill_gateway.schedules.models import (
    MAX_BODY_BYTES,
    SHOWN_AHEAD,
    ChangeSchedule,
    PostSchedule,
    ScheduleDetails,
    ScheduleLinks,
    ScheduleView,
    SlotTaskView,
    Steering,
)
from waybill_gateway.tasks import AMQP_PRIORITIES, checked_data, links_of, priority_name
from waybill_ledger import Plan, Schedule, Task, get_schedule
from waybill_ledger.access import REDACTED, redacted_payload

#: The two kinds of recurrence; a change of one replaces the other.
_RECURRENCES: Final = ("cron", "every_seconds")

_STAYS_PAUSED: Final = "The schedule stays paused: resume it later, or send its body again."

_Model = TypeVar("_Model", bound=Steering)


async def plan_of(
    posted: PostSchedule, resources: Resources, schedule_id: str, *, has_new_content: bool = True
) -> Plan:
    """The plan of a schedule, with its sensitive fields sealed.

    Args:
        posted: the schedule; its body is not checked yet.
        resources: have the kinds.
        schedule_id: its id.
        has_new_content: False: body and priority are those of an existing schedule, which need not follow
            rules that were made later.

    Raises:
        Problem: 422, there is no such kind in use.
        RequestValidationError: the kind cannot be scheduled, or its contract does not allow the body.
    """
    kind = await kind_in_use(resources.kinds, posted.kind)
    contract = kind.current
    _require_schedulable(contract)
    priority = posted.priority if has_new_content else "normal"
    data = checked_data(resources, contract, posted.body, priority, ("body",))
    if len(to_json(data)) > MAX_BODY_BYTES:
        raise _wrong("body", f"the body has more than {MAX_BODY_BYTES:,} bytes")
    person = contract.person_of(data)
    return Plan(
        name=posted.name,
        kind=posted.kind,
        body=resources.keyring.seal_fields(data, contract.sensitive, schedule_id),
        about=mask_addresses(contract.about(data) or person or ""),
        person=person and resources.persons.digest(person),
        **_steered(posted),
    )


def _require_schedulable(contract: Contract) -> None:
    if contract.has_files:
        raise _wrong("kind", "cannot be scheduled: its files are kept only as long as a task needs them")
    if contract.secret:
        raise _wrong("kind", "cannot be scheduled: its secrets must not outlive their use")


def _wrong(field: str, message: str) -> RequestValidationError:
    return RequestValidationError([{"loc": ("body", field), "msg": message}])


async def changed_plan(schedule: Schedule, change: ChangeSchedule, resources: Resources) -> Plan:
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
                raise unopened(
                    schedule, error, "The schedule stays paused: resume it later, or send its body again."
                ) from None
            steering = _checked(Steering, {name: then[name] for name in Steering.model_fields})
            return replace(plan, **_steered(steering))
    # Rules for new schedules only: an older schedule without them can still be paused.
    has_new_content = bool(wanted.keys() & {"body", "priority"})
    changed = _checked(PostSchedule, then)
    return await plan_of(changed, resources, schedule.id, has_new_content=has_new_content)


def view_of(schedule: Schedule, registry: Registry) -> ScheduleView:
    """The view of a schedule."""
    return ScheduleView(**_shown(schedule, registry))


def details_of(schedule: Schedule, registry: Registry, tasks: list[Task]) -> ScheduleDetails:
    """The view of a schedule with its last tasks."""
    return ScheduleDetails(
        **_shown(schedule, registry),
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


def unopened(schedule: Schedule, error: UnknownKeyError | SealBrokenError, advice: str) -> Problem:
    """The answer to what needs a body that cannot be opened.

    Args:
        schedule: it is of this one.
        error: why it cannot be opened.
        advice: what to do if only a key is missing.
    """
    if isinstance(error, UnknownKeyError):
        return key_missing(error, f"schedule {schedule.id}", advice)
    return Problem(
        HTTPStatus.CONFLICT,
        "body_broken",
        "The body of this schedule was altered, and cannot be read any more. Send the body again.",
        errors=[FieldError(field="body", message=str(error))],
    )


def _without_defaults(wanted: Mapping[str, Any]) -> dict[str, Any]:
    # Null removes an optional field, and resets any other to its default.
    defaults = {name: field.get_default() for name, field in PostSchedule.model_fields.items()}
    return {
        name: defaults[name] if value is None and name != "body" else value for name, value in wanted.items()
    }


def _shown(schedule: Schedule, registry: Registry) -> dict[str, Any]:
    plan = schedule.plan
    zone = ZoneInfo(plan.timezone)
    ahead = []
    if schedule.next_at is not None:
        following = islice(schedule.recurrence.slots(schedule.next_at), SHOWN_AHEAD - 1)
        ahead = [slot.astimezone(zone) for slot in (schedule.next_at, *following)]
    return {
        "id": schedule.id,
        **{name: getattr(plan, name) for name in PostSchedule.model_fields},
        "body": redacted_payload(plan.body, registry.sensitive(plan.kind)),
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
