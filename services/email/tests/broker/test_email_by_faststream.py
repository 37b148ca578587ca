"""The email service as FastStream's command line runs and describes it: `waybill_email.app:service.app`."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from waybill_contracts.kinds import EmailRequested
from waybill_testkit.wire import Wire

APP = "waybill_email.app:service.app"


class Mailbox:
    """A mail server that keeps every mail."""

    def __init__(self) -> None:
        self.kept: list[list[str]] = []

    async def handle_DATA(  # noqa: N802 - aiosmtpd finds its hooks by these names
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        self.kept.append(envelope.rcpt_tos)
        return "250 queued"


@pytest.fixture
def environment(topology_url: str, tmp_path: Path) -> dict[str, str]:
    return os.environ | {
        "WAYBILL_AMQP_URL": topology_url,
        "WAYBILL_INBOX_URL": f"sqlite:///{tmp_path}/inbox.db",
        "WAYBILL_SMTP_TLS": "none",
        "WAYBILL_SENDER": "no-reply@waybill.test",
    }


async def test_a_mail_is_sent_and_a_signal_stops_the_service(environment: dict[str, str], wire: Wire) -> None:
    mailbox, loop = Mailbox(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, hostname="peer.test", loop=loop), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    service = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "faststream",
        "run",
        APP,
        env=environment | {"WAYBILL_SMTP_PORT": str(port)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        await wire.request(EmailRequested(to="ann@example.test", subject="Hello", text="Hello, Ann."))
        events = await wire.reported(until="task.completed")
        service.send_signal(signal.SIGTERM)
        output, _ = await service.communicate()
    finally:
        if service.returncode is None:
            service.kill()
            await service.wait()
    server.close()

    assert mailbox.kept == [["ann@example.test"]]
    assert [event.type.value for event in events] == ["task.started", "task.completed"]
    assert service.returncode == 0
    assert json.loads(output.splitlines()[-1])["event"] == "stopped"


def test_its_asyncapi_document_has_each_kind(environment: dict[str, str], tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "faststream", "docs", "gen", APP],
        env=environment,
        cwd=tmp_path,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    document = json.loads((tmp_path / "asyncapi.json").read_text())
    schemas = document["components"]["schemas"]

    assert document["info"]["title"] == "email"
    for kind in ("email.requested", "password_reset.requested", "user.created"):
        assert f"`{kind}`" in document["channels"]["email.work"]["description"]
        assert schemas[kind]["title"] == kind
        assert {"$ref": f"#/components/schemas/{kind}"} in document["components"]["messages"][
            "email.work:SubscribeMessage"
        ]["payload"]["oneOf"]
    # A definition of one kind is not that of another which has the same name.
    reference = schemas["email.requested"]["properties"]["if_uncertain"]["$ref"]
    assert reference == "#/components/schemas/email.requested.WhenUncertain"
    assert schemas["email.requested.WhenUncertain"]["enum"] == ["resend", "park"]
