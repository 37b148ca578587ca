"""Clients of the tour: for the gateway, as of any application, and for the stand-ins."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Final, Self, TypeVar

import httpx

from waybill import AsyncClient
from waybill.client import Task, TimelineEvent
from waybill_devstack.stack import StackFile
from waybill_devstack.tour.backstage import Backstage, ProcessesBackstage
from waybill_devstack.tour.narrator import TourError

Seen = TypeVar("Seen")

#: Seconds between two checks of a condition.
POLL_SECONDS = 0.1
#: Time limit of each step, in seconds.
PATIENCE_SECONDS = 30.0
#: Who acts here, in the audit trail.
ACTOR: Final = {"X-Actor": "tour"}


@dataclass(frozen=True, slots=True)
class Places:
    """Addresses of the stack, and access behind its API."""

    gateway: str
    mailbox: str
    crm: str
    backstage: Backstage
    #: Folder of the files that the tour makes.
    folder: Path

    @classmethod
    def of(cls, stack: StackFile) -> Self:
        """Returns those of a stack on this machine."""
        return cls(stack.gateway, stack.mailbox, stack.crm, ProcessesBackstage(stack), stack.state)


@dataclass(slots=True)
class World:
    """The running stack, seen from outside."""

    backstage: Backstage
    gateway: AsyncClient
    mailbox: httpx.AsyncClient
    crm: httpx.AsyncClient
    #: Marks what belongs to this tour, on a stack that has seen others.
    mark: str = field(default_factory=lambda: secrets.token_hex(3))

    @classmethod
    def of(cls, places: Places) -> Self:
        """Clients for a running stack."""

        def client(url: str) -> httpx.AsyncClient:
            return httpx.AsyncClient(base_url=url, timeout=PATIENCE_SECONDS, trust_env=False)

        gateway = AsyncClient(
            places.gateway,
            timeout=PATIENCE_SECONDS,
            headers=ACTOR,
            # Its own: a proxy that the environment names must not be asked for what runs here.
            transport=httpx.AsyncHTTPTransport(),
        )
        return cls(places.backstage, gateway, client(places.mailbox), client(places.crm))

    async def close(self) -> None:
        """Closes the clients."""
        await self.gateway.close()
        for client in (self.mailbox, self.crm):
            await client.aclose()

    async def outcome(self, task_id: str) -> Task:
        """The task once it has its outcome."""
        return await self.gateway.wait(task_id, PATIENCE_SECONDS)

    async def timeline(self, task_id: str) -> list[TimelineEvent]:
        """All that happened to the task."""
        return (await self.gateway.timeline(task_id)).events

    async def letter_of(self, task_id: str) -> dict[str, Any]:
        """The dead letter of a task, once the failure desk has taken it in."""

        async def taken_in() -> dict[str, Any] | None:
            listed = await self.gateway.call("GET", "/v1/dead-letters", params={"task": task_id})
            return next(iter(listed["items"]), None)

        return await until(f"the letter of task {task_id} at the failure desk", taken_in)

    async def mails_to(self, address: str) -> list[dict[str, Any]]:
        """The mails that arrived for an address."""
        answer = await self.mailbox.get("/api/messages")
        return [mail for mail in answer.raise_for_status().json() if address in mail["to"]]

    async def mail_to(self, address: str) -> dict[str, Any]:
        """The one mail for an address, once it has arrived."""

        async def arrived() -> dict[str, Any] | None:
            mails = await self.mails_to(address)
            return mails[0] if mails else None

        return await until(f"a mail to {address}", arrived)

    async def mail_faults(self, **fault: Any) -> None:
        """Sets a fault of the mailbox."""
        (await self.mailbox.post("/api/faults", json=fault)).raise_for_status()

    async def crm_faults(self, **fault: Any) -> None:
        """Sets a fault of the crm; clears all without arguments."""
        (await self.crm.post("/faults", json=fault)).raise_for_status()

    async def crm_record(self, record_id: str) -> dict[str, Any] | None:
        """The crm's record of this id."""
        records = (await self.crm.get("/records")).raise_for_status().json()
        return next((record for record in records if record["id"] == record_id), None)


async def until(what: str, look: Callable[[], Awaitable[Seen | None]]) -> Seen:
    """Polls `look` until it returns something.

    Raises:
        TourError: it did not come in time.
    """
    deadline = monotonic() + PATIENCE_SECONDS
    while monotonic() < deadline:
        if (seen := await look()) is not None:
            return seen
        await asyncio.sleep(POLL_SECONDS)
    raise TourError(f"waited {PATIENCE_SECONDS:g} s in vain for {what}")
