"""Services as their authors write them."""

import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Concatenate, Final, Generic, NoReturn, TypeVar, Unpack, overload

from waybill.attempt import Attempt, SyncAttempt
from waybill.definition.contracts import DefinitionError, checked_service_name
from waybill.definition.decorators import EventT, Handles, P, PlainResultT, R, ResultT, Tasks
from waybill.definition.handler_tasks import HandlerTask
from waybill.definition.kinds import Handled, Kinds
from waybill.definition.options import HandlerOptions
from waybill.definition.releases import release_of
from waybill.extras import needing
from waybill_contracts.events import Event
from waybill_contracts.registry import Manifest

# A web application defines services, too, where it imports the functions whose tasks it submits. What runs
# them is imported where they are run.
if TYPE_CHECKING:
    from waybill_contracts.versions import Upcaster
    from waybill_worker.consume import ServiceSettings
    from waybill_worker.service import Service as ServiceProcess

SettingsT = TypeVar("SettingsT", bound="ServiceSettings")
UpcasterT = TypeVar("UpcasterT", bound="Upcaster")


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
        settings: "type[ServiceSettings]" = ...,
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
        resources: "Callable[[ServiceSettings], AbstractAsyncContextManager[R]]",
        release: str | None = ...,
        metrics: str | None = ...,
    ) -> None: ...

    def __init__(
        self,
        name: str,
        *,
        settings: "type[ServiceSettings] | None" = None,
        resources: Callable[[Any], AbstractAsyncContextManager[Any]] | None = None,
        release: str | None = None,
        metrics: str | None = None,
    ) -> None:
        self.name: Final = checked_service_name(name)
        self._settings = settings
        self._kinds = Kinds(name, settings, resources)
        self._release = release
        self._metrics = metrics
        # By which it is found again in the process that runs one attempt alone, as pickle finds a function.
        self._module: str = sys._getframe(1).f_globals["__name__"]  # noqa: SLF001 - as named tuples do

    def handles(self, event: type[EventT], /, **options: Unpack[HandlerOptions]) -> "Handles[EventT, R]":
        """Makes a function the handler of a kind.

            @service.handles(InvoiceRequested, attempts=5, soft_limit=30)
            async def render(event: InvoiceRequested, attempt: Attempt) -> dict[str, object]:
                return {"order": event.order_id}

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

            remind.submit("ann@example.com", days=7)

        Its kind is `<service>.<function>`, here `invoices.remind`; see `HandlerTask` for what it can do. If
        it wants the attempt, that is its first parameter; the resources come second. Its other parameters
        are fields: their types are what pydantic reads from JSON, and may have marks.

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
        """States kinds of which the handlers submit tasks, for the readers of the registry.

        service.emits(EmailRequested)
        """
        for event in events:
            self._kinds.emit(event)

    def manifest(self, *, release: str | None = None) -> Manifest:
        """What the service states of itself when it is registered: the same for the same code.

            print(service.manifest(release="1.5.0").text())

        Args:
            release: instead of the service's own.

        Raises:
            DefinitionError: it handles nothing, has an upcaster for a kind that it does not handle, or has a
                contract that cannot be compiled.
        """
        with needing("service"):
            return self._kinds.manifest(release or self.release, self._metrics)

    def run(self) -> NoReturn:
        """Runs the service in this process until a signal stops it; the settings come from the environment.

            if __name__ == "__main__":
                service.run()

        Exits with 0, with 78 if people must correct something before it can start, with 70 if it fails.
        """
        with needing("service"):
            from waybill_worker.service import run_service  # noqa: PLC0415 - see above

        run_service(self.name, self.settings, self.process)

    @cached_property
    def app(self) -> "ServiceProcess":
        """The FastStream application of this process: `faststream run invoices:service.app`.

        Made when it is first asked for, with settings from the environment; exits with 78 if one is wrong.
        """
        with needing("service"):
            from waybill_worker.service import application  # noqa: PLC0415 - see above

        return application(self.name, self.settings, self.process)

    def process(self, settings: "ServiceSettings") -> "ServiceProcess":
        """What runs the service in this process, not yet started; for tests and other programs.

        Raises:
            DefinitionError: see `manifest`.
            ValueError: the settings contradict each other, or name a kind that it does not handle.
        """
        with needing("service"):
            from waybill.definition.running import process_of  # noqa: PLC0415 - see above

        return process_of(self.name, settings, self._kinds, self.release)

    @property
    def settings(self) -> "type[ServiceSettings]":
        """Class of its settings."""
        if self._settings is not None:
            return self._settings
        with needing("service"):
            from waybill_worker.consume import ServiceSettings  # noqa: PLC0415 - see above

        return ServiceSettings

    def handler_of(self, event: type[Event]) -> Handled:
        """What handles an event, for test kits.

        Raises:
            DefinitionError: the service does not handle it.
        """
        return self._kinds.handler_of(event)

    @property
    def events(self) -> tuple[type[Event], ...]:
        """Classes of the events that it handles, for test kits."""
        return self._kinds.events

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


def _defined(module: str, name: str) -> Any:
    return getattr(import_module(module), name)
