"""The kinds of the team, and the system that its services write to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from tests.crash.team.names import COUNTED, PACKED, PLACED
from waybill import Attempt, Event, ServiceSettings, TransientError


class OrderPlaced(Event, kind=PLACED):
    """An order, which asks for parcels to be packed."""

    order_id: str


class OrderPacked(Event, kind=PACKED):
    """A parcel of an order."""

    order_id: str


class OrderCounted(Event, kind=COUNTED):
    """A count of all that an order needs, which may take hours."""

    order_id: str


class CrmSettings(ServiceSettings):
    """Settings of the team's services."""

    crm_url: str


@dataclass(frozen=True, slots=True)
class Crm:
    """The system that is written to; it recognises a repeat by its key."""

    client: httpx.AsyncClient

    async def write(self, attempt: Attempt, order_id: str) -> None:
        """Writes a record, once for each effect."""
        key = {"Idempotency-Key": attempt.effect_key}
        answer = await self.client.put(f"/orders/{order_id}", json={"order": order_id}, headers=key)
        if answer.is_error:
            raise TransientError(f"the crm answered {answer.status_code}")


@asynccontextmanager
async def crm(settings: CrmSettings) -> AsyncIterator[Crm]:
    """The system, while a service runs."""
    async with httpx.AsyncClient(base_url=settings.crm_url, timeout=60, trust_env=False) as client:
        yield Crm(client)
