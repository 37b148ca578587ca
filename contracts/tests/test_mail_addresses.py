"""Addresses of mails: plain ones are checked faster than email-validator does, with the same result."""

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from waybill_contracts.kinds import MAX_ADDRESS_LENGTH, MailAddress

ADDRESS: TypeAdapter[str] = TypeAdapter(MailAddress)
#: What makes a difference in addresses, plain or not.
PARTS = (
    "a",
    "info",
    "INFO",
    "1",
    "-",
    "--",
    "xn--",
    "xn--bcher-kva",
    ".",
    "_",
    "+",
    "ü",
    "ab",
    "A",
    "=?",
    '"',
    " ",
)
DOMAINS = (
    "example.com",
    "example.test",
    "test",
    "localhost",
    "invalid",
    "local",
    "Example.COM",
    "b.c",
    "1.2",
)
locals_of_addresses = st.lists(st.sampled_from(PARTS), max_size=6).map("".join)
domains = st.sampled_from(DOMAINS) | st.lists(st.sampled_from((*PARTS, *DOMAINS)), max_size=6).map("".join)


def by_library(address: str) -> str:
    """What email-validator makes of an address; its message if it refuses it."""
    try:
        checked = validate_email(
            address, allow_smtputf8=False, check_deliverability=False, test_environment=True
        )
    except EmailNotValidError as refused:
        return f"Value error, not a mail address: {refused}"
    return checked.ascii_email or checked.normalized


def by_us(address: str) -> str:
    """What the type makes of an address; its message if it refuses it."""
    try:
        return ADDRESS.validate_python(address)
    except ValidationError as error:
        return error.errors()[0]["msg"]


@given(local=locals_of_addresses, domain=domains)
def test_an_address_is_checked_as_its_library_checks_it(local: str, domain: str) -> None:
    address = f"{local}@{domain}"

    # The second time, what is remembered of its domain decides.
    if len(address) >= 3:
        assert by_us(address) == by_us(address) == by_library(address)


@pytest.mark.parametrize("domain", ["example.com", "mail.example.co.uk", "xn--bcher-kva.example.org"])
@pytest.mark.parametrize("local", ["ann", "ann.smith", "ann+orders", "a-b_c", "1"])
def test_a_plain_address_stays_as_it_is(local: str, domain: str) -> None:
    assert by_us(f"{local}@{domain}") == f"{local}@{domain}"


def test_a_plain_address_that_is_too_long_is_refused_though_its_domain_is_known() -> None:
    domain = f"{'b' * 60}.example.com"
    assert by_us(f"ann@{domain}") == f"ann@{domain}"

    with pytest.raises(ValidationError, match="at most 254 characters"):
        ADDRESS.validate_python(f"{'a' * MAX_ADDRESS_LENGTH}@{domain}")


def test_without_email_validator_an_address_is_only_one_by_its_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("waybill_contracts.kinds.fields.email_validator", None)

    assert ADDRESS.validate_python("ann@nowhere") == "ann@nowhere"
    for wrong in ("ann", "ann@", "a b@example.com", "ann@exa mple"):
        with pytest.raises(ValidationError):
            ADDRESS.validate_python(wrong)
