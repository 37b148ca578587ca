"""Files that the attempts of a task have written."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from waybill_contracts.files import ResultFile, files_in, results_of
from waybill_contracts.states import State
from waybill_gateway.auth import CallerDep, GuardedRoute
from waybill_gateway.files.download import Download
from waybill_gateway.http import Problem, Word
from waybill_gateway.runtime import ResourcesDep
from waybill_gateway.tasks import find_task
from waybill_ledger import Task
from waybill_worker.storage import ObjectMissing

router = APIRouter(tags=["files"], route_class=GuardedRoute)

#: A file is for programs: a browser saves it, and never shows or runs it as a page of the gateway.
_NEVER_SHOWN: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


class FileLinks(BaseModel):
    """Links."""

    self: str


class TaskFile(BaseModel):
    """A file that a service has made for the task."""

    name: str
    service: str
    size_bytes: int
    sha256: str
    content_type: str
    links: FileLinks


class TaskFiles(BaseModel):
    """The files of a task, by service and name."""

    items: list[TaskFile]


@router.get("/v1/tasks/{task_id}/files")
async def get_task_files(task_id: UUID, resources: ResourcesDep, caller: CallerDep) -> TaskFiles:
    """Lists the files that services have made for a task; a service's are there when it has completed."""
    task = await find_task(resources, caller, task_id)
    return TaskFiles(
        items=[
            TaskFile(
                name=name,
                service=service,
                size_bytes=file.size_bytes,
                sha256=file.sha256,
                content_type=file.content_type,
                links=FileLinks(self=f"/v1/tasks/{task.id}/files/{name}?service={service}"),
            )
            for service, name, file in sorted(_files_of(task), key=lambda found: found[:2])
        ]
    )


@router.get(
    "/v1/tasks/{task_id}/files/{name}",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The file.",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
    },
)
async def get_task_file(
    task_id: UUID,
    name: str,
    resources: ResourcesDep,
    caller: CallerDep,
    service: Annotated[
        Word | None, Query(description="The service that made it, if several have made one of this name.")
    ] = None,
) -> Download:
    """Returns a file that a service has made for a task, with its own content type."""
    task = await find_task(resources, caller, task_id)
    file = _file(task, name, service)
    try:
        size, chunks = await resources.objects.stream(file.key)
    except ObjectMissing as error:
        raise Problem(
            HTTPStatus.GONE, "no_longer_kept", "This file was made, but is not kept any more."
        ) from error
    headers = {
        "Content-Length": str(size),
        "Content-Disposition": f'attachment; filename="{name}"',
        "ETag": f'"{file.sha256}"',
        # A redrive may replace the file of this name.
        "Cache-Control": "private, no-cache",
        **_NEVER_SHOWN,
    }
    return Download(chunks, media_type=file.content_type, headers=headers)


def _file(task: Task, name: str, service: str | None) -> ResultFile:
    """The file of this name.

    Raises:
        Problem: 404, there is none; 409, there is none yet, or several services have made one.
    """
    found = {by: file for by, named, file in _files_of(task) if named == name and service in {None, by}}
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise Problem(
            HTTPStatus.CONFLICT,
            "several_files",
            f"Several services have made a file of this name: add ?service=. They are: {', '.join(found)}.",
        )
    if task.erased_at is not None:
        raise Problem(HTTPStatus.GONE, "no_longer_kept", "The files of this task were erased.")
    if not task.state.is_terminal:
        raise Problem(
            HTTPStatus.CONFLICT,
            "not_produced_yet",
            f"The task is {task.state}, and has no such file so far. Repeat the call in a moment.",
            headers={"Retry-After": "1"},
        )
    raise Problem(
        HTTPStatus.NOT_FOUND,
        "no_such_file",
        f"The task is {task.state}, and has no such file. GET /v1/tasks/{task.id}/files lists what it has.",
    )


def _files_of(task: Task) -> Iterator[tuple[str, str, ResultFile]]:
    """Service, name and file of each file of a task."""
    for subtask in task.subtasks:
        if subtask.state is State.COMPLETED:
            for name, file in files_in(subtask.result, results_of(task.id)).items():
                yield subtask.service, name, file
