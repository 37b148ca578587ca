"""What all releases have in common: the system that they write to, and their handlers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import httpx

from waybill import Attempt, Event, PermanentError, ServiceSettings, TransientError

#: Beginnings of the orders that fail for good, and that fail at their first attempt.
UNKNOWN: Final = "unknown"
BUSY: Final = "busy"


class BooksSettings(ServiceSettings):
    """Settings of the service."""

    books_url: str


@dataclass
class Books:
    """The system of another department, which recognises a repeat by its key."""

    client: httpx.AsyncClient

    async def write(self, attempt: Attempt, shelf: str, order_id: str, **record: object) -> None:
        """Writes a record, once for each effect."""
        key = {"Idempotency-Key": attempt.effect_key}
        answer = await self.client.put(f"/{shelf}/{order_id}", json=record, headers=key)
        if answer.is_error:
            raise TransientError(f"the books answered {answer.status_code}")


@asynccontextmanager
async def books(settings: BooksSettings) -> AsyncIterator[Books]:
    """The books, while the service runs."""
    async with httpx.AsyncClient(base_url=settings.books_url, timeout=60, trust_env=False) as client:
        yield Books(client)


class InvoiceFiled(Event, kind="invoice.filed", about="invoice {order_id}"):
    """An invoice to be put on file: the second kind, which each invoice asks for."""

    order_id: str


async def file_invoice(event: InvoiceFiled, attempt: Attempt, to: Books) -> None:
    """Puts an invoice on file."""
    await to.write(attempt, "files", event.order_id)


async def render(order_id: str, attempt: Attempt, to: Books, **facts: object) -> dict[str, object]:
    """Writes an invoice, and asks for it to be put on file."""
    if order_id.startswith(UNKNOWN):
        raise PermanentError(f"there is no order {order_id}")
    if order_id.startswith(BUSY) and attempt.attempt == 1:
        raise TransientError("the order is being changed")
    attempt.submit(InvoiceFiled(order_id=order_id))
    await attempt.progress(0.5, "drawn")
    await to.write(attempt, "invoices", order_id, **facts)
    return dict(facts)
