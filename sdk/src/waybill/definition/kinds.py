"""The kinds of a service: what it handles, reads and emits, and its manifest."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import ValidationError

from waybill.definition.contracts import DefinitionError, contract_of, require_registrable
from waybill.definition.options import Options
from waybill_contracts.events import Event
from waybill_contracts.registry import Contract, HandledKind, Manifest

if TYPE_CHECKING:
    from waybill_contracts.versions import Upcaster, Upcasters
    from waybill_worker.consume import ServiceSettings

#: Opens what the handlers of a service use, from its settings.
OpensResources = Callable[[Any], AbstractAsyncContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Handled:
    """A kind that the service handles."""

    event: type[Event]
    contract: Contract
    #: Takes event and attempt, and perhaps the resources.
    function: Callable[..., Any]
    takes_resources: bool
    options: Options


class Kinds:
    """The kinds of one service, which its decorators add.

    Args:
        service: its name.
        settings: class of its settings; None: that of every service.
        resources: opens its resources; None: it has none.
    """

    def __init__(
        self, service: str, settings: "type[ServiceSettings] | None", resources: OpensResources | None
    ) -> None:
        self.service = service
        self.settings = settings
        self.resources = resources
        self._handled: dict[str, Handled] = {}
        self._upcasters: dict[tuple[str, int], Upcaster] = {}
        self._emitted: set[str] = set()

    def add(
        self, event: type[Event], function: Callable[..., Any], options: Options, *, takes_resources: bool
    ) -> None:
        """Adds a handler.

        Raises:
            DefinitionError: the contract could not be registered, or the kind has a handler.
        """
        contract = contract_of(event)
        if contract.kind in self._handled:
            raise DefinitionError(f"{contract.kind} has a handler: a service handles a kind once")
        self._handled[contract.kind] = Handled(event, contract, function, takes_resources, options)

    def add_upcaster(self, event: type[Event], from_version: int, function: "Upcaster") -> None:
        """Adds an upcaster.

        Raises:
            DefinitionError: the version has one.
        """
        if (event.KIND, from_version) in self._upcasters:
            raise DefinitionError(f"version {from_version} of {event.KIND} has an upcaster already")
        self._upcasters[event.KIND, from_version] = function

    def emit(self, event: type[Event]) -> None:
        """Adds a kind that the service emits."""
        self._emitted.add(contract_of(event).kind)

    @property
    def upcasters(self) -> "Upcasters":
        """Its own upcasters, and those of the built-in kinds."""
        # Where the service runs: to define one must not load what reads messages.
        from waybill_contracts.versions import UPCASTERS  # noqa: PLC0415

        return {**UPCASTERS, **self._upcasters}

    def handled(self) -> tuple[Handled, ...]:
        """What it handles, in order of the kinds.

        Raises:
            DefinitionError: nothing; there is an upcaster for a kind that it does not handle; or a contract
                cannot be compiled.
        """
        if not self._handled:
            raise DefinitionError(f"{self.service} handles no kind: use @service.handles or @service.task")
        if strange := sorted({kind for kind, _ in self._upcasters} - self._handled.keys()):
            raise DefinitionError(f"upcasters of {', '.join(strange)}, which {self.service} does not handle")
        for handled in self._handled.values():
            require_registrable(handled.contract, handled.event)
        return tuple(self._handled[kind] for kind in sorted(self._handled))

    @property
    def events(self) -> tuple[type[Event], ...]:
        """Classes of the events that it handles."""
        return tuple(handled.event for handled in self._handled.values())

    def handler_of(self, event: type[Event]) -> Handled:
        """What handles an event.

        Raises:
            DefinitionError: the service does not handle it.
        """
        handled = self._handled.get(getattr(event, "KIND", ""))
        if handled is None:
            known = ", ".join(sorted(self._handled)) or "nothing"
            raise DefinitionError(f"{self.service} does not handle {event.__name__}, only {known}")
        return handled

    def manifest(self, release: str, metrics: str | None) -> Manifest:
        """What the service states of itself.

        Raises:
            DefinitionError: see `handled`; or release or address is malformed.
        """
        handles = tuple(
            HandledKind(
                kind=handled.contract.kind,
                version=handled.contract.version,
                reads=self._reads(handled.event),
                data=handled.contract.schema,
                policy=handled.options.stated(self.settings),
            )
            for handled in self.handled()
        )
        try:
            return Manifest(
                service=self.service,
                release=release,
                handles=handles,
                emits=tuple(sorted(self._emitted)),
                metrics=metrics,
            )
        except ValidationError as error:
            faults = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
            raise DefinitionError("; ".join(faults)) from None

    def resources_type(self) -> Any:
        """Type of the resources, from the annotation of what opens them.

        Raises:
            DefinitionError: it has none.
        """
        hint = get_type_hints(self.resources).get("return")
        arguments = getattr(hint, "__args__", ())
        if not arguments:
            raise DefinitionError(
                f"say what the resources of {self.service} are: async def …(settings) -> AsyncIterator[TYPE]"
            )
        return arguments[0]

    def _reads(self, event: type[Event]) -> tuple[int, ...]:
        upcasters, oldest = self.upcasters, event.VERSION
        while (event.KIND, oldest - 1) in upcasters:
            oldest -= 1
        return tuple(range(oldest, event.VERSION + 1))
