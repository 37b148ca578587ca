"""Field types that the events share. Each limit is stated here once, with its reason."""

import re
from functools import lru_cache
from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

try:
    import email_validator
except ModuleNotFoundError:
    # An application that only submits: the gateway checks the address.
    email_validator = None  # type: ignore[assignment]

#: RFC 5321, 4.5.3.1.3: a path is at most 256 octets with its brackets.
MAX_ADDRESS_LENGTH: Final = 254
#: RFC 5321, 4.5.3.1.1.
MAX_LOCAL_LENGTH: Final = 64
#: RFC 5322, 2.1.1 allows lines of 998; no mail client shows more than this.
MAX_SUBJECT_LENGTH: Final = 255
#: A longer body should be an attachment; it also bounds the message on the wire.
MAX_BODY_LENGTH: Final = 256 * 1024
#: Long enough for every name that a form accepts.
MAX_NAME_LENGTH: Final = 200
#: Browsers and mail clients cut links beyond this.
MAX_LINK_LENGTH: Final = 2048
#: Fields that callers add to a record; with more it is a document, not a record.
MAX_RECORD_FIELDS: Final = 200


#: An address that stays as it is if its domain may have mail. Any other takes longer to check.
_PLAIN_ADDRESS: Final = re.compile(r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@([a-z0-9.-]+)")
#: Domains whose check is remembered: it takes a sixth of the time in which a gateway accepts a mail.
_MOST_DOMAINS: Final = 4096


#: What every address is like; the pattern for those who have only the JSON Schema.
_ADDRESS_PATTERN: Final = r"^[^@\s]+@[^@\s]+$"


def _mail_address(value: str) -> str:
    if email_validator is None:
        if re.search(_ADDRESS_PATTERN, value) is None:
            raise ValueError("not a mail address")
        return value
    plain = _PLAIN_ADDRESS.fullmatch(value)
    if plain is not None and _is_plain_domain(plain[1]):
        return value
    try:
        return _checked_address(value)
    except email_validator.EmailNotValidError as refused:
        raise ValueError(f"not a mail address: {refused}") from None


def _checked_address(value: str) -> str:
    # The domain `.test` is allowed: RFC 2606 reserves it for tests.
    checked = email_validator.validate_email(
        value, allow_smtputf8=False, check_deliverability=False, test_environment=True
    )
    return checked.ascii_email or checked.normalized


@lru_cache(_MOST_DOMAINS)
def _is_plain_domain(domain: str) -> bool:
    """Whether an address in this domain is valid, and its domain stays as it is written."""
    address = f"a@{domain}"
    try:
        return _checked_address(address) == address
    except email_validator.EmailNotValidError:
        return False


#: One address (RFC 5321), an international domain in its ASCII form; deliverability is not checked.
#: The pattern is for those who have only the JSON Schema: it allows more than the check does.
MailAddress = Annotated[
    str,
    StringConstraints(min_length=3, max_length=MAX_ADDRESS_LENGTH),
    AfterValidator(_mail_address),
    Field(json_schema_extra={"pattern": _ADDRESS_PATTERN}),
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

#: Folding cannot break a link in a header, and no line of one is longer than 998 (RFC 5322, 2.1.1).
MAX_UNSUBSCRIBE_LENGTH: Final = 900


def _unambiguous_link(value: str) -> str:
    if "=?" in value:
        raise ValueError(
            "mail programs read =? in a header as the start of an encoded word (RFC 2047): write =%3F instead"
        )
    return value


#: Link to unsubscribe (RFC 2369, 3.2): over HTTPS, or by mail.
UnsubscribeLink = Annotated[
    str,
    StringConstraints(
        pattern=r"^(https://[A-Za-z0-9][!#-;=?-~]*|mailto:[!#-;=?-~]+@[!#-;=?-~]+)$",
        max_length=MAX_UNSUBSCRIBE_LENGTH,
    ),
    AfterValidator(_unambiguous_link),
]

# The types below are for new input. They are stricter than the contracts, which must read what was accepted
# earlier: the email service refuses that itself.

#: Characters that no mail may contain; and those that no single line may contain, with both as JSON Schema.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LINE_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NO_CONTROL: Final = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
_NO_LINE_CONTROL: Final = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"


def without_control_characters(value: str) -> str:
    """Returns a text of several lines unchanged.

    Raises:
        ValueError: it contains a control character that no mail may contain; the message says where.
    """
    _refuse_control(value, _CONTROL, "a mail may contain only tabs and line ends")
    return value


def _without_line_control(value: str) -> str:
    _refuse_control(value, _LINE_CONTROL, "give one line of text")
    return value


def _refuse_control(value: str, control: re.Pattern[str], advice: str) -> None:
    if (found := control.search(value)) is not None:
        raise ValueError(
            f"the control character U+{ord(found.group()):04X} at position {found.start()}: {advice}"
        )


def _unambiguous_address(value: str) -> str:
    if len(value.rpartition("@")[0]) > MAX_LOCAL_LENGTH:
        raise ValueError(
            f"not a mail address: more than {MAX_LOCAL_LENGTH} characters before the @ (RFC 5321)"
        )
    if "=?" in value:
        raise ValueError("not a mail address: mail programs read =? as an encoded word (RFC 2047)")
    return value


AcceptedAddress = Annotated[MailAddress, AfterValidator(_unambiguous_address)]


def _one_line(most: int) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "minLength": 1, "maxLength": most, "pattern": _NO_LINE_CONTROL})


AcceptedSubject = Annotated[Subject, AfterValidator(_without_line_control), _one_line(MAX_SUBJECT_LENGTH)]
AcceptedName = Annotated[PersonName, AfterValidator(_without_line_control), _one_line(MAX_NAME_LENGTH)]
AcceptedBody = Annotated[
    Body,
    AfterValidator(without_control_characters),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_BODY_LENGTH, "pattern": _NO_CONTROL}),
]
