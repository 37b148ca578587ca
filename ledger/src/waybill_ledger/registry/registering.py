"""Registering services, and retiring them: each in one transaction under the lock of the registry."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, update

from waybill_contracts.registry import Application, Manifest, Registry, apply, retire
from waybill_ledger.audit import AuditEntry, record
from waybill_ledger.registry.stored import load_registry, lock_registry, raise_revision, store
from waybill_ledger.registry.uses import WorkLeft, count, dead_letters, told, uses_of, work_left
from waybill_ledger.schema import ROUTES

#: Actions in the audit trail.
APPLY: Final = "apply_service"
RETIRE: Final = "retire_service"


@dataclass(frozen=True, slots=True)
class ApplyManifest:
    """Request to register a service, or a new release of it."""

    manifest: Manifest
    now: datetime
    #: Who asks for it; None: the installation itself, which the audit trail does not mention.
    actor: str | None
    #: Whether only to say what would happen.
    is_dry_run: bool = False


@dataclass(frozen=True, slots=True)
class RetireService:
    """Request to retire a service that has nothing left to do."""

    service: str
    now: datetime
    actor: str
    #: Whose tasks may be named to who asks; None: those of all tenants.
    tenant: str | None = None


class NoSuchServiceError(Exception):
    """There is no service of this name in use."""


def apply_manifests(connection: Connection, requests: Sequence[ApplyManifest]) -> Sequence[Application]:
    """Registers services; a batch write for `Records.write`.

    A refused manifest changes nothing; its `Application` says why.
    """
    lock_registry(connection)
    registry = load_registry(connection)
    applications = []
    for request in requests:
        # Routes of the same transaction are merged: no task can have been accepted with one of them.
        application = _applied(connection, request, registry)
        registry = registry if request.is_dry_run else application.registry
        applications.append(application)
    return applications


def retire_services(
    connection: Connection, requests: Sequence[RetireService]
) -> Sequence[Application | WorkLeft | NoSuchServiceError]:
    """Retires services that have nothing left to do; a batch write for `Records.write`.

    A process with an older copy of the registry may accept a task of the service for about a second longer.
    Such a task is as safe as any other: it waits in the queue of the service, which stays, and `work_left`
    counts it. Who retires a service looks there again when all copies are fresh, and stops the service when
    nothing is left.
    """
    lock_registry(connection)
    return [_retired(connection, request) for request in requests]


def confirm_declared(connection: Connection, batches: Sequence[tuple[Registry, datetime]]) -> Sequence[int]:
    """Records that the broker has the bindings of a registry's routes; a batch write for `Records.write`.

    Returns:
        Number of routes that were not declared before.
    """
    lock_registry(connection)
    return [_confirmed(connection, *batch) for batch in batches]


def _applied(connection: Connection, request: ApplyManifest, registry: Registry) -> Application:
    manifest = request.manifest
    application = apply(registry, manifest, uses_of(connection, registry, manifest))
    if application.refusals or not application.changes or request.is_dry_run:
        return application
    store(connection, application, manifest.service, request.now, request.actor)
    _record(connection, request, APPLY, manifest.service, application)
    return application


def _retired(connection: Connection, request: RetireService) -> Application | WorkLeft | NoSuchServiceError:
    registry = load_registry(connection)
    try:
        application = retire(registry, request.service)
    except LookupError as error:
        return NoSuchServiceError(str(error))
    if left := work_left(connection, registry, request.service, request.tenant):
        return left
    if letters := count(connection, dead_letters(request.service)):
        note = (
            f"{told(letters, 'dead letter')} stay at the failure desk: what is redriven waits for the service"
        )
        application = replace(application, notes=(*application.notes, note))
    store(connection, application, request.service, request.now, request.actor)
    _record(connection, request, RETIRE, request.service, application)
    return application


def _record(
    connection: Connection,
    request: ApplyManifest | RetireService,
    action: str,
    service: str,
    application: Application,
) -> None:
    if request.actor is None:
        return
    details = {
        "service": service,
        "release": application.registry.services[service].manifest.release,
        "changes": list(application.changes),
    }
    record(connection, [AuditEntry(request.now, request.actor, action, details=details)])


def _confirmed(connection: Connection, registry: Registry, now: datetime) -> int:
    keys = [route.routing_key for route in registry.undeclared]
    changed = connection.execute(
        update(ROUTES)
        .where(ROUTES.c.routing_key.in_(keys), ROUTES.c.declared_at.is_(None))
        .values(declared_at=now)
    ).rowcount
    if changed:
        raise_revision(connection)
    return changed
