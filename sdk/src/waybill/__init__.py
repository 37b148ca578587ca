"""Background work for web applications: what applications and authors of services import.

An application submits tasks:

    from waybill import Client

    with Client("http://127.0.0.1:8000", api_key="wb_…") as client:
        client.submit("invoice.requested", {"order_id": "17"})

A service does them:

    from waybill import Attempt, Event, FileRef, Service

    class InvoiceRequested(Event, kind="invoice.requested"):
        order_id: str
        scan: FileRef | None = None

    service = Service("invoices")

    @service.handles(InvoiceRequested, attempts=5)
    async def render(event: InvoiceRequested, attempt: Attempt) -> dict[str, object]:
        ...

`waybill.client` has what the clients take and answer, `waybill.problems` their errors, `waybill.kinds` the
kinds that come with Waybill, `waybill.testing` what tests need. All that is not exported by one of these is
private.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from waybill.extras import needing

if TYPE_CHECKING:
    from waybill.attempt import Attempt, SyncAttempt
    from waybill.client import AsyncClient, Client, Submission
    from waybill.definition import DefinitionError, HandlerTask, Service
    from waybill.errors import PermanentError, RateLimited, Snooze, TransientError
    from waybill.submitting import default_client
    from waybill_contracts.events import Event, Person, Secret, Sensitive
    from waybill_contracts.files import FileRef
    from waybill_worker.consume import ServiceSettings

__all__ = [
    "AsyncClient",
    "Attempt",
    "Client",
    "DefinitionError",
    "Event",
    "FileRef",
    "HandlerTask",
    "PermanentError",
    "Person",
    "RateLimited",
    "Secret",
    "Sensitive",
    "Service",
    "ServiceSettings",
    "Snooze",
    "Submission",
    "SyncAttempt",
    "TransientError",
    "default_client",
]

#: An application that only needs an event must not load what runs a service.
_MODULES = {
    "waybill.attempt": ("Attempt", "SyncAttempt"),
    "waybill.client": ("AsyncClient", "Client", "Submission"),
    "waybill.definition": ("DefinitionError", "HandlerTask", "Service"),
    "waybill.submitting": ("default_client",),
    "waybill.errors": ("PermanentError", "RateLimited", "Snooze", "TransientError"),
    "waybill_contracts.events": ("Event", "Person", "Secret", "Sensitive"),
    "waybill_contracts.files": ("FileRef",),
    "waybill_worker.consume": ("ServiceSettings",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with needing("service"):
        value = globals()[name] = getattr(import_module(module), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
