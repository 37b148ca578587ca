"""Services as their authors write them."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cached_property, wraps
from importlib import import_module
from typing import Any, Concatenate, Final, Generic, NoReturn, TypeVar, Unpack, overload

from waybill.definition.contracts import DefinitionError, checked_service_name, is_async
from waybill.definition.decorators import EventT, Handles, P, PlainResultT, R, ResultT, Tasks
from waybill.definition.handler_tasks import HandlerTask
from waybill.definition.kinds import Handled, Kinds
from waybill.definition.options import HandlerOptions
from waybill.definition.releases import release_of
from waybill_contracts.events import Event
from waybill_contracts.registry import Manifest
from waybill_contracts.versions import Upcaster
from waybill_worker.attempt import Attempt, SyncAttempt, configured
from waybill_worker.consume import ServiceSettings
from waybill_worker.service import Service as ServiceProcess
from waybill_worker.service import application, run_service

SettingsT = TypeVar("SettingsT", bound=ServiceSettings)
UpcasterT = TypeVar("UpcasterT", bound=Upcaster)


class _Held(Generic[R]):
    """The resources while they are open."""

    value: R


class Service(Generic[R]):
    """A service: the kinds that it handles, and how.

        service = Service("invoices")

        @service.handles(InvoiceRequested, attempts=5, soft_limit=30)
        async def render(event: InvoiceRequested, attempt: Attempt) -> dict[str, object]:
            return {"pages": await draw(event.order_id, key=attempt.effect_key)}

    `waybill run invoices:service` runs it. It is defined at the top of a module.

    Args:
        name: small letters and digits, words joined by `-`.
        settings: class of its settings, which come from `WAYBILL_…` variables.
        resources: opens what the handlers use (connections, pools, models), from the settings; what it yields
            is the third argument of each handler that takes three. A ValueError that it raises ends the
            process with exit code 78: people must correct a setting.
        release: its version; None: that of the distribution that its module is installed from.
        metrics: `host:port` where the metrics of its processes are scraped; None: they are not.

    Raises:
        DefinitionError: the name is malformed, or one of Waybill's own.
    """

    @overload
    def __init__(
        self: "Service[None]",
        name: str,
        *,
        settings: type[ServiceSettings] = ...,
        release: str | None = ...,
        metrics: str | None = ...,
    ) -> None: ...

    @overload
    def __init__(
        self,
        name: str,
        *,
        settings: type[SettingsT],
        resources: Callable[[SettingsT], AbstractAsyncContextManager[R]],
        release: str | None = ...,
        metrics: str | None = ...,
    ) -> None: ...

    @overload
    def __init__(
        self,
        name: str,
        *,
        resources: Callable[[ServiceSettings], AbstractAsyncContextManager[R]],
        release: str | None = ...,
        metrics: str | None = ...,
    ) -> None: ...

    def __init__(
        self,
        name: str,
        *,
        settings: type[ServiceSettings] = ServiceSettings,
        resources: Callable[[Any], AbstractAsyncContextManager[Any]] | None = None,
        release: str | None = None,
        metrics: str | None = None,
    ) -> None:
        self.name: Final = checked_service_name(name)
        self.settings: Final = settings
        self._kinds = Kinds(name, settings, resources)
        self._release = release
        self._metrics = metrics
        # By which it is found again in the process that runs one attempt alone, as pickle finds a function.
        self._module: str = sys._getframe(1).f_globals["__name__"]  # noqa: SLF001 - as named tuples do

    def handles(self, event: type[EventT], /, **options: Unpack[HandlerOptions]) -> "Handles[EventT, R]":
        """Makes a function the handler of a kind.

        The function takes the event and the attempt, and the resources if the service has some. It returns
        the result of the subtask as a JSON object of at most 32 KiB, or None. The function itself stays as
        it is. A plain `def` function gets a `SyncAttempt`, and runs in a thread, or in a process.

        Args:
            event: the event of the kind.
            options: see `HandlerOptions`.

        Raises:
            DefinitionError: the contract could not be registered, an option is wrong, the function has other
                parameters, or the kind has a handler.
        """
        return Handles(self._kinds, event, options)

    @overload
    def task(
        self, function: Callable[Concatenate[Attempt, R, P], ResultT], /
    ) -> HandlerTask[Concatenate[Attempt, R, P], P, ResultT]: ...

    @overload
    def task(
        self, function: Callable[Concatenate[Attempt, P], ResultT], /
    ) -> HandlerTask[Concatenate[Attempt, P], P, ResultT]: ...

    @overload
    def task(
        self, function: Callable[Concatenate[SyncAttempt, R, P], PlainResultT], /
    ) -> HandlerTask[Concatenate[SyncAttempt, R, P], P, PlainResultT]: ...

    @overload
    def task(
        self, function: Callable[Concatenate[SyncAttempt, P], PlainResultT], /
    ) -> HandlerTask[Concatenate[SyncAttempt, P], P, PlainResultT]: ...

    @overload
    def task(self, function: Callable[P, ResultT], /) -> HandlerTask[P, P, ResultT]: ...

    @overload
    def task(self, function: Callable[P, PlainResultT], /) -> HandlerTask[P, P, PlainResultT]: ...

    @overload
    def task(self, /, *, version: int = ..., **options: Unpack[HandlerOptions]) -> "Tasks[R]": ...

    def task(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        version: int = 1,
        **options: Unpack[HandlerOptions],
    ) -> Any:
        """Makes a function a handler task: its contract is made from its parameters.

            @service.task
            async def remind(attempt: Attempt, email: Annotated[str, Sensitive, Person], days: int = 3): ...

        Its kind is `<service>.<function>`, here `invoices.remind`; `remind.event("ann@example.com")` is what
        to submit. If it wants the attempt, that is its first parameter; the resources come second. Its other
        parameters are fields: their types are what pydantic reads from JSON, and may have marks.

        Args:
            function: the function.
            version: of the contract; raise it with a change that an older message does not fit.
            options: see `HandlerOptions`.

        Raises:
            DefinitionError: a parameter cannot be a field, or as for `handles`.
        """
        tasks: Tasks[R] = Tasks(self._kinds, version, options)
        return tasks if function is None else tasks(function)

    def upcasts(self, event: type[Event], *, from_version: int) -> Callable[[UpcasterT], UpcasterT]:
        """Makes a function convert the data of an older version of a kind to the next version.

            @service.upcasts(InvoiceRequested, from_version=1)
            def with_currency(data: dict[str, Any]) -> dict[str, Any]:
                return data | {"currency": "EUR"}

        The service reads version n if there is an upcaster from n to n + 1, and so on to the current one.

        Raises:
            DefinitionError: the version is not older, or has an upcaster.
        """
        if not 1 <= from_version < event.VERSION:
            raise DefinitionError(
                f"from_version={from_version}: {event.KIND} is at version {event.VERSION}, "
                "and only older ones are converted"
            )

        def register(function: UpcasterT) -> UpcasterT:
            self._kinds.add_upcaster(event, from_version, function)
            return function

        return register

    def emits(self, *events: type[Event]) -> None:
        """States kinds of which the handlers submit tasks, for the readers of the registry."""
        for event in events:
            self._kinds.emit(event)

    def manifest(self, *, release: str | None = None) -> Manifest:
        """What the service states of itself when it is registered: the same for the same code.

        Args:
            release: instead of the service's own.

        Raises:
            DefinitionError: it handles nothing, or has an upcaster for a kind that it does not handle.
        """
        return self._kinds.manifest(release or self.release, self._metrics)

    def run(self) -> NoReturn:
        """Runs the service in this process until a signal stops it; the settings come from the environment.

        Exits with 0, with 78 if people must correct something before it can start, with 70 if it fails.
        """
        run_service(self.name, self.settings, self.process)

    @cached_property
    def app(self) -> ServiceProcess:
        """The FastStream application of this process: `faststream run invoices:service.app`.

        Made when it is first asked for, with settings from the environment; exits with 78 if one is wrong.
        """
        return application(self.name, self.settings, self.process)

    def process(self, settings: ServiceSettings) -> ServiceProcess:
        """What runs the service in this process, not yet started; for tests and other programs.

        Raises:
            DefinitionError: see `manifest`.
            ValueError: the settings contradict each other, or name a kind that it does not handle.
        """
        held: _Held[R] = _Held()
        handlers = tuple(
            configured(
                settings,
                handled.event,
                _bound(handled, held),
                handled.options.policy,
                processes=handled.options.processes,
            )
            for handled in self._kinds.handled()
        )
        opens = self._kinds.resources
        return ServiceProcess(
            self.name,
            settings,
            handlers,
            resources=None if opens is None else _opened(opens(settings), held),
            upcasters=self._kinds.upcasters,
            release=self.release,
        )

    def handler_of(self, event: type[Event]) -> Handled:
        """What handles an event, for test kits.

        Raises:
            DefinitionError: the service does not handle it.
        """
        return self._kinds.handler_of(event)

    @property
    def release(self) -> str:
        """Its version; `unreleased` if its module is not installed and nothing was said."""
        return self._release or release_of(self._module)

    def __reduce__(self) -> tuple[Any, ...]:
        module = sys.modules[self._module]
        for name, value in vars(module).items():
            if value is self:
                return _defined, (self._module, name)
        raise DefinitionError(f"{self.name} is not defined at the top of its module {self._module}")


@asynccontextmanager
async def _opened(resources: AbstractAsyncContextManager[R], held: _Held[R]) -> AsyncIterator[None]:
    async with resources as held.value:
        yield


def _bound(handled: Handled, held: _Held[Any]) -> Callable[..., Any]:
    """A handler that takes event and attempt only."""
    function = handled.function
    if not handled.takes_resources:
        return function

    @wraps(function)
    async def with_resources(event: Event, attempt: Attempt) -> Any:
        return await function(event, attempt, held.value)

    @wraps(function)
    def plain_with_resources(event: Event, attempt: SyncAttempt) -> Any:
        return function(event, attempt, held.value)

    return with_resources if is_async(function) else plain_with_resources


def _defined(module: str, name: str) -> Any:
    return getattr(import_module(module), name)
