"""Tasks of any kind: submitted by the contract of their kind."""

from http import HTTPStatus

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError

from waybill_contracts.registry import Contract, Kind
from waybill_gateway.auth import GuardedJsonRoute
from waybill_gateway.http import FieldError, Problem
from waybill_gateway.runtime import Resources, kind_in_use
from waybill_gateway.tasks.data import checked_data
from waybill_gateway.tasks.models import AcceptedTask, PostTask
from waybill_gateway.tasks.post import Post, PostDep
from waybill_gateway.tasks.submission import accept_task, new_task
from waybill_ledger import NewTask

router = APIRouter(tags=["tasks"], route_class=GuardedJsonRoute)


@router.post("/v1/tasks", status_code=HTTPStatus.ACCEPTED)
async def post_task(posted: PostTask, post: PostDep) -> AcceptedTask:
    """Submits a task of any registered kind; what is wrong with its data is named by JSON Pointer."""
    call = post.keyed_call(posted.model_dump_json)
    with post.resources.calls.only(call):
        return await accept_task(post, await _task_of(posted, post), posted, call)


async def _task_of(posted: PostTask, post: Post) -> NewTask:
    resources = post.resources
    kind = await kind_in_use(resources.kinds, posted.kind)
    contract = _contract_of(kind, posted.version, resources)
    try:
        data = checked_data(resources, contract, posted.data, posted.priority, ("data",))
    except RequestValidationError as error:
        raise _invalid_data(error) from None
    return new_task(post, kind, data, posted, version=contract.version)


def _contract_of(kind: Kind, version: int | None, resources: Resources) -> Contract:
    """The contract of a version that the services of the kind read, or will when their next release is here.

    Raises:
        Problem: 422, there is no such version, or it is no longer read.
    """
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
    return contract


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
