"""The registry as the ledger has it: read and written as a whole."""

from collections import defaultdict
from datetime import datetime

from sqlalchemy import Connection, select, update

from waybill_contracts.registry import Application, Contract, Kind, Manifest, Registry, Route, Service
from waybill_database import insert_into
from waybill_ledger.schema import CONTRACTS, KINDS, REGISTRY, ROUTES, SERVICES

#: Id of the only row.
_ONLY = 1


def revision_of_registry(connection: Connection) -> int:
    """Revision of the registry now."""
    revision: int = connection.execute(select(REGISTRY.c.revision)).scalar_one()
    return revision


def lock_registry(connection: Connection) -> None:
    """Waits until no other transaction changes the registry, and lets none do so until this one ends."""
    connection.execute(select(REGISTRY.c.revision).with_for_update()).scalar_one()


def load_registry(connection: Connection, earlier: Registry | None = None) -> Registry:
    """Reads the registry.

    Args:
        connection: to the ledger.
        earlier: a copy; its contracts, which are compiled, are used again where nothing has changed.
    """
    revision = revision_of_registry(connection)
    contracts = _contracts(connection, earlier or Registry())
    routes: defaultdict[str, list[Route]] = defaultdict(list)
    for row in connection.execute(select(ROUTES).order_by(ROUTES.c.kind, ROUTES.c.generation)):
        routes[row.kind].append(
            Route(row.kind, row.generation, row.routing_key, tuple(row.services), row.declared_at is not None)
        )
    kinds = {
        row.name: Kind(row.name, row.owner, contracts[row.name], tuple(routes[row.name]))
        for row in connection.execute(select(KINDS))
    }
    services = {
        row.name: Service(
            Manifest.model_validate_json(row.manifest),
            row.retired_at is not None,
            row.registered_at,
            row.updated_at,
        )
        for row in connection.execute(select(SERVICES))
    }
    return Registry(revision, kinds, services)


def store(
    connection: Connection, application: Application, service: str, now: datetime, actor: str | None
) -> None:
    """Writes what an application changes, and raises the revision; the caller holds the lock."""
    registry = application.registry
    for contract in application.contracts:
        known = insert_into(connection, KINDS).values(name=contract.kind, owner=service)
        connection.execute(known.on_conflict_do_nothing())
        row = insert_into(connection, CONTRACTS).values(
            kind=contract.kind,
            version=contract.version,
            data=contract.schema,
            secret=bool(contract.secret),
            registered_at=now,
        )
        connection.execute(
            row.on_conflict_do_update(
                index_elements=[CONTRACTS.c.kind, CONTRACTS.c.version],
                set_={"data": row.excluded.data, "secret": row.excluded.secret},
            )
        )
    for route in application.routes:
        added = insert_into(connection, ROUTES).values(_route_row(route))
        connection.execute(
            added.on_conflict_do_update(
                index_elements=[ROUTES.c.kind, ROUTES.c.generation],
                set_={"services": added.excluded.services},
            )
        )
    stored = registry.services[service]
    own = insert_into(connection, SERVICES).values(
        name=service,
        manifest=stored.manifest.text(),
        registered_at=now,
        updated_at=now,
        updated_by=actor,
        retired_at=now if stored.is_retired else None,
    )
    changed = {name: own.excluded[name] for name in ("manifest", "updated_at", "updated_by", "retired_at")}
    connection.execute(own.on_conflict_do_update(index_elements=[SERVICES.c.name], set_=changed))
    raise_revision(connection)


def raise_revision(connection: Connection) -> None:
    """Lets all copies be read anew."""
    connection.execute(
        update(REGISTRY).where(REGISTRY.c.id == _ONLY).values(revision=REGISTRY.c.revision + 1)
    )


def _contracts(connection: Connection, earlier: Registry) -> dict[str, dict[int, Contract]]:
    found: defaultdict[str, dict[int, Contract]] = defaultdict(dict)
    for row in connection.execute(select(CONTRACTS).order_by(CONTRACTS.c.kind, CONTRACTS.c.version)):
        kind = earlier.find(row.kind)
        before = None if kind is None else kind.contracts.get(row.version)
        is_same = before is not None and before.schema == row.data
        found[row.kind][row.version] = (
            before if is_same and before is not None else Contract(row.kind, row.version, row.data)
        )
    return found


def _route_row(route: Route) -> dict[str, object]:
    return {
        "kind": route.kind,
        "generation": route.generation,
        "routing_key": route.routing_key,
        "services": list(route.services),
        # A route to nobody has no bindings.
        "declared_at": None,
    }
