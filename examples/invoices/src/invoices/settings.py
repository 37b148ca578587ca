"""The settings of the service, and what its handlers use of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from waybill import ServiceSettings


class InvoiceSettings(ServiceSettings):
    """`WAYBILL_SHOP_NAME` and `WAYBILL_INVOICE_LINK`, beside the settings of every service."""

    shop_name: str = "The corner shop"
    #: Page of the shop where a customer downloads an invoice. The shop fetches the file from Waybill with its
    #: own key: GET /v1/tasks/{task_id}/files/invoice.pdf.
    invoice_link: str = "https://shop.example.com/invoices/{task_id}"


@dataclass(frozen=True)
class Sender:
    """Who sends the invoices."""

    name: str
    link: str

    def link_to(self, task_id: str) -> str:
        """The customer's link to the invoice that a task has made."""
        return self.link.format(task_id=task_id)


@asynccontextmanager
async def sender(settings: InvoiceSettings) -> AsyncIterator[Sender]:
    """Opens what the handlers use; a wrong setting ends the process before it takes any work."""
    if "{task_id}" not in settings.invoice_link:
        raise ValueError("WAYBILL_INVOICE_LINK must contain {task_id}")
    yield Sender(settings.shop_name, settings.invoice_link)
