"""The calls about tasks."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, TypedDict
from uuid import UUID

from waybill.answers import AcceptedTask, AcceptedTasks, Cancellation, Page, Task, Timeline
from waybill.calls.call import Call, json_body, model, present
from waybill.calls.keys import checked_key, new_key
from waybill.calls.paths import id_in
from waybill.calls.submission import Submission, SubmitOptions
from waybill_contracts.events import Event
from waybill_contracts.states import State

#: Most tasks in one call.
MOST_TOGETHER: Final = 1000
KEY_HEADER: Final = "Idempotency-Key"
JSON_TYPE: Final = {"Content-Type": "application/json"}


class TaskFilters(TypedDict, total=False):
    """The filters of `list`, each of which may be left out; a task must pass all of them.

    filters: TaskFilters = {"kind": "invoice.requested", "state": "failed"}
    print([task.id for task in client.list(**filters)])
    """

    #: The first characters of its id.
    id: str | None
    state: State | str | None
    kind: str | None
    service: str | None
    #: Id of the schedule that made it.
    schedule: str | None
    #: Id of the task that spawned it.
    parent: str | None
    #: Created at or after this time.
    since: datetime | None
    #: Created before this time.
    until: datetime | None
    #: Part of its subject, or the first characters of its id or correlation id.
    q: str | None
    #: The mail address of the person that it is about.
    person: str | None
    #: Only among so many of the newest tasks, which limits how long a search lasts.
    newest: int | None


def submit(event: Event | str, data: Mapping[str, Any] | None, options: SubmitOptions) -> Call[AcceptedTask]:
    """`POST /v1/tasks`."""
    task = Submission(
        event,
        data,
        version=options.get("version"),
        send_at=options.get("send_at"),
        delay_seconds=options.get("delay_seconds"),
        priority=options.get("priority", "normal"),
    )
    return Call(
        "POST",
        "/v1/tasks",
        model(AcceptedTask),
        headers=JSON_TYPE | submit_headers(options),
        content=json_body(task.document()),
        deadline=options.get("deadline"),
    )


def submit_many(
    tasks: Iterable[Event | Submission], key: str | None, deadline: float | None
) -> Call[AcceptedTasks]:
    """`POST /v1/tasks/bulk`.

    Raises:
        ValueError: there is none, or there are too many.
    """
    stated = [each if isinstance(each, Submission) else Submission(each) for each in tasks]
    if not 1 <= len(stated) <= MOST_TOGETHER:
        raise ValueError(f"{len(stated)} tasks: 1 to {MOST_TOGETHER:,} are submitted together")
    return Call(
        "POST",
        "/v1/tasks/bulk",
        model(AcceptedTasks),
        headers=JSON_TYPE | {KEY_HEADER: new_key() if key is None else checked_key(key)},
        content=json_body({"tasks": [_of_many(each) for each in stated]}),
        deadline=deadline,
    )


def _of_many(task: Submission) -> dict[str, Any]:
    own = present(
        {"idempotency_key": task.key, "request_id": task.request_id, "traceparent": task.traceparent}
    )
    return task.document() | own


def get(task_id: str | UUID) -> Call[Task]:
    """`GET /v1/tasks/{task_id}`."""
    return Call("GET", path_of(task_id), model(Task))


def wait(task_id: str | UUID, seconds: float, within: float | None) -> Call[Task]:
    """`GET /v1/tasks/{task_id}?wait=`: answered once the task has ended, or after so many seconds.

    Args:
        task_id: of the task.
        seconds: that the gateway waits.
        within: seconds for all attempts; None: no limit.
    """
    params = present({"wait": round(seconds, 3)})
    path = path_of(task_id)
    return Call("GET", path, model(Task), params, lasts=seconds, silent=seconds, within=within)


def page(filters: TaskFilters, limit: int, cursor: str | None) -> Call[Page[Task]]:
    """`GET /v1/tasks`."""
    params = present({**filters, "limit": limit, "cursor": cursor})
    return Call("GET", "/v1/tasks", model(Page[Task]), params)


def timeline(task_id: str | UUID) -> Call[Timeline]:
    """`GET /v1/tasks/{task_id}/timeline`."""
    return Call("GET", f"{path_of(task_id)}/timeline", model(Timeline))


def cancel(task_id: str | UUID) -> Call[Cancellation]:
    """`POST /v1/tasks/{task_id}/cancel`: a repeat has the same effect."""
    return Call("POST", f"{path_of(task_id)}/cancel", model(Cancellation))


def path_of(task_id: str | UUID) -> str:
    """The path of a task.

    Raises:
        ValueError: it is no id.
    """
    return f"/v1/tasks/{id_in(task_id, 'task')}"


def submit_headers(options: SubmitOptions) -> dict[str, str]:
    """Idempotency key, name and trace of a submission as headers.

    Raises:
        ValueError: the gateway takes no such key.
    """
    key = options.get("key")
    named = {
        KEY_HEADER: new_key() if key is None else checked_key(key),
        "X-Request-Id": options.get("request_id"),
        "traceparent": options.get("traceparent"),
    }
    return {name: value for name, value in named.items() if value is not None}
