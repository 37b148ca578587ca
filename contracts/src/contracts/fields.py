"""Field types that the events share; each limit is stated here once, with its reason."""

from typing import Annotated, Final

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field, StringConstraints

#: RFC 5321, 4.5.3.1.3: a path is at most 256 octets with its brackets.
MAX_ADDRESS_LENGTH: Final = 254
#: RFC 5322, 2.1.1 allows lines of 998; no mail client shows more than this.
MAX_SUBJECT_LENGTH: Final = 255
#: A mail body of more is an attachment in disguise; it also bounds the message on the wire.
MAX_BODY_LENGTH: Final = 256 * 1024
#: Long enough for every name that a form accepts.
MAX_NAME_LENGTH: Final = 200
#: Browsers and mail clients cut links beyond this.
MAX_LINK_LENGTH: Final = 2048


def _mail_address(value: str) -> str:
    # The domain `.test` is allowed, for it is what RFC 2606 reserves for trying things out.
    try:
        checked = validate_email(
            value, allow_smtputf8=False, check_deliverability=False, test_environment=True
        )
    except EmailNotValidError as refused:
        raise ValueError(f"not a mail address: {refused}") from None
    return checked.ascii_email or checked.normalized


#: One address (RFC 5321), an international domain in its ASCII form; deliverability is not looked up.
MailAddress = Annotated[
    str, StringConstraints(min_length=3, max_length=MAX_ADDRESS_LENGTH), AfterValidator(_mail_address)
]
#: A header value: one line, no control characters.
OneLine = StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\x00-\x1f\x7f]*$")
Subject = Annotated[str, OneLine, Field(max_length=MAX_SUBJECT_LENGTH)]
PersonName = Annotated[str, OneLine, Field(max_length=MAX_NAME_LENGTH)]
Body = Annotated[str, Field(min_length=1, max_length=MAX_BODY_LENGTH)]
#: A label that callers sort their work by.
Category = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Link = Annotated[str, StringConstraints(pattern=r"^https?://[^\s<>\"]+$", max_length=MAX_LINK_LENGTH)]
#: The name of a configured target system, and of a kind of record in it: one segment of a URL path.
TargetName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
ResourceName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
#: A record's own id: one segment of a URL path, so it begins with no dot and holds no slash.
RecordId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._~@+-]{0,127}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
