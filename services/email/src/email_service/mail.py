"""A mail as the handlers hand it over, and as it goes onto the wire."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr

from chassis.errors import PermanentError

#: A dot-atom local part and a host name in ASCII: RFC 5321, 4.1.2, without quoted strings and address
#: literals, which hardly a mailbox needs and which can smuggle something onto a command line.
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
#: RFC 5321, 4.5.3.1.3: a path of 256 octets with its brackets.
_MAX_ADDRESS_LENGTH = 254
#: The left side of a Message-ID: RFC 5322, 3.6.4, `dot-atom-text`.
_ID_LEFT = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
#: Never part of a header's text; EmailMessage refuses line breaks only.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
#: Seven-bit whatever the server can do, so that the bytes are made before a connection is taken.
_POLICY = policy.SMTP.clone(cte_type="7bit")


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """One mail to one address.

    Attributes:
        to: the recipient's address, ASCII, without a display name.
        subject: one line.
        text: the plain body, if there is one; at least one of the two bodies is needed.
        html: the HTML body, if there is one.
        message_id: what stands before the `@` of the `Message-ID`; the same for every repeat of the mail.
        category: the sender's label, sent as `X-Category`.
    """

    to: str
    subject: str
    text: str | None
    html: str | None
    message_id: str
    category: str | None = None


@dataclass(frozen=True, slots=True)
class ComposedMail:
    """A mail ready for the wire: envelope, full `Message-ID` with brackets, bytes (7-bit, CRLF)."""

    sender: str
    recipient: str
    message_id: str
    content: bytes


def parse_sender(sender: str) -> Address:
    """Read the configured sender, `no-reply@example.com` or `Example <no-reply@example.com>`.

    Raises:
        ValueError: it is not one plain ASCII address, or has line breaks.
    """
    name, address = parseaddr(sender)
    if _CONTROL.search(sender) or not _is_plain(address):
        raise ValueError(
            f"the sender {sender!r} is not a mail address: write no-reply@example.com "
            "or Example <no-reply@example.com>"
        )
    return Address(display_name=name, addr_spec=address)


def compose(mail: OutgoingMail, sender: Address) -> ComposedMail:
    """Build the message (RFC 5322, with `Auto-Submitted` of RFC 3834) and its envelope.

    Raises:
        PermanentError: it cannot be sent: a malformed address, no body, a header that is not one line.
    """
    if not _is_plain(mail.to):
        raise PermanentError(
            f"cannot mail to {mail.to!r:.300}: expected one address in ASCII, such as ada@example.com, "
            "an international domain in its xn-- form"
        )
    if not _ID_LEFT.fullmatch(mail.message_id):
        raise PermanentError(f"{mail.message_id!r:.300} cannot stand in a Message-ID (RFC 5322, 3.6.4)")
    message_id = f"<{mail.message_id}@{sender.domain}>"
    message = EmailMessage(policy=_POLICY)
    message["Message-ID"] = message_id
    message["Date"] = format_datetime(datetime.now(UTC))
    message["From"] = sender
    message["To"] = Address(addr_spec=mail.to)
    message["Auto-Submitted"] = "auto-generated"
    _set_line(message, "Subject", mail.subject)
    if mail.category is not None:
        _set_line(message, "X-Category", mail.category)
    _set_bodies(message, mail)
    return ComposedMail(sender.addr_spec, mail.to, message_id, message.as_bytes())


def _is_plain(address: str) -> bool:
    return len(address) <= _MAX_ADDRESS_LENGTH and _ADDRESS.fullmatch(address) is not None


def _set_line(message: EmailMessage, name: str, value: str) -> None:
    if _CONTROL.search(value):
        raise PermanentError(
            f"the mail's {name} holds a line break or another control character: send one line"
        )
    try:
        message[name] = value
    except ValueError as refused:
        # The line breaks of Unicode (U+2028 …), which the policy knows and the expression above does not.
        raise PermanentError(f"the mail's {name} is not one line: {refused}") from refused


def _set_bodies(message: EmailMessage, mail: OutgoingMail) -> None:
    if mail.text is not None:
        message.set_content(mail.text)
        if mail.html is not None:
            message.add_alternative(mail.html, subtype="html")
    elif mail.html is not None:
        message.set_content(mail.html, subtype="html")
    else:
        raise PermanentError("the mail has neither text nor html: give at least one")
