"""The window between a mail's content and the server's answer, in which nobody can know what happened.

The email service runs as in production; the mail server takes the content and does not answer.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from waybill_contracts.events import WhenUncertain
from waybill_contracts.kinds.emails import EmailRequested
from waybill_contracts.wire.names import HEADER_DEAD_REASON
from waybill_testkit.eventually import eventually
from waybill_testkit.machine import ForkedProcess
from waybill_testkit.wire import Wire


class Silent:
    """A mail server that keeps every mail, and answers none while it is silent."""

    def __init__(self) -> None:
        self.kept: list[bytes] = []
        self.is_silent = True

    async def handle_DATA(  # noqa: N802 - aiosmtpd finds its hooks by these names
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        self.kept.append(envelope.content)
        if self.is_silent:
            await asyncio.Event().wait()
        return "250 queued"


@pytest.fixture
async def server() -> AsyncIterator[tuple[Silent, int]]:
    silent, loop = Silent(), asyncio.get_running_loop()
    listening = await loop.create_server(
        lambda: SMTP(silent, hostname="peer.test", loop=loop), "127.0.0.1", 0
    )
    yield silent, listening.sockets[0].getsockname()[1]
    listening.close()
    for task in asyncio.all_tasks():  # connections that are still silent
        if task.get_coro().__qualname__.startswith("SMTP."):  # type: ignore[union-attr] # a coroutine has one
            task.cancel()


@pytest.fixture
def start(
    topology_url: str, tmp_path: Path, server: tuple[Silent, int]
) -> Iterator[Callable[[], ForkedProcess]]:
    """Starts the email service in a process of its own; what still runs at the end is killed."""
    started: list[ForkedProcess] = []
    environment = os.environ | {
        "WAYBILL_AMQP_URL": topology_url,
        "WAYBILL_INBOX_URL": f"sqlite:///{tmp_path}/inbox.db",
        "WAYBILL_LEASE_SECONDS": "2",
        "WAYBILL_SMTP_PORT": str(server[1]),
        "WAYBILL_SMTP_TLS": "none",
        "WAYBILL_SENDER": "no-reply@waybill.test",
        "WAYBILL_RETRY_BASE_SECONDS": "1",
    }

    def start() -> ForkedProcess:
        child = ForkedProcess("waybill_email", env=environment)
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.wait()


def mail(if_uncertain: WhenUncertain) -> EmailRequested:
    return EmailRequested(to="ann@example.test", subject="Once", text="Only once.", if_uncertain=if_uncertain)


async def killed_in_the_window(
    server: Silent, start: Callable[[], ForkedProcess], wire: Wire, event: EmailRequested
) -> None:
    """The service dies after the server has the mail, and before the service knows; a new one begins."""
    first = start()
    await wire.request(event)
    await eventually(lambda: server.kept)
    first.send_signal(signal.SIGKILL)
    first.wait()
    server.is_silent = False
    start()


async def test_a_mail_is_sent_again_and_its_record_says_that_it_may_be_a_repeat(
    server: tuple[Silent, int], start: Callable[[], ForkedProcess], wire: Wire
) -> None:
    await killed_in_the_window(server[0], start, wire, mail(WhenUncertain.RESEND))
    events = await wire.reported(until="task.completed")

    assert len(server[0].kept) == 2
    assert events[-1].data.result is not None
    assert events[-1].data.result["may_be_a_repeat"] is True


async def test_a_mail_that_is_not_to_come_twice_is_parked(
    server: tuple[Silent, int], start: Callable[[], ForkedProcess], wire: Wire
) -> None:
    await killed_in_the_window(server[0], start, wire, mail(WhenUncertain.PARK))
    events = await wire.reported(until="task.dead")
    letter = await wire.take("email.dlq")

    assert len(server[0].kept) == 1
    assert letter.headers[HEADER_DEAD_REASON] == "uncertain"
    assert events[-1].data.error is not None
    assert "not known" in events[-1].data.error.message
