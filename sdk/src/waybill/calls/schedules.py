"""The calls about schedules."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypedDict
from uuid import UUID

from waybill.answers import AcceptedTask, Page, Schedule, ScheduleDetails
from waybill.calls.call import Answer, Call, json_body, model, present
from waybill.calls.keys import checked_key, new_key
from waybill.calls.paths import id_in
from waybill.calls.submission import Priority, Submission
from waybill.calls.tasks import JSON_TYPE, KEY_HEADER
from waybill_contracts.events import Event


class ScheduleTiming(TypedDict, total=False):
    """When a schedule makes a task, each of which may be left out.

    timing: ScheduleTiming = {"cron": "0 8 * * MON", "timezone": "Europe/Berlin", "missed": "skip"}
    client.schedules.create("mondays", report, **timing)
    """

    #: Minute, hour, day of the month, month, day of the week; or `@daily` …. This or `every_seconds`.
    cron: str | None
    every_seconds: int | None
    #: IANA name of the time zone of `cron`.
    timezone: str | None
    #: No slot is earlier, or later.
    starts_at: datetime | None
    ends_at: datetime | None
    #: For slots that passed while nothing could release them.
    missed: Literal["skip", "run_once", "run_all"] | None
    missed_limit: int | None
    priority: Priority | None
    #: A paused schedule makes no tasks.
    paused: bool | None


def create(
    name: str, event: Event | str, data: Mapping[str, Any] | None, key: str | None, timing: ScheduleTiming
) -> Call[Schedule]:
    """`POST /v1/schedules`."""
    task = Submission(event, data).document()
    stated = {each: value for each, value in timing.items() if value is not None}
    return Call(
        "POST",
        "/v1/schedules",
        model(Schedule),
        headers=JSON_TYPE | {KEY_HEADER: new_key() if key is None else checked_key(key)},
        content=json_body({"name": name, "kind": task["kind"], "body": task["data"], **stated}),
    )


def get(schedule_id: str | UUID) -> Call[ScheduleDetails]:
    """`GET /v1/schedules/{schedule_id}`."""
    return Call("GET", _path(schedule_id), model(ScheduleDetails))


def page(name: str | None, limit: int, cursor: str | None) -> Call[Page[Schedule]]:
    """`GET /v1/schedules`."""
    params = present({"name": name, "limit": limit, "cursor": cursor})
    return Call("GET", "/v1/schedules", model(Page[Schedule]), params)


def change(
    schedule_id: str | UUID, body: Event | Mapping[str, Any] | None, timing: ScheduleTiming
) -> Call[Schedule]:
    """`PATCH /v1/schedules/{schedule_id}`: a repeat has the same effect."""
    data = body.event_data() if isinstance(body, Event) else body
    changes = {**timing, **({} if data is None else {"body": data})}
    return Call("PATCH", _path(schedule_id), model(Schedule), headers=JSON_TYPE, content=json_body(changes))


def run(schedule_id: str | UUID, key: str | None) -> Call[AcceptedTask]:
    """`POST /v1/schedules/{schedule_id}/run`."""
    headers = {KEY_HEADER: new_key() if key is None else checked_key(key)}
    return Call("POST", f"{_path(schedule_id)}/run", model(AcceptedTask), headers=headers)


def delete(schedule_id: str | UUID) -> Call[None]:
    """`DELETE /v1/schedules/{schedule_id}`."""
    return Call("DELETE", _path(schedule_id), _nothing)


def _nothing(_answer: Answer) -> None:
    """An answer without content."""


def _path(schedule_id: str | UUID) -> str:
    return f"/v1/schedules/{id_in(schedule_id, 'schedule')}"
