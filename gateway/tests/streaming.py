"""A gateway in this process that is reached over a socket, and streams of it."""

import json
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Connection

from waybill_contracts.wire.lifecycle import LifecycleEvent
from waybill_gateway.process import GatewayProcess
from waybill_gateway.runtime import Resources
from waybill_ledger import apply_events
from waybill_testkit.gateway.in_process import EMAIL, settings_in

#: Seconds for anything that a stream is waited for.
PATIENCE = 30.0


@dataclass(frozen=True)
class Event:
    """A Server-Sent Event."""

    id: str
    name: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Served:
    """A gateway that is reached over a socket."""

    process: GatewayProcess
    client: httpx.AsyncClient
    #: Where it listens.
    address: tuple[str, int]

    @property
    def state(self) -> Any:
        """Of its application."""
        return self.process._app.state  # noqa: SLF001 - the process hands it to nobody

    @property
    def resources(self) -> Resources:
        """Its connections and pools."""
        resources: Resources = self.state.resources
        return resources

    def measured(self, name: str, **labels: str) -> float:
        """A metric."""
        return self.state.registry.get_sample_value(name, labels) or 0.0

    async def accepted(self, **headers: str) -> str:
        """Id of a new task."""
        answer = await self.client.post("/v1/emails", json=EMAIL, headers=headers)
        task_id: str = answer.json()["id"]
        return task_id

    async def happened(self, *events: LifecycleEvent) -> None:
        """Merges events into the ledger, as the status service does."""

        def apply(connection: Connection, batches: Sequence[tuple[LifecycleEvent, ...]]) -> list[None]:
            apply_events(connection, [event for batch in batches for event in batch])
            return [None] * len(batches)

        await self.resources.records.write(apply, events)

    @asynccontextmanager
    async def stream(self, path: str, **headers: str) -> AsyncIterator["Stream"]:
        """A stream that has begun; names of headers have underscores for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.stream("GET", path, headers=named) as answer:
            assert answer.status_code == 200, (await answer.aread(), answer.status_code)
            yield Stream(answer)


class Stream:
    """What is read of a stream."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.comments: list[str] = []
        #: Id of the last event, as a browser keeps it.
        self.last_id = ""
        self._lines = answer.aiter_lines()

    async def next(self) -> Event | None:
        """The next event with data; None: the stream has ended."""
        name, data = "message", None
        async for line in self._lines:
            field, _, value = line.partition(": ")
            if line.startswith(":"):
                self.comments.append(line)
            elif field == "id":
                self.last_id = value
            elif field == "event":
                name = value
            elif field == "data":
                data = json.loads(value)
            elif not line and data is not None:
                return Event(self.last_id, name, data)
            elif not line:
                name = "message"
        return None

    async def take(self, number: int) -> list[Event]:
        """The next events with data."""
        taken = [await self.next() for _ in range(number)]
        return [event for event in taken if event is not None]

    async def rest(self) -> list[Event]:
        """The events until the end of the stream."""
        events: list[Event] = []
        while (event := await self.next()) is not None:
            events.append(event)
        return events


@asynccontextmanager
async def served(folder: Path, ledger_url: str, **changes: Any) -> AsyncIterator[Served]:
    """Runs a gateway over a socket for the time of the block; `changes` as `settings_in` takes them."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address: tuple[str, int] = listener.getsockname()
        # Its own, which the gateway closes.
        duplicate = listener.dup()
        settings = {"listener_fd": duplicate.detach(), "drain_seconds": 0, "ledger_url": ledger_url}
        process = GatewayProcess(settings_in(folder, **settings | changes))
        try:
            await process.start()
            limits = httpx.Limits(max_connections=None)
            async with httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{address[1]}", timeout=PATIENCE, trust_env=False, limits=limits
            ) as client:
                yield Served(process, client, address)
        finally:
            await process.stop()
