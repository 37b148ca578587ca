"""State of the mailbox: the newest mails, decoded for a reader."""

from collections import deque
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import getaddresses

from pydantic import BaseModel, ConfigDict, Field

#: Mails that are kept; enough for a bulk test of some thousands.
MAX_MAILS = 10_000
#: Bytes as received that are kept in all: 10,000 mails of the largest size would not fit into memory.
MAX_KEPT_BYTES = 256 * 1024 * 1024


class Mail(BaseModel):
    """One received mail, as `GET /api/messages` shows it: headers decoded, parts as text."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, serialize_by_alias=True)

    id: str
    message_id: str | None
    sender: str = Field(alias="from")
    to: list[str]
    subject: str
    text: str | None
    html: str | None
    received_at: datetime


def parse_mail(mail_id: str, content: bytes, mail_from: str, recipients: list[str]) -> Mail:
    """Read a mail as it came over SMTP (RFC 5322, MIME).

    Args:
        mail_id: the mailbox's own id for it.
        content: headers and body as received.
        mail_from: the envelope's sender, used where the mail has no From header.
        recipients: the envelope's recipients, used where the mail has no To header.
    """
    message = message_from_bytes(content, _class=EmailMessage, policy=policy.default)
    to = [
        address
        for _, address in getaddresses([str(header) for header in message.get_all("To", [])])
        if address
    ]
    message_id = message["Message-ID"]
    return Mail(
        id=mail_id,
        message_id=str(message_id).strip() if message_id is not None else None,
        sender=str(message["From"] or mail_from),
        to=to or recipients,
        subject=str(message["Subject"] or ""),
        text=_body(message, "plain"),
        html=_body(message, "html"),
        received_at=datetime.now(UTC),
    )


def _body(message: EmailMessage, subtype: str) -> str | None:
    part = message.get_body(preferencelist=(subtype,))
    if part is None:
        return None
    try:
        content = part.get_content()
    except LookupError:  # a charset that Python does not know: show what can be shown
        payload = part.get_payload(decode=True)
        content = payload.decode("utf-8", errors="replace") if isinstance(payload, bytes) else ""
    return str(content).replace("\r\n", "\n")


class Mails:
    """The newest mails, oldest first; older ones are dropped above either limit."""

    def __init__(self, max_mails: int = MAX_MAILS, max_bytes: int = MAX_KEPT_BYTES) -> None:
        self._kept: deque[tuple[Mail, int]] = deque()
        self._max_mails = max_mails
        self._max_bytes = max_bytes
        self._bytes = 0
        self._received = 0

    def __len__(self) -> int:
        return len(self._kept)

    def receive(self, content: bytes, mail_from: str, recipients: list[str]) -> Mail:
        """Keep a mail and return it; see `parse_mail` for the arguments."""
        self._received += 1
        mail = parse_mail(str(self._received), content, mail_from, recipients)
        self._kept.append((mail, len(content)))
        self._bytes += len(content)
        while len(self._kept) > self._max_mails or self._bytes > self._max_bytes:
            _, size = self._kept.popleft()
            self._bytes -= size
        return mail

    def all(self) -> list[Mail]:
        """Every kept mail, oldest first."""
        return [mail for mail, _ in self._kept]

    def clear(self) -> None:
        """Delete every mail; ids continue."""
        self._kept.clear()
        self._bytes = 0
