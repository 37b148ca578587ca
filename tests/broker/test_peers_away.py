"""Mail server and target away, services at default settings: a lone task waits, and no attempt is counted."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from waybill_contracts.events import Event
from waybill_contracts.wire.lifecycle import LifecycleEvent
from waybill_testkit.machine import ForkedProcess, free_ports
from waybill_testkit.samples import email_event, sync_event
from waybill_testkit.wire import Wire

#: So often a task is put off while the other side is away, for 2 and 4 s.
TIMES = 2
Serve = Callable[[int], Awaitable[asyncio.Server]]


async def target(port: int) -> asyncio.Server:
    """A system that writes each record."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", port)


class MailServer:
    """Takes each mail, but not while its disk is full."""

    def __init__(self, *, is_full: bool) -> None:
        self.is_full = is_full
        self.mails = 0

    async def handle_RCPT(  # noqa: N802 - aiosmtpd finds its hooks by these names
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.is_full:
            return "452 4.3.1 the disk is full"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - a hook of aiosmtpd, too
        self, _server: SMTP, _session: Session, _envelope: Envelope
    ) -> str:
        self.mails += 1
        return "250 queued"

    async def listen(self, port: int) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(
            lambda: SMTP(self, hostname="peer.test", loop=loop), "127.0.0.1", port
        )


@pytest.fixture
def start(topology_url: str, tmp_path: Path) -> Iterator[Callable[[str, int], None]]:
    """Starts a service that finds its other side at a port; nothing but what it cannot do without is set."""
    started: list[ForkedProcess] = []

    def start(service: str, port: int) -> None:
        environment = {name: value for name, value in os.environ.items() if "WAYBILL_RETRY" not in name} | {
            "WAYBILL_AMQP_URL": topology_url,
            "WAYBILL_INBOX_URL": f"sqlite:///{tmp_path}/inbox.db",
            "WAYBILL_SMTP_PORT": str(port),
            "WAYBILL_SMTP_TLS": "none",
            "WAYBILL_SENDER": "no-reply@waybill.test",
            "WAYBILL_TARGETS": f'{{"crm": "http://127.0.0.1:{port}"}}',
        }
        started.append(ForkedProcess(f"waybill_{service}", env=environment))

    yield start
    for child in started:
        child.kill()
        child.wait()


@asynccontextmanager
async def serving(serve: Serve, port: int) -> AsyncIterator[None]:
    server = await serve(port)
    yield
    server.close()
    await server.wait_closed()


async def waits_until_it_is_served(wire: Wire, event: Event, back: Callable[[], Awaitable[object]]) -> None:
    """Lifecycle events of one task while the peer is away, and when it is back."""
    await wire.request(event)
    events: list[LifecycleEvent] = []
    for _ in range(TIMES):
        events += await wire.reported(until="task.snoozed")
    await back()
    events += await wire.reported(until="task.completed")

    put_off = [event for event in events if event.type == "task.snoozed"]
    assert len(put_off) >= TIMES
    assert {event.type for event in events} == {"task.started", "task.snoozed", "task.completed"}
    assert events[-1].data.attempt == 1, "it cost no attempt"
    for waiting in put_off:
        assert waiting.data.error is not None
        assert waiting.data.error.type in {"UnreachableError", "OutOfServiceError"}


async def test_a_lone_record_waits_for_a_target_that_is_down(
    start: Callable[[str, int], None], wire: Wire
) -> None:
    [port] = free_ports(1)
    start("sync", port)
    server: list[asyncio.Server] = []

    async def back() -> None:
        server.append(await target(port))

    await waits_until_it_is_served(wire, sync_event(), back)
    server[0].close()


async def test_a_lone_mail_waits_for_a_mail_server_that_is_down(
    start: Callable[[str, int], None], wire: Wire
) -> None:
    [port] = free_ports(1)
    start("email", port)
    peer = MailServer(is_full=False)
    server: list[asyncio.Server] = []

    async def back() -> None:
        server.append(await peer.listen(port))

    await waits_until_it_is_served(wire, email_event(), back)
    server[0].close()
    assert peer.mails == 1


async def test_a_lone_mail_waits_for_a_mail_server_whose_disk_is_full(
    start: Callable[[str, int], None], wire: Wire
) -> None:
    [port] = free_ports(1)
    peer = MailServer(is_full=True)

    async def back() -> None:
        peer.is_full = False

    async with serving(peer.listen, port):
        start("email", port)
        await waits_until_it_is_served(wire, email_event(), back)
    assert peer.mails == 1
