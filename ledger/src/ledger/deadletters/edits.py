"""Edits of a letter's payload: JSON Patch (RFC 6902), checked against the contract as it is now. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from jsonpatch import JsonPatch, JsonPatchException
from jsonpointer import JsonPointerException
from pydantic_core import to_json

from contracts.catalog import CATALOG, kinds_of
from contracts.events import TaskEvent
from contracts.reading import Fault, UnfitError, current_payload, json_object, read_event
from contracts.upcasters import UPCASTERS, Upcasters
from ledger.deadletters.gate import Checked, check
from ledger.deadletters.states import Verdict

Patch = Sequence[dict[str, Any]]
#: Operations of one patch; more is another document.
MAX_OPERATIONS: Final = 100
#: Of an edited payload: `copy` can double a document with each operation.
MAX_PAYLOAD_BYTES: Final = 1024 * 1024


class BadPatchError(ValueError):
    """It is no JSON Patch, whatever it is applied to."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A patch, and the letters that it is for; None: all of the plan."""

    patch: Patch
    ids: frozenset[int] | None = None

    def fits(self, letter_id: int) -> bool:
        """Whether it is for this letter."""
        return self.ids is None or letter_id in self.ids


@dataclass(frozen=True, slots=True)
class Edited:
    """What a patch made of a payload."""

    checked: Checked
    #: In the contract's current form; None where the patch could not be applied.
    payload: dict[str, Any] | None

    def body(self) -> bytes | None:
        """What is to be sent; None unless the contract accepts it."""
        return to_json(self.payload) if self.checked.verdict is Verdict.VALID else None


def require_patch(patch: Patch) -> None:
    """Checks a patch by itself.

    Raises:
        BadPatchError: an operation is none of RFC 6902, or there are too many.
    """
    if len(patch) > MAX_OPERATIONS:
        raise BadPatchError(f"a patch has at most {MAX_OPERATIONS} operations")
    try:
        JsonPatch(patch)
    except (JsonPatchException, JsonPointerException, TypeError, KeyError) as error:
        raise BadPatchError(f"not a JSON Patch (RFC 6902): {error}") from None


def edited(
    service: str,
    kind: str | None,
    dataschema: str | None,
    body: bytes,
    patch: Patch,
    upcasters: Upcasters = UPCASTERS,
) -> Edited:
    """Applies a patch to a payload, brought up to the current version first where that is possible."""
    if kind is None or dataschema is None or kind not in kinds_of(service):
        return Edited(check(service, kind, dataschema, body, upcasters), None)
    event = CATALOG[kind].event
    try:
        payload = _applied(_base(event, dataschema, body, upcasters), patch)
    except UnfitError as unfit:
        return Edited(Checked(Verdict.UNFIXABLE, tuple(unfit.faults)), None)
    try:
        read_event(event, event.dataschema(), to_json(payload))
    except UnfitError as unfit:
        return Edited(Checked(Verdict.UNFIXABLE, tuple(unfit.faults)), payload)
    return Edited(Checked(Verdict.VALID), payload)


def _base(event: type[TaskEvent], dataschema: str, body: bytes, upcasters: Upcasters) -> dict[str, Any]:
    try:
        return current_payload(event, dataschema, body, upcasters)
    except UnfitError:
        # Perhaps the very thing that the patch mends.
        return json_object(body)


def _applied(payload: dict[str, Any], patch: Patch) -> dict[str, Any]:
    document = payload
    for number, operation in enumerate(patch):
        try:
            changed: Any = JsonPatch([operation]).apply(document, in_place=True)
        except (JsonPatchException, JsonPointerException, TypeError, KeyError) as error:
            raise UnfitError([Fault(f"patch.{number}", str(error) or type(error).__name__)]) from None
        if not isinstance(changed, dict) or len(to_json(changed)) > MAX_PAYLOAD_BYTES:
            what = f"leaves no object of up to {MAX_PAYLOAD_BYTES} bytes"
            raise UnfitError([Fault(f"patch.{number}", what)])
        document = changed
    return document
