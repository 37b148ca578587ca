"""Whether the contracts of a release can read a payload. Pure."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from waybill_contracts.privacy import is_sealed
from waybill_contracts.registry import Contract, Registry
from waybill_contracts.versions import NOTHING_OPENED, Fault, InvalidPayloadError, json_object

VALID: Final = "valid"
UPCASTABLE: Final = "upcastable"
UNFIXABLE: Final = "unfixable"
#: Its contract is not at hand.
UNCHECKED: Final = "unchecked"
#: Placeholder of a sensitive value that was left out.
REDACTED: Final = "[redacted]"


_DATASCHEMA: Final = re.compile(r"urn:waybill:(?P<kind>.+):v(?P<version>[1-9][0-9]{0,5})")


@dataclass(frozen=True, slots=True)
class Fit:
    """Verdict on a payload, with its faults."""

    #: `valid`; `upcastable`: an older version that this release can read; `unfixable`; or `unchecked`.
    verdict: str
    faults: tuple[Fault, ...] = ()

    @property
    def is_one(self) -> bool:
        """Whether a service of this release can read it, as far as that is known."""
        return self.verdict != UNFIXABLE

    @property
    def why(self) -> str:
        """The faults in words."""
        return "; ".join(f"{fault.field}: {fault.message}" for fault in self.faults)


def check_payload(
    registry: Registry,
    service: str,
    kind: str,
    dataschema: str,
    body: bytes,
    hidden: Collection[str] = (),
) -> Fit:
    """Checks a payload against the contracts of a release.

    Args:
        registry: the services of the release.
        service: its consumer.
        kind: of its task.
        dataschema: contract and version that it was written with.
        body: JSON. Sealed fields are treated as hidden: the command has no sealing keys.
        hidden: fields whose value was replaced by `REDACTED`; their faults are not reported.
    """
    try:
        version, newest = _version_read(registry, service, kind, dataschema)
        payload = json_object(body, NOTHING_OPENED)
    except InvalidPayloadError as invalid:
        return Fit(UNFIXABLE, tuple(invalid.faults))
    # A manifest has no contract of older versions: its upcasters take what was accepted by them.
    contract = registry.kind(kind).contracts.get(version)
    faults = () if contract is None else _faults(contract, payload, hidden)
    if faults:
        return Fit(UNFIXABLE, faults)
    return Fit(UPCASTABLE if version < newest else VALID)


def _version_read(registry: Registry, service: str, kind: str, dataschema: str) -> tuple[int, int]:
    """The version of a payload, and the newest one that the service reads.

    Raises:
        InvalidPayloadError: the service does not read it.
    """
    known = registry.find(kind)
    if known is None:
        raise InvalidPayloadError([Fault("kind", f"this release knows no {kind}")])
    if service not in known.services:
        raise InvalidPayloadError([Fault("kind", f"in this release {service} does no {kind}")])
    match = _DATASCHEMA.fullmatch(dataschema)
    if match is None or match["kind"] != kind:
        raise InvalidPayloadError([Fault("dataschema", f"{dataschema} is not a version of {kind}")])
    version, reads = int(match["version"]), registry.services[service].reads(kind)
    if version not in reads:
        why = "is newer than" if version > max(reads) else "is no longer among"
        fault = Fault("dataschema", f"version {version} {why} those that this release reads")
        raise InvalidPayloadError([fault])
    return version, max(reads)


def _faults(contract: Contract, payload: dict[str, Any], hidden: Collection[str]) -> tuple[Fault, ...]:
    unseen = {*hidden, *(name for name, value in payload.items() if is_sealed(value))}
    return tuple(
        Fault(".".join(map(str, fault.path)) or "body", fault.message)
        for fault in contract.faults(payload)
        if not fault.path or fault.path[0] not in unseen
    )


def unreadable(field: str, message: str) -> Fit:
    """Verdict on a message that cannot be read at all."""
    return Fit(UNFIXABLE, (Fault(field, message),))
