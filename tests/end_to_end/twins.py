"""Two of each that may run twice, on one PostgreSQL and one broker, and callers who use both gateways."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from tests.end_to_end.stack import POLL_SECONDS
from waybill_devstack.stack.plan import Planned, Ports, make_plan, url
from waybill_ledger.migrations.migrate import upgrade
from waybill_testkit.eventually import eventually
from waybill_testkit.machine import ForkedProcess, free_ports
from waybill_testkit.postgres.private import InstalledPostgres

PATIENCE = 240.0
#: What is there twice; the rest is the outside world, and a service that is not what this is about.
TWICE = ("status", "deadletters", "email", "gateway")
ONCE = ("mailbox", "crm", "sync")
#: Seconds after which a caller repeats what was not answered.
REPEAT_SECONDS = 0.1


@dataclass
class Twins:
    """All of it, running."""

    folder: Path
    gateways: list[httpx.AsyncClient]
    mailbox: httpx.AsyncClient
    crm: httpx.AsyncClient
    #: Answers that said the ledger is away, and calls that found no gateway.
    asked_to_repeat: int = 0
    found_no_process: int = 0
    running: dict[tuple[str, int], ForkedProcess] = field(default_factory=dict)
    planned: dict[tuple[str, int], Planned] = field(default_factory=dict)

    def start(self, number: int, planned: Planned) -> None:
        """Starts a process, the first or the second of its sort."""
        self.planned[planned.name, number] = planned
        _python, _dash_m, module, *arguments = planned.argv
        self.running[planned.name, number] = ForkedProcess(
            module,
            *arguments,
            env=os.environ | planned.env,
            log=self.folder / f"{planned.name}-{number}.log",
        )

    async def start_again(self, name: str, number: int) -> None:
        """Starts one that was killed, and waits until it is ready."""
        planned = self.planned[name, number]
        self.start(number, planned)
        await _ready(self, planned.ready_url)

    def kill(self, name: str, number: int) -> None:
        """Ends a process at once."""
        process = self.running.pop((name, number))
        process.kill()
        process.wait()

    def ended(self) -> dict[tuple[str, int], int]:
        """The processes that have ended by themselves, with their exit codes."""
        codes = {key: process.poll() for key, process in self.running.items()}
        return {key: code for key, code in codes.items() if code is not None}

    async def retry_until_success(
        self, path: str, body: dict[str, Any], key: str, first: int = 0
    ) -> dict[str, Any]:
        """Posts until it is accepted, to one gateway and the other in turn; what is asked for by one key."""
        async with asyncio.timeout(PATIENCE):
            while True:
                gateway = self.gateways[first % len(self.gateways)]
                first += 1
                try:
                    answer = await gateway.post(path, json=body, headers={"Idempotency-Key": key})
                except httpx.TransportError:
                    self.found_no_process += 1
                    await asyncio.sleep(REPEAT_SECONDS)
                    continue
                if answer.is_success:
                    accepted: dict[str, Any] = answer.json()
                    return accepted
                # 409: the same call is being answered, which the other half of a race may have made.
                assert answer.status_code in {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.CONFLICT}, (
                    answer.text
                )
                assert "Retry-After" in answer.headers
                self.asked_to_repeat += answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
                await asyncio.sleep(REPEAT_SECONDS)

    async def get(self, path: str) -> Any:
        """Asks whichever gateway answers."""
        for gateway in self.gateways:
            try:
                return (await gateway.get(path)).raise_for_status().json()
            except httpx.TransportError:
                continue
        raise AssertionError("no gateway answers")


@asynccontextmanager
async def twins(folder: Path, amqp_url: str, server: InstalledPostgres) -> AsyncIterator[Twins]:
    """Starts them; each ends with the block."""
    with ExitStack() as stack:
        databases: dict[str, str] = {}

        def database(name: str) -> str:
            if name not in databases:
                databases[name] = stack.enter_context(server.database())
            return databases[name]

        first, second = _ports()
        plans = [make_plan(folder, amqp_url, ports, database=database) for ports in (first, second)]
        await asyncio.to_thread(upgrade, plans[0].ledger_url)
        clients = one, other, mailbox, crm = [
            httpx.AsyncClient(base_url=url(port), timeout=60, trust_env=False)
            for port in (first.gateway, second.gateway, first.mailbox, first.crm)
        ]
        running = Twins(folder, [one, other], mailbox, crm)
        try:
            wanted = [(0, ONCE + TWICE), (1, TWICE)]
            chosen = [(n, p) for n, names in wanted for p in plans[n].processes if p.name in names]
            for number, planned in chosen:
                running.start(number, planned)
            await asyncio.gather(*(_ready(running, planned.ready_url) for _, planned in chosen))
            yield running
        finally:
            for client in clients:
                await client.aclose()
            for key in list(running.running):
                running.kill(*key)


def _ports() -> tuple[Ports, Ports]:
    ports = free_ports(14)
    first = Ports(*ports[:9])
    status, deadletters, email, images, gateway = ports[9:]
    return first, replace(
        first, status=status, deadletters=deadletters, email=email, images=images, gateway=gateway
    )


async def _ready(running: Twins, ready_url: str) -> None:
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:

        async def is_ready() -> bool:
            assert not running.ended(), running.ended()
            try:
                return (await client.get(ready_url)).is_success
            except httpx.TransportError:
                return False

        await eventually(is_ready, PATIENCE, every=POLL_SECONDS)
