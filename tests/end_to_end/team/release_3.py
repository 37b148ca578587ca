"""The third release: version 2 of the kind, and an upcaster of what follows version 1."""

from typing import Annotated, Any

from pydantic import Field

from tests.end_to_end.team.books import Books, BooksSettings, InvoiceFiled, books, file_invoice, render
from waybill import Attempt, Event, Service


class InvoiceRequested(Event, kind="invoice.requested", version=2, about="invoice {order_id}"):
    """An invoice to be rendered."""

    order_id: Annotated[str, Field(max_length=40)]
    amount: int
    currency: str
    note: str | None = None


service = Service("invoices", settings=BooksSettings, resources=books, release="3")
service.emits(InvoiceFiled)
service.handles(InvoiceFiled)(file_invoice)


@service.handles(InvoiceRequested, attempts=3)
async def invoice(event: InvoiceRequested, attempt: Attempt, to: Books) -> dict[str, object]:
    """Renders an invoice."""
    return await render(event.order_id, attempt, to, release=3, currency=event.currency)


@service.upcasts(InvoiceRequested, from_version=1)
def with_currency(data: dict[str, Any]) -> dict[str, Any]:
    """Version 1 knew one currency."""
    return data | {"currency": "EUR"}
