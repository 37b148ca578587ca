"""Registering and retiring services, as the ledger keeps it; a process's copy of the registry."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select

from waybill_contracts.registry import (
    Application,
    HandledKind,
    Manifest,
    UnknownKindError,
    built_in_manifests,
    built_in_registry,
    declared,
)
from waybill_contracts.wire import LifecycleType
from waybill_database import Records
from waybill_ledger import Submission, accept, apply_events
from waybill_ledger.migrations import upgrade
from waybill_ledger.registry import (
    ApplyManifest,
    NoSuchServiceError,
    RegistryCopy,
    RetireService,
    WorkLeft,
    apply_manifests,
    confirm_declared,
    load_registry,
    retire_services,
)
from waybill_ledger.schema.desk_tables import DESK_AUDIT
from waybill_testkit.samples import NOON, new_task, reported

ACTOR = "ann"


def manifest(release: str = "1", *, service: str = "invoices", **fields: Any) -> Manifest:
    data = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"order_id": {"type": "string"}, **fields},
        "required": ["order_id"],
    }
    handled = HandledKind(kind="invoice.requested", reads=(1,), data=data)
    return Manifest(service=service, release=release, handles=(handled,))


def applied(engine: Engine, stated: Manifest, *, is_dry_run: bool = False) -> Application:
    with engine.begin() as connection:
        (application,) = apply_manifests(connection, [ApplyManifest(stated, NOON, ACTOR, is_dry_run)])
    return application


def test_an_upgrade_registers_the_built_in_services_once(engine: Engine, ledger_url: str) -> None:
    with engine.begin() as connection:
        registry = load_registry(connection)
    assert {name: service.manifest for name, service in registry.services.items()} == {
        stated.service: stated for stated in built_in_manifests()
    }
    assert declared(registry).kinds == built_in_registry().kinds
    upgrade(ledger_url)
    with engine.begin() as connection:
        assert load_registry(connection) == registry


def test_what_is_registered_is_read_as_it_was_applied(engine: Engine) -> None:
    application = applied(engine, manifest())
    with engine.begin() as connection:
        registry = load_registry(connection)
    assert declared(registry).kinds == declared(application.registry).kinds
    assert registry.revision == application.registry.revision
    assert registry.services["invoices"].manifest == manifest()
    with engine.begin() as connection:
        entry = connection.execute(select(DESK_AUDIT)).one()
    assert (entry.actor, entry.action, entry.details["service"]) == (ACTOR, "apply_service", "invoices")


def test_a_dry_run_and_a_refusal_change_nothing(engine: Engine) -> None:
    with engine.begin() as connection:
        before = load_registry(connection)
    assert applied(engine, manifest(), is_dry_run=True).changes
    assert applied(engine, replace_service(manifest(), "status")).refusals
    with engine.begin() as connection:
        assert load_registry(connection) == before


def replace_service(stated: Manifest, service: str) -> Manifest:
    return stated.model_copy(update={"service": service})


def test_a_route_is_used_once_it_is_declared(engine: Engine) -> None:
    applied(engine, manifest())
    confirm(engine)
    second = applied(engine, manifest(service="archive"))
    assert second.registry.kind("invoice.requested").services == ("invoices",)
    assert confirm(engine) == 1
    with engine.begin() as connection:
        kind = load_registry(connection).kind("invoice.requested")
    assert (kind.services, kind.route.routing_key) == (("archive", "invoices"), "invoice.requested#2")
    assert confirm(engine) == 0


def confirm(engine: Engine) -> int:
    with engine.begin() as connection:
        (confirmed,) = confirm_declared(connection, [(load_registry(connection), NOON)])
    return confirmed


def test_a_service_with_open_tasks_is_not_retired(engine: Engine) -> None:
    task = new_task()
    with engine.begin() as connection:
        accept(connection, [Submission(task)])
    assert retired(engine, "email") == WorkLeft((task.id,), 1, 0)
    assert retired(engine, "email", tenant="acme") == WorkLeft((), 1, 0)
    with engine.begin() as connection:
        apply_events(connection, [reported(LifecycleType.COMPLETED, task.id)])
    application = retired(engine, "email")
    assert isinstance(application, Application)
    with engine.begin() as connection:
        registry = load_registry(connection)
    assert registry.kind("email.requested").is_retired
    assert registry.kind("user.created").routes[-1].services == ("sync",)
    assert registry.kind("email.requested").sensitive
    assert isinstance(retired(engine, "email"), NoSuchServiceError)
    assert isinstance(retired(engine, "nobody"), NoSuchServiceError)


def retired(
    engine: Engine, service: str, tenant: str | None = None
) -> Application | WorkLeft | NoSuchServiceError:
    with engine.begin() as connection:
        (answer,) = retire_services(connection, [RetireService(service, NOON, ACTOR, tenant)])
    return answer


def test_a_version_that_open_tasks_have_must_be_read(engine: Engine) -> None:
    task = new_task()
    with engine.begin() as connection:
        accept(connection, [Submission(task)])
        email = load_registry(connection).services["email"].manifest
    handles = tuple(
        handled.model_copy(update={"version": 2, "reads": (2,)})
        if handled.kind == "email.requested"
        else handled
        for handled in email.handles
    )
    newer = email.model_copy(update={"handles": handles, "release": "2"})
    (refusal,) = applied(engine, newer).refusals
    assert "1 open task of version 1" in refusal
    with engine.begin() as connection:
        apply_events(connection, [reported(LifecycleType.COMPLETED, task.id)])
    assert applied(engine, newer).refusals == ()


def test_two_who_register_at_once_take_turns(engine: Engine) -> None:
    with ThreadPoolExecutor(2) as threads:
        names = [f"team-{number}" for number in range(8)]
        list(threads.map(lambda name: applied(engine, manifest(service=name)), names))
    with engine.begin() as connection:
        registry = load_registry(connection)
        routes = registry.kind("invoice.requested").routes
    assert [route.generation for route in routes] == list(range(1, 9))
    assert sorted(routes[-1].services) == names


async def test_a_copy_is_read_when_it_has_changed_or_does_not_know_a_kind(
    records: Records, engine: Engine
) -> None:
    copy = RegistryCopy(records)
    assert await copy.refresh()
    assert not await copy.refresh()
    before = copy.current.kind("email.requested").current
    with pytest.raises(UnknownKindError):
        await copy.kind("invoice.requested")
    await asyncio.to_thread(applied, engine, manifest())
    assert (await copy.kind("invoice.requested")).services == ("invoices",)
    assert copy.current.kind("email.requested").current is before


async def test_a_reading_that_began_before_a_kind_was_registered_does_not_hide_it(
    records: Records, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = RegistryCopy(records)
    await copy.refresh()
    read, has_read, may_end = records.read, asyncio.Event(), asyncio.Event()

    async def slowly(query: Callable[[Connection], Any]) -> Any:
        found = await read(query)
        has_read.set()
        await may_end.wait()
        return found

    monkeypatch.setattr(records, "read", slowly)
    early = asyncio.create_task(copy.refresh())
    await has_read.wait()
    await asyncio.to_thread(applied, engine, manifest())
    asked = [asyncio.create_task(copy.kind("invoice.requested")) for _ in range(3)]
    await asyncio.sleep(0)
    monkeypatch.setattr(records, "read", read)
    may_end.set()
    await early

    assert {kind.services for kind in await asyncio.gather(*asked)} == {("invoices",)}
