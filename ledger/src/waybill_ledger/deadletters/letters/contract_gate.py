"""The contract gate: what the contracts, as they are now, say to a letter. Pure."""

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from waybill_contracts.kinds.catalog import CATALOG, WORK_SERVICES, kinds_of
from waybill_contracts.privacy.seal import Keyring, UnknownKeyError
from waybill_contracts.versions.event_reader import Fault, InvalidPayloadError, Opener, read_event
from waybill_contracts.versions.schemas import contracts_version
from waybill_ledger.deadletters.states import Verdict


@dataclass(frozen=True, slots=True)
class Checked:
    """A verdict, and what is wrong where it is `unfixable`."""

    verdict: Verdict
    faults: tuple[Fault, ...] = ()

    def errors(self) -> list[dict[str, Any]] | None:
        """The faults as they are kept; None if there are none."""
        return [{"field": f.field, "message": f.message} for f in self.faults] or None


#: A payload with secrets that was used, or one of a person who was erased.
NOT_KEPT: Final = Checked(
    Verdict.UNFIXABLE,
    (Fault("body", "what it held is not kept any more: it cannot be redriven, nor edited"),),
)


def check(
    service: str,
    kind: str | None,
    dataschema: str | None,
    body: bytes | None,
    *,
    opened: Opener,
) -> Checked:
    """Checks a payload that `service` is to be sent.

    Args:
        service: whose letter it is.
        kind: None where no envelope can be read.
        dataschema: the version that the sender followed.
        body: JSON, if it is any; None: it is not kept any more.
        opened: opens its sealed fields.
    """
    if service not in WORK_SERVICES:
        return _unfixable("service", f"{service} does no tasks: its letters are looked at, not redriven")
    if kind is None or dataschema is None:
        return _unfixable("headers", "no envelope can be read, so no task would account for it")
    if kind not in kinds_of(service):
        return _unfixable("kind", f"{kind} is none of {', '.join(kinds_of(service))}")
    if body is None:
        return NOT_KEPT
    return _read(kind, dataschema, body, opened)


def gate_version(keyring: Keyring) -> str:
    """The same for gates that give the same verdicts: by the same contracts, with the same keys."""
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
        # It is checked again once there is another set of keys: see `gate_version`.
        return _unfixable("body", str(unknown))
    return Checked(Verdict.UPCASTABLE if reading.is_upcast else Verdict.VALID)


def _unfixable(field: str, message: str) -> Checked:
    return Checked(Verdict.UNFIXABLE, (Fault(field, message),))
