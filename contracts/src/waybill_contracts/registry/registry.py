"""The registry: which kinds there are, and which services handle them; an unchangeable copy."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from waybill_contracts.registry.contract import Contract
from waybill_contracts.registry.manifest import Manifest


class UnknownKindError(LookupError):
    """No service has registered this kind."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"there is no kind {kind}")
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Route:
    """Where the tasks of a kind go that are accepted while it is the current route."""

    kind: str
    #: Counted from 1: the next one has other services.
    generation: int
    #: Of the messages; each service's queue is bound to those of its routes.
    routing_key: str
    #: Each has a subtask of such a task.
    services: tuple[str, ...]
    #: Whether the broker is known to have its bindings.
    is_declared: bool = False
    #: Whether no task can have been accepted with it yet, so that it may still change.
    is_new: bool = False


@dataclass(frozen=True)
class Kind:
    """A kind of task: its contracts, and the services that each do one subtask of it."""

    name: str
    #: The service that registered it first; only this one may change its contract.
    owner: str
    #: By version; none is ever removed.
    contracts: Mapping[int, Contract]
    #: In order of their generation; the last one has no services if the kind is retired.
    routes: tuple[Route, ...]

    @cached_property
    def current(self) -> Contract:
        """The newest contract."""
        return self.contracts[max(self.contracts)]

    @cached_property
    def route(self) -> Route:
        """The route of tasks that are accepted now."""
        # Before any is declared nobody else can have handled the kind: the relay waits for its bindings.
        declared = [route for route in self.routes if route.is_declared]
        return (declared or self.routes)[-1] if self.routes[-1].services else self.routes[-1]

    @property
    def services(self) -> tuple[str, ...]:
        """Services that handle tasks that are accepted now; empty: it is retired."""
        return self.route.services

    @property
    def is_retired(self) -> bool:
        """Whether no service handles it any more."""
        return not self.routes[-1].services

    @cached_property
    def sensitive(self) -> frozenset[str]:
        """Names of the fields that are sensitive in any version."""
        return frozenset().union(*(contract.sensitive for contract in self.contracts.values()))

    @cached_property
    def secret(self) -> frozenset[str]:
        """Names of the fields that are secret in any version."""
        return frozenset().union(*(contract.secret for contract in self.contracts.values()))

    @cached_property
    def fields(self) -> frozenset[str]:
        """Names of the fields of any version."""
        return frozenset().union(*(contract.fields for contract in self.contracts.values()))

    def contract_of(self, dataschema: str) -> Contract | None:
        """The contract that a `dataschema` names; None: it is not registered."""
        return next((each for each in self.contracts.values() if each.dataschema == dataschema), None)


@dataclass(frozen=True, slots=True)
class Service:
    """A service that was registered, as its newest manifest states it."""

    manifest: Manifest
    is_retired: bool = False
    registered_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def name(self) -> str:
        """Its name."""
        return self.manifest.service

    def reads(self, kind: str) -> tuple[int, ...]:
        """Versions of a kind that it reads; empty: it does not handle the kind."""
        return () if self.is_retired else self.manifest.reads(kind)


@dataclass(frozen=True)
class Registry:
    """All kinds and services at one revision.

    registry = await copy.current()
    registry.kind("invoice.requested").services  # ("invoices",)
    """

    revision: int = 0
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)

    def kind(self, name: str) -> Kind:
        """The kind of this name, in use or retired.

        Raises:
            UnknownKindError: there is none.
        """
        try:
            return self.kinds[name]
        except KeyError:
            raise UnknownKindError(name) from None

    def find(self, name: str | None) -> Kind | None:
        """The kind of this name; None: there is none."""
        return None if name is None else self.kinds.get(name)

    @cached_property
    def work_services(self) -> tuple[str, ...]:
        """Names of all services that do, or did, subtasks: their queues exist."""
        return tuple(sorted(self.services))

    def kinds_of(self, service: str) -> tuple[str, ...]:
        """Kinds that a service handles, in order of their names."""
        known = self.services.get(service)
        return () if known is None or known.is_retired else known.manifest.kinds

    @cached_property
    def routes(self) -> Mapping[str, Route]:
        """All routes by their routing keys."""
        return {route.routing_key: route for kind in self.kinds.values() for route in kind.routes}

    @property
    def undeclared(self) -> Iterable[Route]:
        """Routes that the broker may not have the bindings of."""
        return (route for route in self.routes.values() if not route.is_declared)

    @cached_property
    def digest(self) -> str:
        """Differs between registries that allow or read different data; 16 hexadecimal digits."""
        stated = [
            *(f"{service.is_retired} {service.manifest.text()}" for service in self.services.values()),
            *(f"{kind.name} {version}" for kind in self.kinds.values() for version in kind.contracts),
        ]
        return hashlib.sha256("\n".join(sorted(stated)).encode()).hexdigest()[:16]

    def sensitive(self, kind: str | None) -> frozenset[str]:
        """Names of the sensitive fields of a kind; none of one that is unknown."""
        known = self.find(kind)
        return frozenset() if known is None else known.sensitive
