"""The contract gate: checks a letter against the registered contracts. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from waybill_contracts.privacy import Keyring, UnknownKeyError
from waybill_contracts.registry import Contract, Registry
from waybill_contracts.versions import Fault, InvalidPayloadError, json_object, opener
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


@dataclass(frozen=True, slots=True)
class Message:
    """What the gate looks at of a letter."""

    service: str
    #: None if no envelope can be read.
    kind: str | None
    #: Contract and version of the sender.
    dataschema: str | None
    #: JSON, if valid; None: no longer kept.
    body: bytes | None
    #: Its sealed fields belong to this task; None: to no known one.
    task_id: str | None

    @classmethod
    def of(cls, row: Any) -> "Message":
        """The message of a row with these columns."""
        return cls(row.service, row.kind, row.dataschema, row.body, row.task_id)


@dataclass(frozen=True, slots=True)
class ContractGate:
    """Checks payloads by one copy of the registry, with one set of keys."""

    registry: Registry
    keyring: Keyring

    @property
    def version(self) -> str:
        """Version of the verdicts: differs if the contracts or the names of the keys differ."""
        if not self.keyring.names:
            return self.registry.digest
        stated = "/".join((self.registry.digest, *sorted(self.keyring.names)))
        return hashlib.sha256(stated.encode()).hexdigest()[: len(self.registry.digest)]

    def check(self, message: Message) -> Checked:
        """Checks a payload for a redrive to the service of its letter."""
        if (refused := self.refusal(message)) is not None:
            return refused
        try:
            contract = self.contract_of(message)
            payload = json_object(message.body or b"", opener(self.keyring, message.task_id or ""))
        except InvalidPayloadError as invalid:
            return Checked(Verdict.UNFIXABLE, tuple(invalid.faults))
        except UnknownKeyError as unknown:
            # It is checked again with another set of keys: see `version`.
            return _unfixable("body", str(unknown))
        return self.judged(message.service, contract, payload)

    def refusal(self, message: Message) -> Checked | None:
        """The verdict on a letter that cannot be redriven, whatever its payload; None: it may be."""
        service, kind = message.service, message.kind
        known = self.registry.services.get(service)
        if known is None:
            return _unfixable("service", f"{service} does no tasks: its letters are only shown")
        if kind is None or message.dataschema is None:
            return _unfixable("headers", "no envelope can be read, so no task would record its outcome")
        if known.is_retired:
            return _unfixable("service", f"{service} is retired: nobody would take what is redriven to it")
        if kind not in known.manifest.kinds:
            return _unfixable("kind", f"{kind} is not one of {', '.join(known.manifest.kinds)}")
        return NOT_KEPT if message.body is None else None

    def contract_of(self, message: Message) -> Contract:
        """The contract of a payload, which its service reads.

        Raises:
            InvalidPayloadError: there is no such contract, or the service does not read it.
        """
        name, dataschema = message.kind or "", message.dataschema or ""
        contract = self.registry.kind(name).contract_of(dataschema)
        reads = self.registry.services[message.service].reads(name)
        if contract is None:
            raise InvalidPayloadError([Fault("dataschema", f"{dataschema} is not a version of {name}")])
        if contract.version > max(reads):
            raise InvalidPayloadError(
                [Fault("dataschema", f"{dataschema} is newer than what {message.service} reads")]
            )
        if contract.version not in reads:
            raise InvalidPayloadError(
                [Fault("dataschema", f"version {contract.version} is no longer supported")]
            )
        return contract

    def judged(self, service: str, contract: Contract, payload: Mapping[str, Any]) -> Checked:
        """The verdict on an opened payload by its contract."""
        if faults := contract.faults(payload):
            return Checked(
                Verdict.UNFIXABLE,
                tuple(Fault(".".join(map(str, fault.path)) or "body", fault.message) for fault in faults),
            )
        newest = max(self.registry.services[service].reads(contract.kind))
        return Checked(Verdict.UPCASTABLE if contract.version < newest else Verdict.VALID)

    def sensitive(self, kinds: Sequence[str] | None = None) -> frozenset[str]:
        """Names of the sensitive fields of some kinds, or of all."""
        wanted = self.registry.kinds if kinds is None else kinds
        return frozenset().union(*(self.registry.sensitive(kind) for kind in wanted))


def _unfixable(field: str, message: str) -> Checked:
    return Checked(Verdict.UNFIXABLE, (Fault(field, message),))
