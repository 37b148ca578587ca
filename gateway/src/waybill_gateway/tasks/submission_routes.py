"""Tasks of any kind: submitted by the contract of their kind."""

import asyncio
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError

from waybill_contracts.registry import Contract, Kind
from waybill_gateway.auth import GuardedJsonRoute
from waybill_gateway.http import MAX_ERRORS, FieldError, Problem
from waybill_gateway.runtime import Resources, kind_in_use
from waybill_gateway.tasks.data import checked_data
from waybill_gateway.tasks.models import AcceptedTask, AcceptedTasks, PostTask, PostTasks
from waybill_gateway.tasks.post import Post, PostDep
from waybill_gateway.tasks.submission import (
    accept_task,
    answer_of,
    files_missing,
    is_repeated,
    new_task,
    send_at_passed,
)
from waybill_ledger import (
    Acceptance,
    Accepted,
    AcceptedBefore,
    FilesMissing,
    NewTask,
    Submission,
    accept_together,
)

#: The operation that keys of tasks belong to, however they are submitted.
_SINGLE: Final = "POST /v1/tasks"
#: What names a task, and is no part of its content: a repeat may have another trace.
_NAMES: Final = {"idempotency_key", "request_id", "traceparent"}
#: Tasks that are checked before other requests get their turn.
_TURN: Final = 50

router = APIRouter(tags=["tasks"], route_class=GuardedJsonRoute)


@router.post("/v1/tasks", status_code=HTTPStatus.ACCEPTED)
async def post_task(posted: PostTask, post: PostDep) -> AcceptedTask:
    """Submits a task of any registered kind; what is wrong with its data is named by JSON Pointer."""
    call = post.keyed_call(posted.model_dump_json)
    with post.resources.calls.only(call):
        contract = await _contract_of(posted, post.resources)
        return await accept_task(post, _task_of(posted, post, *contract), posted, call)


@router.post("/v1/tasks/bulk", status_code=HTTPStatus.ACCEPTED)
async def post_tasks(posted: PostTasks, post: PostDep) -> AcceptedTasks:
    """Submits up to 1,000 tasks in one transaction: all of them are accepted, or none is.

    An Idempotency-Key of the call is one for each of its tasks that has none of its own.
    """
    submissions = await _submissions_of(posted, post)
    acceptances = await post.resources.records.write(accept_together, submissions)
    refused = [
        _refused(number, submission.task, acceptance)
        for number, (submission, acceptance) in enumerate(zip(submissions, acceptances, strict=True))
        if not isinstance(acceptance, Accepted | AcceptedBefore)
    ]
    if refused:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "tasks_refused",
            "Nothing was accepted, because some of the tasks cannot be; see errors.",
            errors=refused[:MAX_ERRORS],
        )
    return AcceptedTasks(
        tasks=[
            answer_of(post, submission.task, acceptance)
            for submission, acceptance in zip(submissions, acceptances, strict=True)
            if isinstance(acceptance, Accepted | AcceptedBefore)
        ]
    )


async def _submissions_of(posted: PostTasks, post: Post) -> list[Submission]:
    """The tasks, each with its idempotency key.

    Raises:
        Problem: 422, some are not valid; the faults of all are named.
    """
    key, now = post.key, post.resources.records.now()
    submissions: list[Submission] = []
    faults: list[FieldError] = []
    contracts: dict[tuple[str, int | None], tuple[Kind, Contract]] = {}
    for number, each in enumerate(posted.tasks):
        if number % _TURN == _TURN - 1:
            await asyncio.sleep(0)  # lets other requests proceed
        own = each.idempotency_key or (None if key is None else f"{key}#{number}")
        call = post.call_of(own, _SINGLE, partial(each.model_dump_json, exclude=_NAMES))
        try:
            named = each.kind, each.version
            if named not in contracts:
                contracts[named] = await _contract_of(each, post.resources)
            task = _task_of(each, post.with_headers(each.own_headers), *contracts[named], now)
            if each.is_past(task.created_at) and not await is_repeated(post.resources, call):
                raise send_at_passed()
        except Problem as problem:
            if not problem.errors:
                raise  # not of this task alone
            faults += [_within(number, error) for error in problem.errors]
        else:
            submissions.append(Submission(task, call))
    if faults:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "tasks_refused",
            "Nothing was accepted, because some of the tasks are not valid; see errors.",
            errors=faults[:MAX_ERRORS],
        )
    return submissions


def _within(number: int, error: FieldError) -> FieldError:
    place = error.field if error.field.startswith("/") else f"/{error.field.replace('.', '/')}"
    return FieldError(field=f"/tasks/{number}{place}", message=error.message)


def _refused(number: int, task: NewTask, acceptance: Acceptance) -> FieldError:
    if isinstance(acceptance, FilesMissing):
        problem = files_missing(task, acceptance)
        return _within(number, problem.errors[0])
    message = "was used for a task with other content, or with content that was erased since"
    return _within(number, FieldError(field="/idempotency_key", message=message))


def _task_of(
    posted: PostTask, post: Post, kind: Kind, contract: Contract, now: datetime | None = None
) -> NewTask:
    try:
        data = checked_data(post.resources, contract, posted.data, posted.priority, ("data",))
    except RequestValidationError as error:
        raise _invalid_data(error) from None
    return new_task(post, kind, data, posted, version=contract.version, now=now)


async def _contract_of(posted: PostTask, resources: Resources) -> tuple[Kind, Contract]:
    """The kind of a task, and the contract of its version.

    The services of the kind read this version, or will when their next release is here.

    Raises:
        Problem: 422, there is no such kind or version, or it is no longer read.
    """
    kind, version = await kind_in_use(resources.kinds, posted.kind), posted.version
    contract = kind.current if version is None else kind.contracts.get(version)
    services = resources.kinds.current.services
    oldest = max(min(services[name].reads(kind.name), default=1) for name in kind.services)
    if contract is None or contract.version < oldest:
        known = ", ".join(str(each) for each in sorted(kind.contracts) if each >= oldest)
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "unknown_version",
            f"Its services read no such version of {kind.name}. Versions in use: {known}.",
            errors=[FieldError(field="/version", message=f"one of: {known}")],
        )
    return kind, contract


def _invalid_data(error: RequestValidationError) -> Problem:
    """The answer to data that breaks its contract, with a JSON Pointer (RFC 6901) for each fault."""
    faults = [
        FieldError(field=_pointer(fault["loc"][1:]), message=str(fault["msg"]).removeprefix("Value error, "))
        for fault in error.errors()
    ]
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid_data",
        "The data breaks the contract of its kind; see errors. GET /v1/kinds/{kind} shows the contract.",
        errors=faults,
    )


def _pointer(location: tuple[int | str, ...]) -> str:
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in location)
