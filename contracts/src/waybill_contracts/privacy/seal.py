"""Sealing: the sensitive fields of a payload are encrypted from before it is kept until a handler takes it.

A sealed field holds `{"$sealed": "<key>.<nonce and ciphertext in base64>"}` in place of its value:
AES-256-GCM (NIST SP 800-38D) over the value as JSON. What it belongs to, the task and the field's name, is
authenticated along with it, so that nobody can put one task's sealed address into another's.

A key is named by a digest of itself: whatever is configured where, a name never means two keys.
"""

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence
from typing import Any, Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic_core import from_json, to_json

from waybill_contracts.kinds.task_event import TaskEvent

#: The one name in the object that stands for a sealed value.
SEALED: Final = "$sealed"
KEY_BYTES: Final = 32
#: SP 800-38D, 8.2.2: 96 random bits; good for 2**32 values under one key before it must be replaced.
_NONCE_BYTES: Final = 12
#: Enough to tell the few keys of an installation apart.
_NAME_LENGTH: Final = 8


class UnknownKeyError(Exception):
    """It was sealed with a key that is not configured here; with that key it can be opened."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"sealed with key {key}, which this process does not have: add it to WAYBILL_SEALING_KEYS"
        )
        self.key = key


class SealBrokenError(Exception):
    """It was altered, or belongs to another task or field: no key will open it."""


class Keyring:
    """The keys of an installation: the first one seals, every one opens.

    Args:
        keys: 32 bytes each; without any, nothing is sealed.
        seals: False: none of them seals, not even the first.

    Raises:
        ValueError: a key is of another length.
    """

    def __init__(self, keys: Sequence[bytes] = (), *, seals: bool = True) -> None:
        if any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"a sealing key is {KEY_BYTES} bytes")
        self._ciphers = {_name(key): AESGCM(key) for key in keys}
        self._first = _name(keys[0]) if keys and seals else None

    @classmethod
    def of(cls, text: str, *, seals: bool = True) -> Self:
        """The keys of a setting: base64, several separated by commas.

        Raises:
            ValueError: one is no base64 of 32 bytes; says which one, and nothing of it.
        """
        keys = []
        for number, part in enumerate(filter(None, (part.strip() for part in text.split(","))), 1):
            try:
                key = base64.b64decode(part, altchars=b"-_", validate=True)
            except (binascii.Error, ValueError):
                key = b""
            if len(key) != KEY_BYTES:
                raise ValueError(f"key {number} is no base64 of {KEY_BYTES} bytes")
            keys.append(key)
        return cls(keys, seals=seals)

    @staticmethod
    def new_key() -> str:
        """A key made at random, as it stands in the setting."""
        return base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode()

    @property
    def names(self) -> tuple[str, ...]:
        """What the keys are called in sealed values; the first is the one that seals."""
        return tuple(self._ciphers)

    def seal(self, value: Any, about: str) -> Any:
        """A value that is JSON, sealed; as it is where there is no key.

        Args:
            value: the value.
            about: what it belongs to; only with the same words can it be opened.
        """
        if self._first is None:
            return value
        nonce = os.urandom(_NONCE_BYTES)
        hidden = self._ciphers[self._first].encrypt(nonce, to_json(value), about.encode())
        return {SEALED: f"{self._first}.{base64.b64encode(nonce + hidden).decode()}"}

    def open(self, value: Any, about: str) -> Any:
        """What was sealed; what was not is given back as it is.

        Raises:
            UnknownKeyError: its key is not here.
            SealBrokenError: it is not what was sealed, or not about this.
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
            raise SealBrokenError("it was altered since it was sealed, or belongs to another task") from None

    def sealed_payload(self, event: TaskEvent, task_id: str) -> bytes:
        """The payload of an event as it is kept and sent: JSON, its sensitive fields sealed."""
        payload = event.model_dump(mode="json", exclude_defaults=True)
        return to_json(self.seal_fields(payload, event.sensitive_fields(), task_id))

    def seal_fields(self, payload: dict[str, Any], names: frozenset[str], owner: str) -> dict[str, Any]:
        """A payload with these fields sealed.

        Args:
            payload: JSON, in which nothing is sealed yet.
            names: of the fields.
            owner: the id of the task or schedule that it belongs to.
        """
        return {
            name: self.seal(value, _about(owner, name)) if name in names else value
            for name, value in payload.items()
        }

    def open_fields(self, payload: dict[str, Any], owner: str) -> dict[str, Any]:
        """A payload with every sealed field opened.

        Raises:
            UnknownKeyError, SealBrokenError: as `open`; the latter names the field.
        """
        opened = {}
        for name, value in payload.items():
            try:
                opened[name] = self.open(value, _about(owner, name))
            except SealBrokenError as error:
                raise SealBrokenError(f"{name}: {error}") from None
        return opened


#: Seals nothing, and opens nothing that is sealed.
NO_KEYS: Final = Keyring()


def is_sealed(value: Any) -> bool:
    """Whether a value of a payload is sealed."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(SEALED), str)


def may_be_sealed(body: bytes) -> bool:
    """Whether a payload may have sealed fields; False is certain, and quickly found."""
    return b'"$sealed"' in body


def _name(key: bytes) -> str:
    return hashlib.sha256(b"waybill sealing key" + key).hexdigest()[:_NAME_LENGTH]


def _about(owner: str, field: str) -> str:
    return f"{owner}/{field}"
