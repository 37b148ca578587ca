"""Sealing: the sensitive fields of a payload are encrypted from before it is stored until a handler gets it.

A sealed field holds `{"$sealed": "<key>.<nonce and ciphertext in base64>"}` instead of its value:
AES-256-GCM (NIST SP 800-38D) of the value as JSON. The task and the name of the field are authenticated
too, so that the sealed address of one task cannot be put into another.

The name of a key is a digest of the key: one name never means two keys, whatever is configured.
"""

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Sequence
from typing import Any, Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic_core import from_json, to_json

from waybill_contracts.events import Event

#: The only name in the object that replaces a sealed value.
SEALED: Final = "$sealed"
KEY_BYTES: Final = 32
#: SP 800-38D, 8.2.2: 96 random bits; enough for 2**32 values under one key.
_NONCE_BYTES: Final = 12
#: 128 bits of a signature cannot be found by trial.
_DIGEST_BYTES: Final = 16
_SIGNING: Final = b"waybill signing key"
#: Enough to distinguish the few keys of an installation.
_NAME_LENGTH: Final = 8


class UnknownKeyError(Exception):
    """The value was sealed with a key that is not configured here."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"sealed with key {key}, which this process does not have: add it to WAYBILL_SEALING_KEYS"
        )
        self.key = key


class SealBrokenError(Exception):
    """The sealed value was altered, or belongs to another task or field."""


class Keyring:
    """The keys of an installation: the first key seals, all of them open.

    Args:
        keys: 32 bytes each; without keys, nothing is sealed.
        seals: False: all keys only open.

    Raises:
        ValueError: a key has another length.
    """

    def __init__(self, keys: Sequence[bytes] = (), *, seals: bool = True) -> None:
        if any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"a sealing key must have {KEY_BYTES} bytes")
        self._ciphers = {_name(key): AESGCM(key) for key in keys}
        #: Keys of their own: no signature is of use to one who looks for a sealing key.
        self._signing = {_name(key): hmac.digest(key, _SIGNING, "sha256") for key in keys}
        self._first = _name(keys[0]) if keys and seals else None

    @classmethod
    def of(cls, text: str, *, seals: bool = True) -> Self:
        """Reads the keys from a setting: base64, separated by commas.

        Raises:
            ValueError: a key is not base64 of 32 bytes; the message has its number, but no part of it.
        """
        keys = []
        for number, part in enumerate(filter(None, (part.strip() for part in text.split(","))), 1):
            try:
                key = base64.b64decode(part, altchars=b"-_", validate=True)
            except (binascii.Error, ValueError):
                key = b""
            if len(key) != KEY_BYTES:
                raise ValueError(f"key {number} is not base64 of {KEY_BYTES} bytes")
            keys.append(key)
        return cls(keys, seals=seals)

    @staticmethod
    def new_key() -> str:
        """A random key, as written in the setting."""
        return base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the keys in sealed values; the first is the one that seals."""
        return tuple(self._ciphers)

    def seal(self, value: Any, about: str) -> Any:
        """Seals a JSON value; returns it unchanged if no key seals.

        Args:
            value: the value.
            about: what it belongs to; it can only be opened with the same text.
        """
        if self._first is None:
            return value
        nonce = os.urandom(_NONCE_BYTES)
        hidden = self._ciphers[self._first].encrypt(nonce, to_json(value), about.encode())
        return {SEALED: f"{self._first}.{base64.b64encode(nonce + hidden).decode()}"}

    def open(self, value: Any, about: str) -> Any:
        """Opens a sealed value; returns any other value unchanged.

        Raises:
            UnknownKeyError: its key is not configured here.
            SealBrokenError: it was altered, or `about` is another.
        """
        if not is_sealed(value):
            return value
        name, _, text = value[SEALED].partition(".")
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise UnknownKeyError(name[:_NAME_LENGTH])
        try:
            content = base64.b64decode(text, validate=True)
            return from_json(cipher.decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], about.encode()))
        except (InvalidTag, ValueError):
            raise SealBrokenError("the value was altered after sealing, or belongs to another task") from None

    @property
    def can_sign(self) -> bool:
        """Whether there is a key that signs: the one that seals."""
        return self._first is not None

    def sign(self, text: str) -> str:
        """A signature in hexadecimal of a text that begins with its purpose.

        Raises:
            RuntimeError: no key signs.
        """
        if self._first is None:
            raise RuntimeError("there is no key that signs")
        return self._first + self._digest(self._first, text)

    def has_signed(self, text: str, signature: str) -> bool:
        """Whether one of the keys has made this signature of `text`; in constant time for each key."""
        name, digest = signature[:_NAME_LENGTH], signature[_NAME_LENGTH:]
        if name not in self._signing or not digest.isascii():
            return False
        return hmac.compare_digest(self._digest(name, text), digest)

    def _digest(self, name: str, text: str) -> str:
        return hmac.digest(self._signing[name], text.encode(), "sha256")[:_DIGEST_BYTES].hex()

    def sealed_payload(self, event: Event, task_id: str) -> bytes:
        """The payload of an event as stored and sent: JSON with the sensitive fields sealed."""
        return to_json(self.seal_fields(event.event_data(), event.sensitive_fields(), task_id))

    def seal_fields(self, payload: dict[str, Any], names: frozenset[str], owner: str) -> dict[str, Any]:
        """Returns a payload with these fields sealed.

        Args:
            payload: JSON without sealed fields.
            names: of the fields to seal.
            owner: id of the task or schedule that the payload belongs to.
        """
        return {
            name: self.seal(value, _about(owner, name)) if name in names else value
            for name, value in payload.items()
        }

    def open_fields(self, payload: dict[str, Any], owner: str) -> dict[str, Any]:
        """Returns a payload with every sealed field opened.

        Raises:
            UnknownKeyError, SealBrokenError: see `open`; the latter names the field.
        """
        opened = {}
        for name, value in payload.items():
            try:
                opened[name] = self.open(value, _about(owner, name))
            except SealBrokenError as error:
                raise SealBrokenError(f"{name}: {error}") from None
        return opened


#: Has no keys: seals nothing, and cannot open a sealed value.
NO_KEYS: Final = Keyring()


def is_sealed(value: Any) -> bool:
    """Whether a value of a payload is sealed."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(SEALED), str)


def may_be_sealed(body: bytes) -> bool:
    """Whether a payload may have sealed fields: a fast check; False is certain."""
    return b'"$sealed"' in body


def _name(key: bytes) -> str:
    return hashlib.sha256(b"waybill sealing key" + key).hexdigest()[:_NAME_LENGTH]


def _about(owner: str, field: str) -> str:
    return f"{owner}/{field}"
