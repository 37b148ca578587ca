"""The events of tasks as Server-Sent Events."""

import re
from collections.abc import Sequence
from contextlib import ExitStack
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response

from waybill_gateway.auth import CallerDep, GuardedRoute
from waybill_gateway.following import Sort, WatchesDep
from waybill_gateway.http import Problem, Word
from waybill_gateway.runtime import ResourcesDep
from waybill_gateway.tasks import no_such_task
from waybill_gateway.watching.event_stream import EventStream
from waybill_gateway.watching.events import END, events_of_all, events_of_task

#: Kinds that one stream is limited to.
MOST_KINDS: Final = 50
_ID: Final = re.compile(rf"^(\d{{1,18}})({END})?$", re.ASCII)
_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
        "description": "Each event has a `ChangeView` as its data.",
    },
}
_TASK_STREAM: Final = _STREAM | {
    204: {"description": "The task has ended, and its last event was `end`: there is nothing to wait for."}
}

router = APIRouter(tags=["tasks"], route_class=GuardedRoute)

LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        description="The `id` of the last event that was received: the stream goes on after it.",
        # For the description only: `_place` checks it.
        json_schema_extra={"pattern": _ID.pattern},
    ),
]


@router.get("/v1/tasks/{task_id}/events", response_class=EventStream, responses=_TASK_STREAM)
async def watch_task(
    task_id: UUID,
    resources: ResourcesDep,
    caller: CallerDep,
    watches: WatchesDep,
    last_event_id: LastEventId = None,
) -> Response:
    """Streams what happens to a task, from its beginning or after `Last-Event-ID`; `end` comes last.

    The data of `end` is the task as `GET /v1/tasks/{task_id}` shows it; then the stream ends.
    """
    place, knows_end = _place(last_event_id)
    with ExitStack() as held:
        watch = held.enter_context(watches.watching(Sort.TASK, caller, str(task_id)))
        await watches.ready()
        task = await watches.task(str(task_id), caller.sees)
        if task is None:
            raise no_such_task()
        if knows_end and task.state.is_terminal and not await watches.changes_of(task.id, place):
            return Response(status_code=HTTPStatus.NO_CONTENT)
        events = events_of_task(watches, watch, task.id, place, resources.metrics)
        return EventStream(events, held.pop_all(), resources.metrics)


@router.get("/v1/events", response_class=EventStream, responses=_STREAM)
async def watch_tasks(
    resources: ResourcesDep,
    caller: CallerDep,
    watches: WatchesDep,
    kind: Annotated[
        Sequence[Word], Query(max_length=MOST_KINDS, description="Only tasks of these kinds.")
    ] = (),
    last_event_id: LastEventId = None,
) -> Response:
    """Streams what happens to all tasks that the caller may see, from now on or after `Last-Event-ID`."""
    place, _ = _place(last_event_id)
    with ExitStack() as held:
        watch = held.enter_context(watches.watching(Sort.ALL, caller))
        await watches.ready()
        after = None if last_event_id is None else place
        events = events_of_all(watches, watch, frozenset(kind), after, resources.metrics)
        return EventStream(events, held.pop_all(), resources.metrics)


def _place(last_event_id: str | None) -> tuple[int, bool]:
    """The number of the last event that a caller knows, and whether that was the end of the task.

    Raises:
        Problem: 400, no event has this id.
    """
    if last_event_id is None:
        return 0, False
    match = _ID.match(last_event_id)
    if match is None:
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "bad_last_event_id",
            "Last-Event-ID is the id of an event of this stream. Begin again without it.",
        )
    return int(match[1]), match[2] is not None
