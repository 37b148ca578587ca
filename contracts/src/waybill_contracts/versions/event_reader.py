"""Reads a task event of any released version, for consumers and the failure desk."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import from_json

from waybill_contracts.events import Event
from waybill_contracts.privacy import Keyring, SealBrokenError, may_be_sealed
from waybill_contracts.versions.upcasters import UPCASTERS, Upcasters

_DATASCHEMA: Final = re.compile(r"urn:waybill:(?P<kind>.+):v(?P<version>[1-9][0-9]{0,5})")


#: Opens the sealed fields of a payload.
Opener = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Fault:
    """One violation of a contract by a payload; without values, which may be private."""

    #: Dotted path from the root; `dataschema` if the version is the problem; for a rule on several fields
    #: those that its message names, joined by `, `, or `body`.
    field: str
    message: str


class InvalidPayloadError(ValueError):
    """This release cannot read the payload."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.message}" for fault in faults))
        self.faults = faults


class NewerVersionError(InvalidPayloadError):
    """The payload is of a newer version than this release reads; a newer release can read it."""


@dataclass(frozen=True, slots=True)
class ReadEvent:
    """An event read from a payload."""

    event: Event
    #: Whether the payload was of an older version.
    is_upcast: bool


def opener(keyring: Keyring, owner: str) -> Opener:
    """Returns what opens fields that were sealed for the task or schedule with the id `owner`."""
    return partial(keyring.open_fields, owner=owner)


#: For payloads without sealed fields: what looks like one is then the text of a caller.
NOTHING_OPENED: Final[Opener] = dict


def read_event(
    event: type[Event],
    dataschema: str,
    body: bytes,
    *,
    opened: Opener,
    upcasters: Upcasters = UPCASTERS,
) -> ReadEvent:
    """Reads a payload by the current contract of `event`.

    Args:
        event: the contract.
        dataschema: contract and version of the payload.
        body: JSON.
        opened: opens its sealed fields.
        upcasters: convert older versions.

    Raises:
        NewerVersionError: the version is newer than this release.
        InvalidPayloadError: the kind is another, the version is not read any more, the body breaks the
            contract, or a sealed field was altered.
        UnknownKeyError: the key that sealed it is not configured here; the payload may be valid.
    """
    is_current = dataschema == event.dataschema()
    try:
        if is_current and not may_be_sealed(body):
            return ReadEvent(event.model_validate_json(body), is_upcast=False)
        payload = current_payload(event, dataschema, body, opened=opened, upcasters=upcasters)
        return ReadEvent(event.model_validate(payload), is_upcast=not is_current)
    except ValidationError as error:
        raise InvalidPayloadError(
            [_fault(event, line["loc"], line["msg"]) for line in error.errors()]
        ) from None


def current_payload(
    event: type[Event],
    dataschema: str,
    body: bytes,
    *,
    opened: Opener,
    upcasters: Upcasters = UPCASTERS,
) -> dict[str, Any]:
    """A payload converted to the current version of the contract, but not validated.

    Raises:
        InvalidPayloadError: it cannot be converted.
        UnknownKeyError: see `read_event`.
    """
    version = _version(event, dataschema)
    return _upcast(event, version, json_object(body, opened), upcasters)


def json_object(body: bytes, opened: Opener) -> dict[str, Any]:
    """A payload in its own version, with its sealed fields opened.

    Raises:
        InvalidPayloadError: it is not a JSON object, or a sealed field was altered.
        UnknownKeyError: see `read_event`.
    """
    try:
        value = from_json(body)
    except ValueError as error:
        raise InvalidPayloadError([Fault("body", f"Invalid JSON: {error}")]) from None
    if not isinstance(value, dict):
        raise InvalidPayloadError([Fault("body", "Input should be an object")])
    try:
        return opened(value)
    except SealBrokenError as error:
        raise InvalidPayloadError([Fault("body", str(error))]) from None


def _version(event: type[Event], dataschema: str) -> int:
    match = _DATASCHEMA.fullmatch(dataschema)
    if match is None or match["kind"] != event.KIND:
        raise InvalidPayloadError([Fault("dataschema", f"{dataschema} is not a version of {event.KIND}")])
    version = int(match["version"])
    if version > event.VERSION:
        raise NewerVersionError(
            [
                Fault(
                    "dataschema",
                    f"{dataschema} is newer than the version that this release reads: {event.dataschema()}",
                )
            ]
        )
    return version


def _upcast(
    event: type[Event], version: int, payload: dict[str, Any], upcasters: Upcasters
) -> dict[str, Any]:
    for step in range(version, event.VERSION):
        upcaster = upcasters.get((event.KIND, step))
        if upcaster is None:
            raise InvalidPayloadError([Fault("dataschema", f"version {step} is no longer supported")])
        try:
            payload = upcaster(payload)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            # The payload breaks its own version; an upcaster need not check that.
            what = f"version {step} cannot be converted: {type(error).__name__}"
            raise InvalidPayloadError([Fault("body", what)]) from error
    return payload


def _fault(event: type[Event], location: tuple[int | str, ...], message: str) -> Fault:
    return Fault(".".join(map(str, location)) or _fields_in(event, message) or "body", message)


def _fields_in(event: type[Event], message: str) -> str:
    """The fields that the message of a rule on several of them names, as such a rule has no location."""
    words = set(re.findall(r"\w+", message))
    return ", ".join(name for name in event.model_fields if name in words)
