"""The handlers with the real renderer and mailer, against a real SMTP server on a loopback socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from waybill_contracts.kinds.emails import EmailRequested
from waybill_contracts.kinds.password_resets import PasswordResetRequested
from waybill_contracts.kinds.users import UserCreated
from waybill_email.handlers import Mailing, send_email, send_password_reset, send_welcome
from waybill_email.mailer import Mailer
from waybill_email.renderer import Renderer
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.errors import PermanentError

RENDERER = Renderer()
LINK = "https://app.test/reset?token=s3cret-token"


class Inbox:
    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []

    async def handle_DATA(  # noqa: N802 - aiosmtpd finds its hooks by these names
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        return "250 queued"


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
async def mailer(inbox: Inbox) -> AsyncIterator[Mailer]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(inbox, hostname="peer.test", loop=loop), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    mailer = Mailer("127.0.0.1", port, username=None, password=None, tls="none", sender="a@waybill.test")
    yield mailer
    await mailer.close()
    server.close()
    await server.wait_closed()


def attempt(number: int = 1, redrive_no: int = 0) -> Attempt:
    return Attempt("0198", "email", "any", "c", number, 5, redrive_no, None)


async def test_a_mail_with_the_callers_own_words(inbox: Inbox, mailer: Mailer) -> None:
    event = EmailRequested(to="ada@example.com", subject="Hi {{ x }}", text="Hello {{ x }}", category="news")

    result = await send_email(event, attempt(), Mailing(mailer, RENDERER))

    (message,) = inbox.messages
    assert (message["To"], message["Subject"], message["X-Category"]) == (
        "ada@example.com",
        "Hi {{ x }}",
        "news",
    )
    assert message.get_content().strip() == "Hello {{ x }}"
    assert result == {"message_id": "<0198.email@waybill.test>", "server_response": "queued"}


async def test_a_mail_from_a_template(inbox: Inbox, mailer: Mailer) -> None:
    event = EmailRequested(to="ada@example.com", template="welcome", params={"name": "Ada"})

    await send_email(event, attempt(), Mailing(mailer, RENDERER))

    assert inbox.messages[0]["Subject"] == "Welcome, Ada"


async def test_ways_back_are_sent_with_a_template_too(inbox: Inbox, mailer: Mailer) -> None:
    back: dict[str, Any] = {"reply_to": "team@x.test", "list_unsubscribe": ("https://x.test/u",)}

    for words in ({"subject": "Hi", "text": "Hello"}, {"template": "welcome", "params": {"name": "Ada"}}):
        event = EmailRequested.model_validate({"to": "ada@example.com"} | words | back)
        await send_email(event, attempt(), Mailing(mailer, RENDERER))

    for message in inbox.messages:
        assert message["Reply-To"] == "team@x.test"
        assert message["List-Unsubscribe"] == "<https://x.test/u>"
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


@pytest.mark.parametrize(
    ("html", "kind", "text"),
    [
        (
            '<p>Hello <a href="https://x.test">you</a></p>',
            "multipart/alternative",
            "Hello you (https://x.test)",
        ),
        ("<img src=x>", "text/html", None),
    ],
)
async def test_html_alone_gets_a_text_part_if_there_is_text_in_it(
    inbox: Inbox, mailer: Mailer, html: str, kind: str, text: str | None
) -> None:
    event = EmailRequested(to="ada@example.com", subject="Hi", html=html)

    await send_email(event, attempt(), Mailing(mailer, RENDERER))

    (message,) = inbox.messages
    assert message.get_content_type() == kind
    plain = message.get_body(("plain",))
    assert (plain and plain.get_content().strip()) == text
    shown = message.get_body(("html",))
    assert shown is not None
    assert shown.get_content().strip() == html


async def test_a_name_that_looks_like_an_encoded_word_is_shown_and_not_decoded(
    inbox: Inbox, mailer: Mailer
) -> None:
    name = "=?utf-8?q?Ann=0D=0AContent-Type:_text/html=0D=0A=0D=0A<h1>Locked</h1><!--?="
    event = UserCreated(user_id="7", email="ada@example.com", name=name)

    await send_welcome(event, attempt(), Mailing(mailer, RENDERER))

    (message,) = inbox.messages
    text = message.get_body(("plain",))
    assert text is not None
    assert message.get_content_type() == "multipart/alternative"
    assert message["Subject"] == f"Welcome, {name}"
    assert text.get_content().startswith(f"Hello {name},\r\n\r\nYour account")


async def test_every_repeat_bears_the_same_message_id(inbox: Inbox, mailer: Mailer) -> None:
    event = UserCreated(user_id="7", email="ada@example.com", name="Ada")

    for number, redrive_no in [(1, 0), (2, 0), (1, 1)]:
        await send_welcome(event, attempt(number, redrive_no), Mailing(mailer, RENDERER))

    assert [message["Message-ID"] for message in inbox.messages] == ["<0198.email@waybill.test>"] * 3
    assert inbox.messages[0]["Subject"] == "Welcome, Ada"


async def test_a_reset_link_is_in_the_mail_and_not_in_the_result(inbox: Inbox, mailer: Mailer) -> None:
    event = PasswordResetRequested(
        email="ada@example.com", link=LINK, expires_at=datetime(2026, 3, 5, tzinfo=UTC)
    )

    result = await send_password_reset(event, attempt(), Mailing(mailer, RENDERER))

    text = inbox.messages[0].get_body(("plain",))
    assert text is not None
    assert LINK in text.get_content()
    assert "s3cret-token" not in json.dumps(result)


async def test_an_event_without_words_is_refused_for_good(mailer: Mailer) -> None:
    # The contract refuses it as well; a consumer does not rest on what a producer has checked.
    event = EmailRequested.model_construct(to="ada@example.com", subject=None, text="Hello", template=None)

    with pytest.raises(PermanentError, match="neither a subject nor a template"):
        await send_email(event, attempt(), Mailing(mailer, RENDERER))
