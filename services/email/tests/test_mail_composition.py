from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest

from waybill_email.mail import OutgoingMail, compose, parse_sender
from waybill_worker.errors import PermanentError

SENDER = parse_sender("Waybill Störung <no-reply@mail.example.com>")


def mail(**changes: str | tuple[str, ...] | None) -> OutgoingMail:
    fields: dict[str, Any] = {
        "to": "ada@example.com",
        "subject": "Hi",
        "text": "a",
        "html": "<p>a</p>",
        "message_id": "t-1.email",
    }
    return OutgoingMail(**{**fields, **changes})


def parsed(outgoing: OutgoingMail) -> EmailMessage:
    message = message_from_bytes(compose(outgoing, SENDER).content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def test_headers() -> None:
    subject = "Grüße aus" + " Köln" * 40
    message = parsed(mail(subject=subject, category="news"))

    assert message["Message-ID"] == "<t-1.email@mail.example.com>"
    assert message["From"].addresses[0].display_name == "Waybill Störung"
    assert message["From"].addresses[0].addr_spec == "no-reply@mail.example.com"
    assert message["To"] == "ada@example.com"
    assert message["Subject"] == subject
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Category"] == "news"
    assert message["Date"].datetime is not None


def test_ways_back() -> None:
    links = ("https://x.test/u/" + "a" * 200, "mailto:u@x.test?subject=17")
    content = compose(mail(reply_to="team@x.test", list_unsubscribe=links), SENDER).content

    assert b"\r\nReply-To: team@x.test\r\n" in content
    assert f"\r\nList-Unsubscribe: <{links[0]}>,\r\n <{links[1]}>\r\n".encode() in content
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in content


def test_without_an_https_link_nothing_promises_that_one_click_is_enough() -> None:
    message = parsed(mail(list_unsubscribe=("mailto:u@x.test",)))

    assert message["List-Unsubscribe"] == "<mailto:u@x.test>"
    assert "List-Unsubscribe-Post" not in message
    assert "List-Unsubscribe" not in parsed(mail())


@pytest.mark.parametrize(
    "changes",
    [
        {"reply_to": "Ada <ada@example.com>"},
        {"reply_to": "a@b.test\r\nBcc: c@d.test"},
        {"list_unsubscribe": ("https://x.test/\r\nBcc: c@d.test",)},
        {"list_unsubscribe": ("https://x.test/?=?utf-8?q?x?=",)},
    ],
)
def test_a_way_back_brings_no_header_of_its_own(changes: dict[str, Any]) -> None:
    with pytest.raises(PermanentError, match=r"replies sent to|List-Unsubscribe contains"):
        compose(mail(**changes), SENDER)


def test_both_bodies_become_alternatives_with_the_text_first() -> None:
    message = parsed(mail(text="Grüße", html="<p>Grüße</p>"))

    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert [part.get_content().strip() for part in message.iter_parts()] == ["Grüße", "<p>Grüße</p>"]


@pytest.mark.parametrize(("changes", "kind"), [({"html": None}, "text/plain"), ({"text": None}, "text/html")])
def test_one_body_stands_alone(changes: dict[str, None], kind: str) -> None:
    assert parsed(mail(**changes)).get_content_type() == kind


def test_no_body_is_refused() -> None:
    with pytest.raises(PermanentError, match="neither text nor html"):
        compose(mail(text=None, html=None), SENDER)


def test_the_bytes_suit_every_server() -> None:
    content = compose(mail(text="ü" * 3000 + "\nx\ry\n.\n"), SENDER).content

    assert content.isascii()
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert b"\r" not in content.replace(b"\r\n", b"")
    assert max(map(len, content.split(b"\r\n"))) <= 998


def test_a_long_message_id_is_neither_folded_nor_encoded() -> None:
    content = compose(mail(message_id="x" * 100 + ".email"), SENDER).content

    assert b"Message-ID: <" + b"x" * 100 + b".email@mail.example.com>\r\n" in content


@pytest.mark.parametrize(
    "separator", ["\r\n", "\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029", "\x00"]
)
@pytest.mark.parametrize("field", ["subject", "category"])
def test_no_header_can_be_injected(field: str, separator: str) -> None:
    with pytest.raises(PermanentError, match="line"):
        compose(mail(**{field: f"Hi{separator}Bcc: eve@example.com"}), SENDER)


@pytest.mark.parametrize(
    "address",
    [
        "ada@example.com\r\nRCPT TO:<eve@example.com>",
        "ada@example.com, eve@example.com",
        "ada@example.com> SIZE=1",
        "Ada <ada@example.com>",
        '"a b"@example.com',
        "ada@[127.0.0.1]",
        "ada@exa mple.com",
        "ada@bücher.example",
        "ädä@example.com",
        "ada",
        "@example.com",
        "ada@",
        "a" * 65 + "@example.com",
        "a@" + "b" * 64 + ".com",
        "a@" + "b.c" * 84 + ".com",
        "=?utf-8?q?Ann=0D=0ABcc?=@example.com",
    ],
)
def test_an_address_that_is_not_one_plain_address_is_refused(address: str) -> None:
    with pytest.raises(PermanentError, match="cannot mail to"):
        compose(mail(to=address), SENDER)


def test_an_address_may_be_as_long_as_its_parts_may() -> None:
    address = f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 57}.com"

    assert parsed(mail(to=address))["To"] == address


@pytest.mark.parametrize(
    "text",
    [
        "=?utf-8?q?Ann=0D=0AContent-Type:_text/html=0D=0A=0D=0A<h1>Locked</h1><!--?=",
        "=?utf-8?q?Ann=0D=0ABcc:_eve@example.com?=",
        "=?utf-8?b?QW5uDQpCY2M6IGV2ZUBleGFtcGxlLmNvbQ==?=",
        "=?utf-8?q?Ann?=",
    ],
)
def test_an_encoded_word_of_others_is_text(text: str) -> None:
    headers = parsed(mail()).keys()

    for message in (parsed(mail(subject=text)), parsed(mail(category=text))):
        assert [name for name in message.keys() if name != "X-Category"] == headers  # noqa: SIM118
        assert text in (message["Subject"], message["X-Category"])
        body = message.get_body(("plain",))
        assert body is not None
        assert body.get_content().strip() == "a"


@pytest.mark.parametrize("field", ["text", "html"])
@pytest.mark.parametrize("character", ["\x00", "\x08", "\x0b", "\x0c", "\x1b", "\x7f", "\ud800"])
def test_a_control_character_in_a_body_is_refused(field: str, character: str) -> None:
    with pytest.raises(PermanentError, match=f"the {field} of the mail contains a control character"):
        compose(mail(**{field: f"a{character}b"}), SENDER)


def test_a_long_sender_name_with_a_comma_stays_one_mailbox() -> None:
    name = "Example, Incorporated, of a long street in a long town, and of a longer one elsewhere"
    content = compose(mail(), parse_sender(f'"{name}" <no-reply@mail.example.com>')).content

    (sender,) = message_from_bytes(content, policy=policy.default)["From"].addresses
    assert (sender.display_name, sender.addr_spec) == (name, "no-reply@mail.example.com")


@pytest.mark.parametrize("message_id", ["", "a b", "a>\r\nBcc: x", "a@b", ".a", "=?utf-8?q?x?="])
def test_a_message_id_that_would_break_its_header_is_refused(message_id: str) -> None:
    with pytest.raises(PermanentError, match="Message-ID"):
        compose(mail(message_id=message_id), SENDER)


@pytest.mark.parametrize(
    "sender",
    [
        "",
        "Waybill",
        "a@b.test\r\nBcc: c@d.test",
        "Way\nbill <>",
        "a@bücher.test",
        "Example, Inc. <a@b.test>",
        "a@b.test, c@d.test",
    ],
)
def test_a_malformed_sender_is_refused_at_once(sender: str) -> None:
    with pytest.raises(ValueError, match="sender"):
        parse_sender(sender)
