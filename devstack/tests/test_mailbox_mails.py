from email.message import EmailMessage

from waybill_devstack.mailbox.mails import Mails, parse_mail


def parse(message: EmailMessage) -> dict[str, object]:
    return parse_mail("1", message.as_bytes(), "envelope@example.com", ["rcpt@example.com"]).model_dump()


def test_decodes_headers_and_both_bodies() -> None:
    message = EmailMessage()
    message["From"] = "Jörg Müller <joerg@example.com>"
    message["To"] = "Zoë <zoe@example.com>, bob@example.com"
    message["Subject"] = "Grüße aus Köln ✓"
    message["Message-ID"] = "<task-1@waybill.example>"
    message.set_content("Hallo Zoë")
    message.add_alternative("<p>Hallo <b>Zoë</b></p>", subtype="html")
    message.add_attachment(b"\x00\x01", maintype="application", subtype="octet-stream", filename="a.bin")

    mail = parse(message)

    assert mail["from"] == "Jörg Müller <joerg@example.com>"
    assert mail["to"] == ["zoe@example.com", "bob@example.com"]
    assert mail["subject"] == "Grüße aus Köln ✓"
    assert mail["message_id"] == "<task-1@waybill.example>"
    assert mail["text"] == "Hallo Zoë\n"
    assert mail["html"] == "<p>Hallo <b>Zoë</b></p>\n"


def test_an_absent_part_is_null() -> None:
    only_text, only_html = EmailMessage(), EmailMessage()
    only_text.set_content("text")
    only_html.set_content("<p>html</p>", subtype="html")
    assert parse(only_text)["html"] is None
    assert parse(only_html)["text"] is None


def test_a_mail_without_headers_shows_its_envelope() -> None:
    mail = parse_mail("1", b"\r\nhello\r\n", "envelope@example.com", ["rcpt@example.com"])
    assert (mail.sender, mail.to, mail.subject, mail.message_id) == (
        "envelope@example.com",
        ["rcpt@example.com"],
        "",
        None,
    )
    assert mail.text == "hello\n"


def test_an_unknown_charset_is_shown_as_far_as_it_can_be() -> None:
    content = b"Content-Type: text/plain; charset=x-unheard-of\r\n\r\ngr\xc3\xbc\xff\r\n"
    assert parse_mail("1", content, "", []).text == "grü\N{REPLACEMENT CHARACTER}\n"


def test_keeps_the_newest_mails_only() -> None:
    mails = Mails(max_mails=3)
    for number in range(5):
        mails.receive(f"Subject: {number}\r\n\r\n".encode(), "", [])
    assert [(mail.id, mail.subject) for mail in mails.all()] == [("3", "2"), ("4", "3"), ("5", "4")]


def test_keeps_no_more_bytes_than_allowed() -> None:
    mails = Mails(max_bytes=100)
    mails.receive(b"Subject: small\r\n\r\n", "", [])
    mails.receive(b"Subject: large\r\n\r\n" + b"x" * 80, "", [])
    assert [mail.subject for mail in mails.all()] == ["large"]


def test_clearing_deletes_mails_but_never_reuses_an_id() -> None:
    mails = Mails()
    mails.receive(b"\r\n", "", [])
    mails.clear()
    assert mails.all() == []
    assert mails.receive(b"\r\n", "", []).id == "2"
