"""The second release: a new field that may be left out."""

from typing import Annotated

from pydantic import Field

from tests.end_to_end.team.books import Books, BooksSettings, InvoiceFiled, books, file_invoice, render
from waybill import Attempt, Event, Service


class InvoiceRequested(Event, kind="invoice.requested", about="invoice {order_id}"):
    """An invoice to be rendered."""

    order_id: Annotated[str, Field(max_length=40)]
    amount: int
    note: str | None = None


service = Service("invoices", settings=BooksSettings, resources=books, release="2")
service.emits(InvoiceFiled)
service.handles(InvoiceFiled)(file_invoice)


@service.handles(InvoiceRequested, attempts=3)
async def invoice(event: InvoiceRequested, attempt: Attempt, to: Books) -> dict[str, object]:
    """Renders an invoice."""
    return await render(event.order_id, attempt, to, release=2, note=event.note)
