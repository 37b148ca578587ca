"""Digests of persons and of posted content: the ledger finds both by them, and they reveal neither."""

import hashlib
import hmac
from typing import Annotated, Final

from pydantic import BaseModel, Field, SecretStr, TypeAdapter

from waybill_contracts.kinds import MailAddress

#: Hexadecimal digits of a digest: 128 bits, so that no two persons have the same one.
DIGEST_LENGTH: Final = 32
#: The key if none is configured.
_NO_SECRET: Final = b"waybill"
#: From it and the key, the key for the content of calls is derived.
_OF_CALLS: Final = b"waybill idempotent calls"
_ADDRESS: TypeAdapter[str] = TypeAdapter(MailAddress)


class Persons:
    """Makes digests of persons, and of posted content.

    Args:
        key: only with it can one check by trial what a digest was made of; None: a publicly known key.
    """

    def __init__(self, key: bytes | None) -> None:
        # Begun once for all: to set up the key takes half of the time of a digest.
        self._of_persons = hmac.new(_NO_SECRET if key is None else key, digestmod="sha256")
        # One key for each use, so that no digest of an address equals one of a call.
        self._calls_key = None if key is None else hmac.digest(key, _OF_CALLS, "sha256")

    def digest(self, address: str) -> str:
        """The digest of a person's mail address; upper and lower case do not matter."""
        normal = address.strip().casefold()
        made = self._of_persons.copy()
        made.update(normal.encode())
        return made.hexdigest()[:DIGEST_LENGTH]

    def fingerprint(self, content: bytes) -> str:
        """The digest of the content of a call."""
        if self._calls_key is None:
            return hashlib.sha256(content).hexdigest()
        return hmac.digest(self._calls_key, content, "sha256").hex()

    def asked_for(self, text: str) -> str | None:
        """The digest of a mail address as a caller wrote it; None if it is none.

        An international domain is converted to its ASCII form, as tasks have it.
        """
        try:
            return self.digest(_ADDRESS.validate_python(text.strip()))
        except ValueError:
            return None


class PersonSettings(BaseModel):
    """The key of the digests as a setting, with the same name in every process that makes them."""

    persons_key: Annotated[SecretStr, Field(min_length=16)] | None = Field(
        None,
        description="Key for the digests by which persons and repeated calls are found: any long random "
        "text. Never change it: older tasks would not be found any more, and repeated calls be refused.",
    )

    def digests(self, *, is_sealing: bool) -> Persons:
        """The maker of digests.

        Args:
            is_sealing: whether payloads are sealed; if not, the ledger holds the addresses anyway.

        Raises:
            ValueError: there is no key, though payloads are sealed.
        """
        if self.persons_key is not None:
            return Persons(self.persons_key.get_secret_value().encode())
        if is_sealing:
            raise ValueError(
                "WAYBILL_PERSONS_KEY is not set: without it, the ledger shows by trial which persons it is "
                "about. `python -m waybill_deploy key` makes one; with WAYBILL_SEALING=off none is needed."
            )
        return Persons(None)
