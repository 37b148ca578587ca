"""Applying a manifest to a registry: what changes, or why it is refused. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from waybill_contracts.registry.compatibility import breaking_changes
from waybill_contracts.registry.contract import Contract
from waybill_contracts.registry.manifest import HandledKind, Manifest
from waybill_contracts.registry.registry import Kind, Registry, Route, Service
from waybill_contracts.registry.schema_rules import schema_faults

#: Names of Waybill's own processes, queues, exchanges and databases.
RESERVED: Final = frozenset(
    {"admin", "administrator", "cancellations", "control", "deadletters", "delay", "dlx", "events", "gateway"}
    | {"grafana", "ledger", "migrate", "operator", "postgres", "prometheus", "rabbitmq", "relay", "root"}
    | {"status", "system", "targets", "tasks", "ui", "unrouted", "waybill"}
)


@dataclass(frozen=True, slots=True)
class Use:
    """Something that a service has yet to read."""

    kind: str
    version: int
    #: How many, and of what: "3 open tasks".
    what: str


@dataclass(frozen=True, slots=True)
class Application:
    """What applying a manifest would do."""

    #: Why it is refused, one line each; empty: it is not.
    refusals: tuple[str, ...]
    #: What changes, one line each; empty: nothing does.
    changes: tuple[str, ...]
    #: What to know, one line each.
    notes: tuple[str, ...]
    #: Contracts to add or replace.
    contracts: tuple[Contract, ...]
    #: Routes to add.
    routes: tuple[Route, ...]
    #: The registry afterwards; unchanged if it is refused.
    registry: Registry


def apply(registry: Registry, manifest: Manifest, uses: Iterable[Use] = ()) -> Application:
    """What a registry becomes with a manifest.

    Args:
        registry: as it is.
        manifest: of a new service, or of a new release of a known one.
        uses: what the service has yet to read.
    """
    refusals = tuple(_refusals(registry, manifest, uses))
    notes = tuple(_notes(registry, manifest))
    if refusals:
        return Application(refusals, (), notes, (), (), registry)
    contracts = tuple(
        handled.contract for handled in manifest.handles if _brings_contract(registry, manifest, handled)
    )
    routes = tuple(_new_routes(registry, manifest.service, manifest.kinds))
    changes = tuple(_changes(registry, manifest, contracts, routes))
    after = _with(registry, manifest, contracts, routes) if changes else registry
    return Application((), changes, notes, contracts, routes, after)


def retire(registry: Registry, service: str) -> Application:
    """What a registry becomes without a service.

    Raises:
        LookupError: there is no such service in use.
    """
    known = registry.services.get(service)
    if known is None or known.is_retired:
        raise LookupError(f"there is no service {service} in use")
    routes = tuple(_new_routes(registry, service, ()))
    services = {**registry.services, service: replace(known, is_retired=True)}
    after = Registry(registry.revision + 1, _routed(registry.kinds, routes), services)
    changes = (f"{service} is retired", *(_described(route) for route in routes))
    return Application((), changes, (), (), routes, after)


def registry_of(*manifests: Manifest) -> Registry:
    """The registry of some services, with all routes declared.

    Raises:
        ValueError: they contradict each other.
    """
    registry = Registry()
    for manifest in manifests:
        application = apply(registry, manifest)
        if application.refusals:
            raise ValueError(f"{manifest.service}: {'; '.join(application.refusals)}")
        registry = application.registry
    return declared(registry)


def declared(registry: Registry) -> Registry:
    """The registry with all routes declared."""
    kinds = {
        name: replace(kind, routes=tuple(map(_declared, kind.routes)))
        for name, kind in registry.kinds.items()
    }
    return replace(registry, kinds=kinds)


def _declared(route: Route) -> Route:
    return replace(route, is_declared=True, is_new=False)


def _refusals(registry: Registry, manifest: Manifest, uses: Iterable[Use]) -> Iterator[str]:
    if manifest.service in RESERVED:
        yield f"{manifest.service} is a name of Waybill's own: choose another"
    for handled in manifest.handles:
        faults = schema_faults(handled.data)
        yield from (f"{handled.kind}: {fault}" for fault in faults)
        known = registry.find(handled.kind)
        # Only a schema that is sound can be compared.
        if known is not None and not faults:
            yield from _contract_refusals(known, manifest.service, handled)
    for use in uses:
        if use.version not in manifest.reads(use.kind):
            yield f"{use.kind}: {use.what} of version {use.version}, which this release does not read"


def _contract_refusals(known: Kind, service: str, handled: HandledKind) -> Iterator[str]:
    kind, version, owner = known.name, handled.version, known.owner
    before = known.contracts.get(version)
    changes = [] if before is None else breaking_changes(before.schema, handled.data)
    if owner == service:
        if version < (newest := max(known.contracts)):
            yield f"{kind}: version {newest} is registered, and a release cannot go back to {version}"
        for change in (*changes, *_lost_marks(before, handled)):
            yield f"{kind}: version {version} cannot change so, raise the version ({change})"
    elif before is None:
        yield f"{kind} belongs to {owner}, which has registered no version {version}"
    for change in changes if owner != service else ():
        yield f"{kind} belongs to {owner}, whose contract allows more than this one ({change})"


def _lost_marks(before: Contract | None, handled: HandledKind) -> Iterator[str]:
    """What stored data of the version would no longer be hidden or deleted for."""
    if before is None:
        return
    after = handled.contract
    for mark, lost in (
        ("secret", before.secret - after.secret),
        ("sensitive", before.sensitive - after.sensitive),
    ):
        for name in sorted(lost):
            yield f".{name}: the mark {mark} was removed"


def _notes(registry: Registry, manifest: Manifest) -> Iterator[str]:
    for handled in manifest.handles:
        kind, version = handled.kind, handled.version
        known = registry.find(kind)
        for other in () if known is None else known.routes[-1].services:
            if other == manifest.service:
                continue
            if version not in registry.services[other].reads(kind):
                yield f"{kind}: {other} does not read version {version} yet, and waits until it does"
            elif known is not None and known.owner == manifest.service:
                yield from _narrower_elsewhere(registry.services[other], handled)
    for kind in manifest.emits:
        if manifest.handled(kind) is None and registry.find(kind) is None:
            yield f"{kind}, which this service emits, is not registered yet"


def _narrower_elsewhere(other: Service, handled: HandledKind) -> Iterator[str]:
    """What another service would refuse of a contract that its owner has widened."""
    theirs = other.manifest.handled(handled.kind)
    if theirs is None or theirs.version != handled.version or schema_faults(handled.data):
        return
    for change in breaking_changes(handled.data, theirs.data):
        yield f"{handled.kind}: {other.name} may refuse what version {handled.version} now allows ({change})"


def _brings_contract(registry: Registry, manifest: Manifest, handled: HandledKind) -> bool:
    known = registry.find(handled.kind)
    if known is None:
        return True
    before = known.contracts.get(handled.version)
    return known.owner == manifest.service and (before is None or before.schema != handled.data)


def _new_routes(registry: Registry, service: str, handled: Iterable[str]) -> Iterator[Route]:
    """Routes of the kinds that get or lose this service."""
    for name in sorted(handled):
        kind = registry.find(name)
        services = () if kind is None else kind.routes[-1].services
        if service not in services:
            yield _route(name, kind, tuple(sorted((*services, service))))
    for name, kind in sorted(registry.kinds.items()):
        services = kind.routes[-1].services
        if service in services and name not in handled:
            yield _route(name, kind, tuple(each for each in services if each != service))


def _route(name: str, kind: Kind | None, services: tuple[str, ...]) -> Route:
    last = None if kind is None else kind.routes[-1]
    if last is not None and last.is_new:
        return replace(last, services=services)
    generation = 1 if last is None else last.generation + 1
    key = name if generation == 1 else f"{name}#{generation}"
    return Route(name, generation, key, services, is_new=True)


def _changes(
    registry: Registry, manifest: Manifest, contracts: Iterable[Contract], routes: Iterable[Route]
) -> Iterator[str]:
    before = registry.services.get(manifest.service)
    if before is None or before.is_retired:
        yield f"{manifest.service} {manifest.release} is {'new' if before is None else 'in use again'}"
    elif before.manifest.release != manifest.release:
        yield f"{manifest.service} {before.manifest.release} becomes {manifest.release}"
    elif before.manifest != manifest:
        yield f"{manifest.service} {manifest.release} has another manifest"
    for contract in contracts:
        kind = registry.find(contract.kind)
        is_new = kind is None or contract.version not in kind.contracts
        yield f"{contract.kind}: version {contract.version} is {'new' if is_new else 'widened'}"
    yield from map(_described, routes)


def _described(route: Route) -> str:
    return f"{route.kind}: tasks go to {', '.join(route.services) or 'nobody: it is retired'}"


def _with(
    registry: Registry, manifest: Manifest, contracts: Iterable[Contract], routes: Iterable[Route]
) -> Registry:
    kinds = dict(registry.kinds)
    for contract in contracts:
        before = kinds.get(contract.kind)
        earlier = {} if before is None else before.contracts
        kinds[contract.kind] = Kind(
            contract.kind,
            manifest.service if before is None else before.owner,
            {**earlier, contract.version: contract},
            () if before is None else before.routes,
        )
    known = registry.services.get(manifest.service, Service(manifest))
    service = replace(known, manifest=manifest, is_retired=False)
    return Registry(
        registry.revision + 1, _routed(kinds, routes), {**registry.services, manifest.service: service}
    )


def _routed(kinds: Mapping[str, Kind], routes: Iterable[Route]) -> Mapping[str, Kind]:
    after = dict(kinds)
    for route in routes:
        others = (each for each in after[route.kind].routes if each.generation != route.generation)
        after[route.kind] = replace(after[route.kind], routes=(*others, route))
    return after
