"""Payloads with their sealed fields opened, for a reveal. Secrets stay hidden from everyone. Pure."""

import base64
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic_core import from_json

from waybill_contracts.privacy import Keyring, SealBrokenError, is_sealed
from waybill_contracts.registry import Kind
from waybill_ledger.access.redaction import REDACTED


class Hidden(StrEnum):
    """Why a field is not revealed."""

    #: The contract marks it as a secret.
    SECRET = "secret"  # noqa: S105 - a word of the API
    #: It is sealed, and no contract of this release knows it: it may be a secret.
    UNKNOWN = "unknown"
    #: It was altered after it was sealed, or belongs to another task: no key opens it.
    ALTERED = "altered"


@dataclass(frozen=True, slots=True)
class Revealed:
    """A payload as a caller with the scope `reveal` may see it."""

    kind: str | None
    dataschema: str | None
    #: JSON; None if the body is not JSON.
    payload: Any = None
    #: The body if it is not JSON.
    body_base64: str | None = None
    #: Fields that are `REDACTED`, each with the reason; `body`: all of it.
    hidden: Mapping[str, Hidden] = field(default_factory=dict)


def revealed(
    name: str | None,
    kind: Kind | None,
    dataschema: str | None,
    body: bytes,
    keyring: Keyring,
    owner: str,
) -> Revealed:
    """A body with its sealed fields opened.

    Args:
        name: of the kind of its task; None if unknown.
        kind: the kind; None: it is not registered.
        dataschema: contract and version of the body.
        body: as stored.
        keyring: opens the fields.
        owner: id of the task or schedule that the fields are sealed for.

    Raises:
        UnknownKeyError: a field was sealed with a key that is not in the keyring.
    """
    try:
        payload = from_json(body)
    except ValueError:
        payload = None
    if not isinstance(payload, dict):
        if kind is not None and kind.secret:
            return Revealed(name, dataschema, hidden={"body": Hidden.SECRET})
        raw = None if payload is not None or body == b"null" else base64.b64encode(body).decode()
        return Revealed(name, dataschema, payload, raw)
    hidden = never_revealed(kind, sealed_names(payload))
    opened: dict[str, Any] = {}
    for field_name, value in payload.items():
        try:
            is_hidden = field_name in hidden
            opened |= {field_name: REDACTED} if is_hidden else keyring.open_fields({field_name: value}, owner)
        except SealBrokenError:
            opened[field_name] = REDACTED
            hidden[field_name] = Hidden.ALTERED
    return Revealed(name, dataschema, opened, hidden=_of(payload, hidden))


def revealed_edit(
    name: str | None, kind: Kind | None, dataschema: str | None, payload: Any, secret: Collection[str]
) -> Revealed:
    """An edited payload, which is open already.

    Args:
        name: of the kind of its task.
        kind: the kind; None: it is not registered.
        dataschema: contract and version of the edited payload.
        payload: JSON; None if there is none.
        secret: fields that are never revealed.
    """
    if not isinstance(payload, dict):
        return Revealed(name, None)
    hidden = never_revealed(kind, secret)
    shown = {each: REDACTED if each in hidden else value for each, value in payload.items()}
    return Revealed(name, dataschema, shown, hidden=_of(payload, hidden))


def never_revealed(kind: Kind | None, sealed: Collection[str]) -> dict[str, Hidden]:
    """Fields that are never revealed, each with the reason.

    Args:
        kind: of the task; None: it is not registered.
        sealed: sealed fields; one that no contract knows may be a secret.
    """
    known = kind.fields if kind is not None else frozenset()
    unknown = {name: Hidden.UNKNOWN for name in sealed if name not in known}
    return unknown | dict.fromkeys(kind.secret if kind is not None else (), Hidden.SECRET)


def sealed_names(payload: Mapping[str, Any]) -> frozenset[str]:
    """Sealed fields, including those that the contract does not know."""
    return frozenset(name for name, value in payload.items() if is_sealed(value))


def _of(payload: Mapping[str, Any], hidden: Mapping[str, Hidden]) -> dict[str, Hidden]:
    return {name: why for name, why in hidden.items() if name in payload}
