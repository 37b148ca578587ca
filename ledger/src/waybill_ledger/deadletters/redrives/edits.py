"""Edits of the payload of a letter: JSON Patch (RFC 6902), checked against the current contract. Pure.

Sealed fields are opened for this, and sealed again; a patch can change them, but cannot show their values.
The value of a field that is never revealed, such as a secret, stays in its field, because others may be
revealed.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jsonpatch import JsonPatch, JsonPatchException
from jsonpointer import JsonPointerException
from pydantic_core import to_json

from waybill_contracts.privacy import Keyring, UnknownKeyError
from waybill_contracts.registry import Contract
from waybill_contracts.versions import NOTHING_OPENED, Fault, InvalidPayloadError, json_object, opener
from waybill_ledger.access import REDACTED, never_revealed, sealed_names
from waybill_ledger.deadletters import Verdict
from waybill_ledger.deadletters.letters import Checked, ContractGate, Message

Patch = Sequence[dict[str, Any]]
#: Most operations of one patch.
MAX_OPERATIONS: Final = 100
#: Largest edited payload: each `copy` can double a document.
MAX_PAYLOAD_BYTES: Final = 1024 * 1024


class BadPatchError(ValueError):
    """The patch is not a valid JSON Patch."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A patch, and the ids of its letters; None: all letters of the plan."""

    patch: Patch
    ids: frozenset[int] | None = None

    def fits(self, letter_id: int) -> bool:
        """Whether the edit is for this letter."""
        return self.ids is None or letter_id in self.ids


@dataclass(frozen=True, slots=True)
class Edited:
    """Result of a patch."""

    checked: Checked
    #: Opened payload; None if the patch could not be applied.
    payload: dict[str, Any] | None
    #: Contract and version of the payload: those of the letter, or the newest ones if it is read no more.
    dataschema: str | None = None
    #: Fields with hidden values: sensitive in the contract, or sealed.
    sensitive: frozenset[str] = frozenset()
    #: Fields that the patch sets, even to their old value, because otherwise it could be guessed.
    touched: frozenset[str] = frozenset()
    #: Sensitive fields that are never revealed.
    secret: frozenset[str] = frozenset()

    def body(self, keyring: Keyring, task_id: str | None) -> bytes | None:
        """Sealed payload to send; None unless the contract accepts it."""
        if self.checked.verdict is not Verdict.VALID or self.payload is None:
            return None
        return to_json(keyring.seal_fields(self.payload, self.sensitive, task_id or ""))


def require_patch(patch: Patch) -> None:
    """Checks a patch without a payload.

    Raises:
        BadPatchError: an operation is not one of RFC 6902, or there are too many.
    """
    if len(patch) > MAX_OPERATIONS:
        raise BadPatchError(f"a patch has at most {MAX_OPERATIONS} operations")
    try:
        JsonPatch(patch)
    except (JsonPatchException, JsonPointerException, TypeError, KeyError) as error:
        raise BadPatchError(f"not a JSON Patch (RFC 6902): {error}") from None


def shown_edits(edits: Sequence[dict[str, Any]], sensitive: Collection[str]) -> list[dict[str, Any]]:
    """Edits for storage and display: without values of sensitive fields, and of whole payloads."""
    hidden = {"", *sensitive}
    return [edit | {"patch": [_shown(operation, hidden) for operation in edit["patch"]]} for edit in edits]


def _shown(operation: dict[str, Any], hidden: Collection[str]) -> dict[str, Any]:
    if "value" not in operation or _field(operation.get("path")) not in hidden:
        return operation
    return operation | {"value": REDACTED}


def _field(pointer: Any) -> str:
    """Top-level field of a JSON Pointer; empty for the payload itself."""
    return str(pointer).split("/", 2)[1].replace("~1", "/").replace("~0", "~") if pointer else ""


def edited(message: Message, patch: Patch, gate: ContractGate) -> Edited:
    """Applies a patch to a payload, and checks the result.

    A payload of a version that the service does not read (any more) is checked as one of the newest that it
    reads: the patch may convert it.
    """
    if (refused := gate.refusal(message)) is not None:
        return Edited(refused, None)
    body, kind = message.body or b"", gate.registry.kind(message.kind or "")
    try:
        sealed = sealed_names(json_object(body, NOTHING_OPENED))
        sensitive, secret = kind.sensitive | sealed, frozenset(never_revealed(kind, sealed))
        opened = json_object(body, opener(gate.keyring, message.task_id or ""))
        contract = _contract_of(message, gate)
        own = contract.files_of(opened)
        payload = _applied(opened, patch, sensitive, secret)
    except InvalidPayloadError as invalid:
        return Edited(Checked(Verdict.UNFIXABLE, tuple(invalid.faults)), None)
    except UnknownKeyError as unknown:
        return Edited(Checked(Verdict.UNFIXABLE, (Fault("body", str(unknown)),)), None)
    checked = gate.judged(message.service, contract, payload)
    if not set(contract.files_of(payload)) <= set(own):
        # Another task's file may be another tenant's, and is not kept for this task.
        checked = Checked(
            Verdict.UNFIXABLE, (Fault("body", "it refers to a file that its task does not have"),)
        )
    if checked.verdict is Verdict.UPCASTABLE:
        checked = Checked(Verdict.VALID)
    return Edited(checked, payload, contract.dataschema, sensitive, _touched(patch, payload), secret)


def _contract_of(message: Message, gate: ContractGate) -> Contract:
    try:
        return gate.contract_of(message)
    except InvalidPayloadError:
        kind = gate.registry.kind(message.kind or "")
        newest = max(gate.registry.services[message.service].reads(kind.name))
        return kind.contracts.get(newest, kind.current)


def _touched(patch: Patch, payload: dict[str, Any]) -> frozenset[str]:
    places = [
        operation[end]
        for operation in patch
        if operation["op"] != "test"
        for end in (("path", "from") if operation["op"] == "move" else ("path",))
    ]
    return frozenset(payload if "" in places else map(_field, places))


def _applied(
    payload: dict[str, Any], patch: Patch, sensitive: frozenset[str], secret: frozenset[str]
) -> dict[str, Any]:
    document = payload
    for number, operation in enumerate(patch):
        if (why := _why_refused(operation, sensitive, secret)) is not None:
            raise InvalidPayloadError([Fault(f"patch.{number}", why)])
        try:
            changed: Any = JsonPatch([operation]).apply(document, in_place=True)
        except (JsonPatchException, JsonPointerException, TypeError, KeyError):
            # Their messages quote values of the payload.
            what = f"{operation['op']} is not possible at {operation['path']}: there is no such path"
            raise InvalidPayloadError([Fault(f"patch.{number}", what)]) from None
        if not isinstance(changed, dict) or len(to_json(changed)) > MAX_PAYLOAD_BYTES:
            what = f"the result is not an object of up to {MAX_PAYLOAD_BYTES} bytes"
            raise InvalidPayloadError([Fault(f"patch.{number}", what)])
        document = changed
    return document


def _why_refused(operation: dict[str, Any], sensitive: frozenset[str], secret: frozenset[str]) -> str | None:
    """Why an operation is refused: it would show or reveal by guessing the value of a hidden field."""
    if not sensitive:
        return None
    hidden = sensitive | {""}
    if operation["op"] == "test" and _field(operation["path"]) in hidden:
        return "test cannot read sensitive fields"
    moves = operation["op"] in {"copy", "move"}
    if moves and _field(operation["from"]) in hidden and _field(operation["path"]) not in sensitive:
        return "the value of a sensitive field cannot be moved to a field that shows it"
    if moves and secret and _field(operation["from"]) in secret | {""}:
        return "the value of a secret field cannot be moved"
    return None
