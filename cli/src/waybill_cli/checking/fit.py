"""Whether the contracts of this release can read a payload. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from waybill_contracts.kinds.catalog import CATALOG
from waybill_contracts.privacy.seal import is_sealed
from waybill_contracts.versions.event_reader import Fault, InvalidPayloadError, read_event

VALID: Final = "valid"
UPCASTABLE: Final = "upcastable"
UNFIXABLE: Final = "unfixable"
#: Stands for a value that was left out because it is sensitive.
REDACTED: Final = "[redacted]"


@dataclass(frozen=True, slots=True)
class Fit:
    """What came of it."""

    #: `valid`; `upcastable`, of an older version that is read; or `unfixable`.
    verdict: str
    faults: tuple[Fault, ...] = ()

    @property
    def is_one(self) -> bool:
        """Whether a service of this release can take it."""
        return self.verdict != UNFIXABLE

    @property
    def why(self) -> str:
        """The faults in words."""
        return "; ".join(f"{fault.field}: {fault.message}" for fault in self.faults)


def fit(service: str, kind: str, dataschema: str, body: bytes, hidden: Collection[str] = ()) -> Fit:
    """Judges a payload by the contracts of this release.

    Args:
        service: which is to take it.
        kind: of its task.
        dataschema: the contract and version that it was written by.
        body: JSON. No keys are here: what is sealed in it is taken for hidden.
        hidden: fields of it that hold no value but `REDACTED`; what is wrong with these is not told.
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
        told = tuple(fault for fault in invalid.faults if fault.field.split(".")[0] not in unseen)
        return Fit(UNFIXABLE, told) if told else Fit(VALID)
    return Fit(UPCASTABLE if reading.is_upcast else VALID)


def unreadable(field: str, message: str) -> Fit:
    """The judgement on what has one fault that leaves nothing to be read."""
    return Fit(UNFIXABLE, (Fault(field, message),))
