"""The contract gate: checks a letter against the current contracts. Pure."""

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from waybill_contracts.kinds import CATALOG, WORK_SERVICES, kinds_of
from waybill_contracts.privacy import Keyring, UnknownKeyError
from waybill_contracts.versions import Fault, InvalidPayloadError, Opener, contracts_version, read_event
from waybill_ledger.deadletters import Verdict


@dataclass(frozen=True, slots=True)
class Checked:
    """A verdict, and the faults if it is `unfixable`."""

    verdict: Verdict
    faults: tuple[Fault, ...] = ()

    def errors(self) -> list[dict[str, Any]] | None:
        """The faults as stored; None if there are none."""
        return [{"field": f.field, "message": f.message} for f in self.faults] or None


#: For a payload with secrets that was used, or one that was erased.
NOT_KEPT: Final = Checked(
    Verdict.UNFIXABLE,
    (Fault("body", "its content is no longer kept: it cannot be redriven or edited"),),
)


def check(
    service: str,
    kind: str | None,
    dataschema: str | None,
    body: bytes | None,
    *,
    opened: Opener,
) -> Checked:
    """Checks a payload for a redrive to `service`.

    Args:
        service: of the letter.
        kind: None if no envelope can be read.
        dataschema: contract and version of the sender.
        body: JSON, if valid; None: no longer kept.
        opened: opens its sealed fields.
    """
    if service not in WORK_SERVICES:
        return _unfixable("service", f"{service} does no tasks: its letters can be read, but not redriven")
    if kind is None or dataschema is None:
        return _unfixable("headers", "no envelope can be read, so no task would record its outcome")
    if kind not in kinds_of(service):
        return _unfixable("kind", f"{kind} is not one of {', '.join(kinds_of(service))}")
    if body is None:
        return NOT_KEPT
    return _read(kind, dataschema, body, opened)


def gate_version(keyring: Keyring) -> str:
    """Version of the verdicts: differs if the contracts or the names of the keys differ."""
    if not keyring.names:
        return contracts_version()
    stated = "/".join((contracts_version(), *sorted(keyring.names)))
    return hashlib.sha256(stated.encode()).hexdigest()[: len(contracts_version())]


def _read(kind: str, dataschema: str, body: bytes, opened: Opener) -> Checked:
    try:
        reading = read_event(CATALOG[kind].event, dataschema, body, opened=opened)
    except InvalidPayloadError as invalid:
        return Checked(Verdict.UNFIXABLE, tuple(invalid.faults))
    except UnknownKeyError as unknown:
        # It is checked again with another set of keys: see `gate_version`.
        return _unfixable("body", str(unknown))
    return Checked(Verdict.UPCASTABLE if reading.is_upcast else Verdict.VALID)


def _unfixable(field: str, message: str) -> Checked:
    return Checked(Verdict.UNFIXABLE, (Fault(field, message),))
