"""A real SMTP client against the mailbox's real SMTP server, with each fault."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.message import EmailMessage

import aiosmtplib
import pytest

from waybill_devstack.mailbox.faults import Fault, Faults, Mode
from waybill_devstack.mailbox.mails import Mails
from waybill_devstack.mailbox.smtp import MAX_MAIL_BYTES, Handler, start_smtp


@dataclass
class Mailbox:
    port: int = 0
    mails: Mails = field(default_factory=Mails)
    faults: Faults = field(default_factory=Faults)
    lines: list[str] = field(default_factory=list)
    reported: asyncio.Event = field(default_factory=asyncio.Event)

    def report(self, line: str) -> None:
        self.lines.append(line)
        self.reported.set()

    async def send(self, subject: str = "hello") -> None:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "a@example.com", "b@example.com", subject
        message.set_content("text")
        await aiosmtplib.send(message, hostname="127.0.0.1", port=self.port)

    def subjects(self) -> list[str]:
        return [mail.subject for mail in self.mails.all()]


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    box = Mailbox()
    listener = socket.create_server(("127.0.0.1", 0))
    box.port = listener.getsockname()[1]
    server = await start_smtp(listener, Handler(box.mails, box.faults, box.report))
    yield box
    server.close()


async def test_keeps_a_mail_and_reports_one_line(mailbox: Mailbox) -> None:
    await mailbox.send("Grüße")
    assert mailbox.subjects() == ["Grüße"]
    assert mailbox.lines == ["mail 1 from a@example.com to b@example.com: Grüße"]


async def test_keeps_every_mail_of_one_connection(mailbox: Mailbox) -> None:
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=mailbox.port) as client:
        for number in range(3):
            await client.sendmail("a@example.com", ["b@example.com"], f"Subject: {number}\r\n\r\nx")
    assert mailbox.subjects() == ["0", "1", "2"]


@pytest.mark.parametrize(("mode", "code"), [("reject", 550), ("tempfail", 451)])
async def test_refuses_the_recipient_of_the_next_mails(mailbox: Mailbox, mode: Mode, code: int) -> None:
    mailbox.faults.set(Fault(mode=mode, count=2))
    for _ in range(2):
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
            await mailbox.send()
        assert [recipient.code for recipient in refused.value.recipients] == [code]
    await mailbox.send("third")
    assert mailbox.subjects() == ["third"]


async def test_a_fault_counts_mails_not_recipients(mailbox: Mailbox) -> None:
    mailbox.faults.set(Fault(mode="reject", count=1))
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=mailbox.port) as client:
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
            await client.sendmail("a@example.com", ["b@example.com", "c@example.com"], "Subject: 1\r\n\r\nx")
        assert len(refused.value.recipients) == 2
        await client.rset()
        await client.sendmail("a@example.com", ["b@example.com"], "Subject: 2\r\n\r\nx")
    assert mailbox.subjects() == ["2"]


async def test_a_fault_without_count_stays_until_cleared(mailbox: Mailbox) -> None:
    mailbox.faults.set(Fault(mode="tempfail"))
    for _ in range(3):
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
            await mailbox.send()
    mailbox.faults.set(Fault(mode="ok"))
    await mailbox.send("after")
    assert mailbox.subjects() == ["after"]


async def test_hang_answers_nothing_till_the_client_gives_up(mailbox: Mailbox) -> None:
    mailbox.faults.set(Fault(mode="hang", count=1))
    reader, writer = await asyncio.open_connection("127.0.0.1", mailbox.port)
    await reader.readline()
    writer.write(b"HELO me\r\n")
    await reader.readline()
    writer.write(b"MAIL FROM:<a@example.com>\r\n")
    await mailbox.reported.wait()  # it has read MAIL FROM
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.readline(), timeout=0.1)
    writer.close()
    await writer.wait_closed()
    await mailbox.send("next")
    assert mailbox.subjects() == ["next"]


async def test_drop_closes_at_data_and_takes_nothing(mailbox: Mailbox) -> None:
    mailbox.faults.set(Fault(mode="drop", count=1))
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await mailbox.send("lost")
    assert mailbox.subjects() == []
    await mailbox.send("next")
    assert mailbox.subjects() == ["next"]


async def test_drop_after_keeps_the_mail_but_never_says_so(mailbox: Mailbox) -> None:
    mailbox.faults.set(Fault(mode="drop_after", count=1))
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await mailbox.send("kept")
    assert mailbox.subjects() == ["kept"]


async def test_refuses_a_mail_above_the_size_limit(mailbox: Mailbox) -> None:
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=mailbox.port) as client:
        code, _ = await client.execute_command(
            b"MAIL", b"FROM:<a@example.com>", f"SIZE={MAX_MAIL_BYTES + 1}".encode()
        )
    assert code == 552
    assert mailbox.subjects() == []
