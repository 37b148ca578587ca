"""Persons: their tasks are found by a keyed digest of their mail address, which tells nobody the address."""

import hmac
from typing import Final

from pydantic import TypeAdapter

from contracts.fields import MailAddress

#: Of the digest, in hexadecimal: 128 bits, so that no two persons meet.
DIGEST_LENGTH: Final = 32
_ADDRESS: TypeAdapter[str] = TypeAdapter(MailAddress)


class Persons:
    """Makes digests of persons.

    Args:
        key: without it nobody who has the ledger can try addresses.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def digest(self, address: str) -> str:
        """What the ledger knows a person by; the same however the address is written in capitals."""
        normal = address.strip().casefold()
        return hmac.digest(self._key, normal.encode(), "sha256").hex()[:DIGEST_LENGTH]

    def asked_for(self, text: str) -> str | None:
        """The digest of an address that somebody gives; None if it is none.

        An international domain is brought into the form that tasks have it in.
        """
        try:
            return self.digest(_ADDRESS.validate_python(text.strip()))
        except ValueError:
            return None
