"""Services: registered and retired as a step of their deployment, and looked at."""

import asyncio
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response

from waybill_contracts.registry import Manifest, Registry
from waybill_gateway.auth import Actor, Caller, CallerDep, GuardedJsonRoute
from waybill_gateway.http import FieldError, Paged, Problem
from waybill_gateway.registry.fresh import fresh_registry
from waybill_gateway.registry.manifests import MANIFEST_BODY, manifest_in, refused
from waybill_gateway.registry.models import (
    OpenWork,
    RegisteredService,
    Registering,
    RetiredService,
    ServiceDetails,
    ServicePageView,
    ServiceView,
    is_declared,
)
from waybill_gateway.runtime import Resources, ResourcesDep
from waybill_ledger.registry import (
    ApplyManifest,
    NoSuchServiceError,
    RetireService,
    WorkLeft,
    apply_manifests,
    load_registry,
    retire_services,
    uses_of,
    work_left,
)
from waybill_worker.observe import get_logger

log = get_logger(__name__)

#: Seconds after a change until no process works with an older copy of the registry: copies are refreshed
#: twice a second, and reading one takes a part of a second.
SETTLE_SECONDS: Final = 1.5

router = APIRouter(tags=["registry"], route_class=GuardedJsonRoute)

_Name = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,48}$")]


@router.put(
    "/v1/services/{name}",
    responses={201: {"description": "It is new.", "model": RegisteredService}},
    openapi_extra=MANIFEST_BODY,
)
async def put_service(
    name: _Name,
    request: Request,
    response: Response,
    resources: ResourcesDep,
    actor: Actor,
    how: Annotated[Registering, Query()],
) -> RegisteredService:
    """Registers a service, or a new release of one: the body is its manifest.

    It is refused, with each difference, if something waits that the release could not read, if a contract
    changed incompatibly within its version, or if a kind belongs to another service. A repeated call changes
    nothing.
    """
    manifest = manifest_in(await request.body(), name)
    before = await fresh_registry(resources)
    wish = ApplyManifest(manifest, resources.records.now(), actor, how.dry_run)
    async with resources.registering:
        application = await resources.records.write_apart(apply_manifests, wish)
    if application.refusals:
        raise refused(manifest, application.refusals)
    registry, service, notes = application.registry, application.registry.services[name], application.notes
    if application.changes and not how.dry_run:
        log.info("registered a service", service=name, release=manifest.release, actor=actor)
        registry = await fresh_registry(resources)
        notes = (*notes, *await _unread(resources, before, manifest))
        if service.registered_at is None:
            response.status_code, response.headers["Location"] = HTTPStatus.CREATED, f"/v1/services/{name}"
    return RegisteredService(
        service=name,
        release=manifest.release,
        changes=list(application.changes),
        notes=list(notes),
        declared=is_declared(registry, service),
        dry_run=how.dry_run,
    )


@router.get("/v1/services")
async def get_services(resources: ResourcesDep, asked: Annotated[Paged, Query()]) -> ServicePageView:
    """Lists services by name, retired ones included."""
    registry = await fresh_registry(resources)
    begin = asked.place("services") or ""
    found = [service for name, service in sorted(registry.services.items()) if name > begin]
    page = found[: asked.limit]
    following = page[-1].name if len(found) > asked.limit else None
    return ServicePageView(
        items=[ServiceView.of(registry, service) for service in page],
        next_cursor=asked.continued("services", following),
    )


@router.get("/v1/services/{name}")
async def get_service(name: _Name, resources: ResourcesDep) -> ServiceDetails:
    """Shows a service and its newest manifest."""
    registry = await fresh_registry(resources)
    if (service := registry.services.get(name)) is None:
        raise _no_such_service(name)
    return ServiceDetails.within(registry, service)


@router.delete("/v1/services/{name}")
async def retire_service(
    name: _Name, resources: ResourcesDep, caller: CallerDep, actor: Actor
) -> RetiredService:
    """Retires a service that has nothing left to do; tasks no longer go to it.

    It is refused while it has open tasks, or schedules make tasks for it alone. Its tasks, dead letters and
    contracts stay readable. The answer comes when every process knows; stop the service after that.
    """
    wish = RetireService(name, resources.records.now(), actor, caller.sees)
    async with resources.registering:
        answer = await resources.records.write_apart(retire_services, wish)
    if isinstance(answer, NoSuchServiceError):
        raise _no_such_service(name)
    if isinstance(answer, WorkLeft):
        raise _in_use(name, answer)
    log.info("retired a service", service=name, actor=actor)
    await fresh_registry(resources)
    late = await _late(resources, caller, name)
    return RetiredService(
        service=name,
        release=answer.registry.services[name].manifest.release,
        changes=list(answer.changes),
        notes=list(answer.notes),
        late=OpenWork(tasks=late.tasks, links=_links(late)),
    )


async def _unread(resources: Resources, before: Registry, manifest: Manifest) -> list[str]:
    """What other gateways have accepted in versions that a release no longer reads, before they knew.

    Args:
        resources: of the gateway.
        before: the registry without the release.
        manifest: of the release.
    """
    known = before.services.get(manifest.service)
    if known is None or all(known.reads(kind) == manifest.reads(kind) for kind in known.manifest.kinds):
        return []
    await asyncio.sleep(SETTLE_SECONDS)
    uses = await resources.records.read(lambda connection: uses_of(connection, before, manifest))
    return [
        f"{use.kind}: {use.what} of version {use.version} came meanwhile, which this release does not read"
        for use in uses
    ]


async def _late(resources: Resources, caller: Caller, name: str) -> WorkLeft:
    """What other gateways have accepted for a retired service, before they knew."""
    await asyncio.sleep(SETTLE_SECONDS)
    return await resources.records.read(
        lambda connection: work_left(connection, load_registry(connection), name, caller.sees)
    )


def _in_use(name: str, left: WorkLeft) -> Problem:
    errors = [FieldError(field=link, message="has no outcome yet") for link in _links(left)]
    if left.schedules:
        errors.append(
            FieldError(field="/v1/schedules", message="schedules make tasks for this service alone")
        )
    return Problem(
        HTTPStatus.CONFLICT,
        "service_in_use",
        f"{name} has {left}; nothing was changed. Retire it when they have ended or are cancelled.",
        errors=errors,
    )


def _links(left: WorkLeft) -> list[str]:
    return [f"/v1/tasks/{task_id}" for task_id in left.task_ids]


def _no_such_service(name: str) -> Problem:
    return Problem(
        HTTPStatus.NOT_FOUND,
        "no_such_service",
        f"There is no service {name} in use. GET /v1/services lists those that there are.",
    )
