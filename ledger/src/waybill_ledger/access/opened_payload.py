"""Payloads with their sealed fields opened, for a reveal. Secrets stay hidden from everyone. Pure."""

import base64
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic_core import from_json

from waybill_contracts.events import Event
from waybill_contracts.kinds import CATALOG
from waybill_contracts.privacy import Keyring, SealBrokenError, is_sealed
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


def revealed(kind: str | None, dataschema: str | None, body: bytes, keyring: Keyring, owner: str) -> Revealed:
    """A body with its sealed fields opened.

    Args:
        kind: of its task; None if unknown.
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
        if (event := _event(kind)) is not None and event.holds_secrets():
            return Revealed(kind, dataschema, hidden={"body": Hidden.SECRET})
        raw = None if payload is not None or body == b"null" else base64.b64encode(body).decode()
        return Revealed(kind, dataschema, payload, raw)
    hidden = never_revealed(kind, sealed_names(payload))
    opened: dict[str, Any] = {}
    for name, value in payload.items():
        try:
            opened |= {name: REDACTED} if name in hidden else keyring.open_fields({name: value}, owner)
        except SealBrokenError:
            opened[name] = REDACTED
            hidden[name] = Hidden.ALTERED
    return Revealed(kind, dataschema, opened, hidden=_of(payload, hidden))


def revealed_edit(kind: str | None, payload: Any, secret: Collection[str]) -> Revealed:
    """An edited payload, which is open already.

    Args:
        kind: of its task.
        payload: JSON, of the current version of the contract; None if there is none.
        secret: fields that are never revealed.
    """
    if not isinstance(payload, dict):
        return Revealed(kind, None)
    hidden = never_revealed(kind, secret)
    shown = {name: REDACTED if name in hidden else value for name, value in payload.items()}
    event = _event(kind)
    return Revealed(kind, event.dataschema() if event else None, shown, hidden=_of(payload, hidden))


def never_revealed(kind: str | None, sealed: Collection[str]) -> dict[str, Hidden]:
    """Fields that are never revealed, each with the reason.

    Args:
        kind: of the task.
        sealed: sealed fields; one that no contract knows may be a secret.
    """
    event = _event(kind)
    known = event.model_fields.keys() if event else ()
    unknown = {name: Hidden.UNKNOWN for name in sealed if name not in known}
    return unknown | dict.fromkeys(event.secret_fields() if event else (), Hidden.SECRET)


def sealed_names(payload: Mapping[str, Any]) -> frozenset[str]:
    """Sealed fields, including those that the contract does not know."""
    return frozenset(name for name, value in payload.items() if is_sealed(value))


def _event(kind: str | None) -> type[Event] | None:
    return CATALOG[kind].event if kind is not None and kind in CATALOG else None


def _of(payload: Mapping[str, Any], hidden: Mapping[str, Hidden]) -> dict[str, Hidden]:
    return {name: why for name, why in hidden.items() if name in payload}
