"""Answers about kinds and services, as the registry has them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from waybill_contracts.registry import Contract, HandledKind, Kind, Policy, Registry, Service
from waybill_gateway.http import Paged, Word


class ServiceState(StrEnum):
    """Whether tasks go to a service."""

    IN_USE = "in_use"
    RETIRED = "retired"


class Registering(BaseModel):
    """How a service is registered."""

    model_config = ConfigDict(extra="forbid")

    dry_run: bool = Field(default=False, description="Say what would change, and change nothing.")


class KindQuery(Paged):
    """Filters of the list of kinds."""

    service: Word | None = Field(None, description="Only kinds that this service handles.")


class KindLinks(BaseModel):
    """Where the kind is."""

    self: str


class KindView(BaseModel):
    """A kind, without its schemas."""

    name: str
    owner: str = Field(
        description="The service that registered it first: only this one changes its contract."
    )
    services: list[str] = Field(description="Each does a subtask of a task that is accepted now.")
    version: int = Field(description="Of the newest contract.")
    versions: list[int] = Field(description="All versions that were ever registered.")
    retired: bool = Field(description="Whether no service handles it any more.")
    declared: bool = Field(description="Whether the broker is known to have its newest bindings.")
    links: KindLinks

    @classmethod
    def of(cls, kind: Kind) -> Self:
        """A kind as lists show it."""
        return cls(**_facts_of(kind))


class KindPageView(BaseModel):
    """A page of kinds, in order of their names."""

    items: list[KindView]
    next_cursor: str | None


class ContractView(BaseModel):
    """The contract of one version of a kind."""

    version: int
    dataschema: str = Field(description="The CloudEvents attribute of messages with such data.")
    marks: dict[str, list[str]] = Field(
        description="Marks, each with the fields that have it: `sensitive` fields are sealed and masked, "
        "`secret` ones are also deleted after their use, `person` is whom the data is about, `file` refers "
        "to a stored file."
    )
    data: dict[str, Any] = Field(description="JSON Schema 2020-12 of the data.")

    @classmethod
    def of(cls, contract: Contract) -> Self:
        """A contract as the API shows it."""
        return cls(
            version=contract.version,
            dataschema=contract.dataschema,
            marks={mark: sorted(names) for mark, names in contract.marks.items() if names},
            data=contract.schema,
        )


class HandlerView(BaseModel):
    """How a service handles a kind."""

    service: str
    release: str
    reads: list[int] = Field(description="Versions that it reads.")
    policy: Policy

    @classmethod
    def of(cls, service: Service, handled: HandledKind) -> Self:
        """What the newest manifest of a service says of a kind."""
        return cls(
            service=service.name,
            release=service.manifest.release,
            reads=sorted(handled.reads),
            policy=handled.policy,
        )


class KindDetails(KindView):
    """A kind with its contracts and handlers."""

    contracts: list[ContractView] = Field(description="All versions, the newest first.")
    handlers: list[HandlerView]

    @classmethod
    def within(cls, registry: Registry, kind: Kind) -> Self:
        """A kind of a registry."""
        services = [registry.services[name] for name in kind.routes[-1].services]
        handled = [(each, each.manifest.handled(kind.name)) for each in services]
        return cls(
            **_facts_of(kind),
            contracts=[
                ContractView.of(kind.contracts[version]) for version in sorted(kind.contracts, reverse=True)
            ],
            handlers=[HandlerView.of(each, stated) for each, stated in handled if stated is not None],
        )


class ServiceLinks(BaseModel):
    """Where the service and its kinds are."""

    self: str
    kinds: str


class ServiceView(BaseModel):
    """A service that was registered."""

    name: str
    release: str
    state: ServiceState
    kinds: list[str] = Field(description="Kinds that it handles; none once it is retired.")
    emits: list[str] = Field(description="Kinds of the tasks that it asks for.")
    declared: bool = Field(description="Whether the broker is known to have the bindings of all its kinds.")
    registered_at: datetime | None
    updated_at: datetime | None
    links: ServiceLinks

    @classmethod
    def of(cls, registry: Registry, service: Service) -> Self:
        """A service of a registry, as lists show it."""
        return cls(**_facts_of_service(registry, service))


class ServicePageView(BaseModel):
    """A page of services, in order of their names."""

    items: list[ServiceView]
    next_cursor: str | None


class ServiceDetails(ServiceView):
    """A service with its newest manifest."""

    digest: str = Field(description="SHA-256 of the canonical text of the manifest, in hexadecimal.")
    manifest: dict[str, Any] = Field(description="As it was registered.")

    @classmethod
    def within(cls, registry: Registry, service: Service) -> Self:
        """A service of a registry."""
        manifest = service.manifest
        return cls(
            **_facts_of_service(registry, service),
            digest=manifest.digest(),
            manifest=manifest.model_dump(mode="json", exclude_defaults=True)
            | {"manifest": manifest.manifest},
        )


class RegisteredService(BaseModel):
    """What registering a service has changed, or would change."""

    service: str
    release: str
    changes: list[str] = Field(description="One line each; empty: all of it was registered already.")
    notes: list[str] = Field(description="What to know, one line each.")
    declared: bool = Field(
        description="Whether the broker is known to have the bindings of all its kinds. Until then tasks of "
        "a new kind wait, and tasks of a known kind go to the services that handled it before."
    )
    dry_run: bool = Field(description="Whether nothing was changed, because only the answer was wanted.")


class OpenWork(BaseModel):
    """Tasks of which a service has yet to do its subtask."""

    tasks: Annotated[int, Field(ge=0)] = Field(description="1001 stands for more than a thousand.")
    links: list[str] = Field(description="The oldest of those that the caller may see, at most 20.")


class RetiredService(BaseModel):
    """What retiring a service has changed."""

    service: str
    release: str
    changes: list[str] = Field(description="One line each.")
    notes: list[str] = Field(description="What to know, one line each.")
    late: OpenWork = Field(
        description="Tasks that were accepted before every process knew that the service is retired. They "
        "wait in its queue: let it run until it has done them."
    )


def is_declared(registry: Registry, service: Service) -> bool:
    """Whether the broker is known to have the bindings of all kinds of a service."""
    return all(registry.kind(kind).routes[-1].is_declared for kind in registry.kinds_of(service.name))


def _facts_of(kind: Kind) -> dict[str, Any]:
    return {
        "name": kind.name,
        "owner": kind.owner,
        "services": list(kind.services),
        "version": max(kind.contracts),
        "versions": sorted(kind.contracts),
        "retired": kind.is_retired,
        "declared": kind.is_retired or kind.routes[-1].is_declared,
        "links": KindLinks(self=f"/v1/kinds/{kind.name}"),
    }


def _facts_of_service(registry: Registry, service: Service) -> dict[str, Any]:
    name = service.name
    return {
        "name": name,
        "release": service.manifest.release,
        "state": ServiceState.RETIRED if service.is_retired else ServiceState.IN_USE,
        "kinds": list(registry.kinds_of(name)),
        "emits": sorted(service.manifest.emits),
        "declared": is_declared(registry, service),
        "registered_at": service.registered_at,
        "updated_at": service.updated_at,
        "links": ServiceLinks(self=f"/v1/services/{name}", kinds=f"/v1/kinds?service={name}"),
    }
