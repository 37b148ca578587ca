"""A release with changes that break callers and waiting messages, under the same version."""

from typing import Annotated

from pydantic import Field

from tests.end_to_end.team.books import Books, BooksSettings, InvoiceFiled, books, file_invoice, render
from waybill import Attempt, Event, Service


class InvoiceRequested(Event, kind="invoice.requested", about="invoice {order_id}"):
    """An invoice to be rendered."""

    order_id: Annotated[str, Field(max_length=10)]
    amount: str
    tax_id: str


service = Service("invoices", settings=BooksSettings, resources=books, release="broken")
service.emits(InvoiceFiled)
service.handles(InvoiceFiled)(file_invoice)


@service.handles(InvoiceRequested, attempts=3)
async def invoice(event: InvoiceRequested, attempt: Attempt, to: Books) -> dict[str, object]:
    """Renders an invoice."""
    return await render(event.order_id, attempt, to, tax_id=event.tax_id)
