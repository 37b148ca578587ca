"""Whether the contracts of this release can read a payload. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from waybill_contracts.kinds import CATALOG
from waybill_contracts.privacy import is_sealed
from waybill_contracts.versions import Fault, InvalidPayloadError, read_event

VALID: Final = "valid"
UPCASTABLE: Final = "upcastable"
UNFIXABLE: Final = "unfixable"
#: Placeholder of a sensitive value that was left out.
REDACTED: Final = "[redacted]"


@dataclass(frozen=True, slots=True)
class Fit:
    """Verdict on a payload, with its faults."""

    #: `valid`; `upcastable`: an older version that this release can read; or `unfixable`.
    verdict: str
    faults: tuple[Fault, ...] = ()

    @property
    def is_one(self) -> bool:
        """Whether a service of this release can read it."""
        return self.verdict != UNFIXABLE

    @property
    def why(self) -> str:
        """The faults in words."""
        return "; ".join(f"{fault.field}: {fault.message}" for fault in self.faults)


def check_payload(service: str, kind: str, dataschema: str, body: bytes, hidden: Collection[str] = ()) -> Fit:
    """Checks a payload against the contracts of this release.

    Args:
        service: its consumer.
        kind: of its task.
        dataschema: contract and version that it was written with.
        body: JSON. Sealed fields are treated as hidden: the command has no sealing keys.
        hidden: fields whose value was replaced by `REDACTED`; their faults are not reported.
    """
    entry = CATALOG.get(kind)
    if entry is None:
        return unreadable("kind", f"this release knows no {kind}")
    if service not in entry.services:
        return unreadable("kind", f"in this release {service} does no {kind}")
    unseen = set(hidden)

    def redacted(payload: dict[str, Any]) -> dict[str, Any]:
        sealed = {name for name, value in payload.items() if is_sealed(value)}
        unseen.update(sealed)
        return payload | dict.fromkeys(sealed, REDACTED)

    try:
        reading = read_event(entry.event, dataschema, body, opened=redacted)
    except InvalidPayloadError as invalid:
        reported = tuple(fault for fault in invalid.faults if fault.field.split(".")[0] not in unseen)
        return Fit(UNFIXABLE, reported) if reported else Fit(VALID)
    return Fit(UPCASTABLE if reading.is_upcast else VALID)


def unreadable(field: str, message: str) -> Fit:
    """Verdict on a message that cannot be read at all."""
    return Fit(UNFIXABLE, (Fault(field, message),))
