"""A service as an outside team writes it, for tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from waybill import Attempt, Event, PermanentError, Person, Sensitive, Service, ServiceSettings, Snooze


class InvoiceRequested(Event, kind="invoice.requested", version=2, about="order {order_id}"):
    """An invoice to be rendered."""

    order_id: Annotated[str, Field(max_length=40)]
    email: Annotated[str, Sensitive, Person]
    currency: str


class InvoicePaid(Event, kind="invoice.paid"):
    order_id: str


class InvoiceSettings(ServiceSettings):
    shop_name: str = "a shop"
    retry_max_attempts: int = 7


@dataclass
class Shop:
    name: str
    calls: list[str] = field(default_factory=list)


@asynccontextmanager
async def shop(settings: InvoiceSettings) -> AsyncIterator[Shop]:
    if not settings.shop_name:
        raise ValueError("shop_name must not be empty")
    yield Shop(settings.shop_name)


service = Service("invoices", settings=InvoiceSettings, resources=shop, release="1.4.2")


@service.handles(InvoiceRequested, attempts=5, soft_limit=30, concurrency=8)
async def render(event: InvoiceRequested, attempt: Attempt, shop: Shop) -> dict[str, object]:
    if event.order_id == "unknown":
        raise PermanentError(f"there is no order {event.order_id}")
    if event.order_id == "early" and attempt.snooze_no == 0:
        raise Snooze(1, "the order is not closed")
    shop.calls.append(event.order_id)
    return {"shop": shop.name, "key": attempt.effect_key, "currency": event.currency}


@service.handles(InvoicePaid)
async def note(event: InvoicePaid, _attempt: Attempt) -> None:
    del event


@service.upcasts(InvoiceRequested, from_version=1)
def with_currency(data: dict[str, Any]) -> dict[str, Any]:
    return data | {"currency": "EUR"}


@service.task
async def remind(
    attempt: Attempt, shop: Shop, email: Annotated[str, Sensitive, Person], days: int = 3
) -> dict[str, object]:
    """Reminds a customer of an unpaid invoice.

    This is not part of the contract's description.
    """
    return {"shop": shop.name, "days": days, "attempt": attempt.attempt, "letters": len(email)}


@service.task(attempts=2, version=3)
async def close_month(month: str, *, regions: tuple[str, ...] = ()) -> dict[str, object]:
    return {"month": month, "regions": list(regions)}


service.emits(InvoicePaid)
