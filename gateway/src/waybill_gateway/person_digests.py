"""Persons: what is kept of them, and of what was posted about them, is digests that tell nobody anything."""

import hashlib
import hmac
from typing import Final

from pydantic import TypeAdapter

from waybill_contracts.kinds.fields import MailAddress

#: Of the digest, in hexadecimal: 128 bits, so that no two persons meet.
DIGEST_LENGTH: Final = 32
#: In the place of the key where there is none.
_NO_SECRET: Final = b"waybill"
#: What the key for the content of calls is derived with.
_OF_CALLS: Final = b"waybill idempotent calls"
_ADDRESS: TypeAdapter[str] = TypeAdapter(MailAddress)


class Persons:
    """Makes digests of persons, and of what was posted about them.

    Args:
        key: without it nobody who has the ledger can try what they are of; None: anybody can.
    """

    def __init__(self, key: bytes | None) -> None:
        self._key = _NO_SECRET if key is None else key
        # One of its own for each use: no digest of an address is one of a call.
        self._calls_key = None if key is None else hmac.digest(key, _OF_CALLS, "sha256")

    def digest(self, address: str) -> str:
        """What the ledger knows a person by; the same however the address is written in capitals."""
        normal = address.strip().casefold()
        return hmac.digest(self._key, normal.encode(), "sha256").hex()[:DIGEST_LENGTH]

    def fingerprint(self, content: bytes) -> str:
        """What the ledger knows the content of a call by."""
        if self._calls_key is None:
            return hashlib.sha256(content).hexdigest()
        return hmac.digest(self._calls_key, content, "sha256").hex()

    def asked_for(self, text: str) -> str | None:
        """The digest of an address that somebody gives; None if it is none.

        An international domain is brought into the form that tasks have it in.
        """
        try:
            return self.digest(_ADDRESS.validate_python(text.strip()))
        except ValueError:
            return None
