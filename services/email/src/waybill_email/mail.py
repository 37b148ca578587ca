"""A mail as handlers give it to the mailer, and as it is sent."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime, getaddresses

from waybill_email.headers import (
    HeaderError,
    Mailbox,
    literal_header,
    mailbox_header,
    require_one_line,
    require_ours,
    text_header,
)
from waybill_worker.errors import PermanentError

#: A dot-atom local part and a host name in ASCII: RFC 5321, 4.1.2, without quoted strings and address
#: literals, which are rarely used and could inject text into a command line.
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
#: RFC 5321, 4.5.3.1.3: a path of 256 octets with its brackets.
_MAX_ADDRESS_LENGTH = 254
#: RFC 5321, 4.5.3.1.1 and 2; RFC 1035, 2.3.4 on the labels of a domain.
_MAX_LOCAL_LENGTH, _MAX_DOMAIN_LENGTH, _MAX_LABEL_LENGTH = 64, 253, 63
#: The left side of a Message-ID: RFC 5322, 3.6.4, `dot-atom-text`.
_ID_LEFT = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
#: Not allowed in a body: RFC 5321, 4.5.2 allows no control characters other than tab and line ends.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
#: Always seven-bit, so that the bytes do not depend on the server and are made before a connection is used.
_POLICY = policy.SMTP.clone(cte_type="7bit")


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """One mail to one address.

    Attributes:
        to: the recipient's address, ASCII, without a display name.
        subject: one line.
        text: the plain body, if there is one; at least one of the two bodies is needed.
        html: the HTML body, if there is one.
        message_id: the part before the `@` of the `Message-ID`; equal in all repeats of the mail.
        category: label of the sender, sent as `X-Category`.
        reply_to: address for replies, like `to`; None: the sender.
        list_unsubscribe: links to unsubscribe, `https:` and `mailto:` (RFC 2369).
    """

    to: str
    subject: str
    text: str | None
    html: str | None
    message_id: str
    category: str | None = None
    reply_to: str | None = None
    list_unsubscribe: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ComposedMail:
    """A mail ready to be sent: envelope, full `Message-ID` with brackets, bytes (7-bit, CRLF)."""

    sender: str
    recipient: str
    message_id: str
    content: bytes


def parse_sender(sender: str) -> Mailbox:
    """Read the configured sender, `no-reply@example.com` or `Example <no-reply@example.com>`.

    Raises:
        ValueError: it is not one plain ASCII address, or its name is not one line.
    """
    require_one_line("sender", sender)
    read = [Mailbox(*each) for each in getaddresses([sender])]
    if len(read) != 1 or not _is_plain(read[0].address):
        raise ValueError(
            f"the sender {sender!r} is not one mail address: write no-reply@example.com "
            'or "Example, Inc." <no-reply@example.com>'
        )
    return read[0]


def compose(mail: OutgoingMail, sender: Mailbox) -> ComposedMail:
    """Build the message (RFC 5322, with `Auto-Submitted` of RFC 3834) and its envelope.

    Raises:
        PermanentError: it cannot be sent: a malformed address, no body, a header that is not one line, a
            control character.
    """
    for use, address in (("mail to", mail.to), ("have replies sent to", mail.reply_to)):
        if address is not None and not _is_plain(address):
            raise PermanentError(
                f"cannot {use} {address!r:.300}: expected one address in ASCII, such as ada@example.com, "
                "an international domain in its xn-- form"
            )
    if not _ID_LEFT.fullmatch(mail.message_id) or "=?" in mail.message_id:
        raise PermanentError(f"{mail.message_id!r:.300} is not allowed in a Message-ID (RFC 5322, 3.6.4)")
    message_id = f"<{mail.message_id}@{sender.domain}>"
    bodies = _bodies(mail)
    try:
        headers = _headers(mail, sender, message_id)
        content = "".join(headers.values()).encode("ascii") + bodies.as_bytes()
        require_ours(content, [*headers, *bodies.keys()])
    except HeaderError as refused:
        raise PermanentError(f"the mail was not sent: {refused}") from refused
    return ComposedMail(sender.address, mail.to, message_id, content)


def _is_plain(address: str) -> bool:
    local, _, domain = address.rpartition("@")
    return (
        len(address) <= _MAX_ADDRESS_LENGTH
        and len(local) <= _MAX_LOCAL_LENGTH
        and len(domain) <= _MAX_DOMAIN_LENGTH
        and all(len(label) <= _MAX_LABEL_LENGTH for label in domain.split("."))
        and _ADDRESS.fullmatch(address) is not None
        # Mail programs would read it as an encoded word.
        and "=?" not in address
    )


def _headers(mail: OutgoingMail, sender: Mailbox, message_id: str) -> dict[str, str]:
    """Each header's lines by its name."""
    headers = {
        "Message-ID": literal_header("Message-ID", message_id),
        "Date": literal_header("Date", format_datetime(datetime.now(UTC))),
        "From": mailbox_header("From", sender),
        "To": mailbox_header("To", Mailbox("", mail.to)),
        "Auto-Submitted": literal_header("Auto-Submitted", "auto-generated"),
        "Subject": text_header("Subject", mail.subject),
    }
    if mail.category is not None:
        headers["X-Category"] = text_header("X-Category", mail.category)
    if mail.reply_to is not None:
        headers["Reply-To"] = mailbox_header("Reply-To", Mailbox("", mail.reply_to))
    if mail.list_unsubscribe:
        links = [f"<{link}>" for link in mail.list_unsubscribe]
        separated = [f"{link}," for link in links[:-1]] + links[-1:]
        headers["List-Unsubscribe"] = literal_header("List-Unsubscribe", *separated)
    if any(link.startswith("https:") for link in mail.list_unsubscribe):
        # RFC 8058, 3.1: a mailbox may unsubscribe by a POST without further confirmation.
        headers["List-Unsubscribe-Post"] = literal_header(
            "List-Unsubscribe-Post", "List-Unsubscribe=One-Click"
        )
    return headers


def _bodies(mail: OutgoingMail) -> EmailMessage:
    """The bodies, with only the headers that describe their encoding."""
    for name, body in (("text", mail.text), ("html", mail.html)):
        if body is not None and _CONTROL.search(body):
            raise PermanentError(
                f"the {name} of the mail contains a control character: only tabs and line ends are allowed"
            )
    message = EmailMessage(policy=_POLICY)
    if mail.text is not None:
        message.set_content(mail.text)
        if mail.html is not None:
            message.add_alternative(mail.html, subtype="html")
    elif mail.html is not None:
        message.set_content(mail.html, subtype="html")
    else:
        raise PermanentError("the mail has neither text nor html: give at least one")
    return message
