"""Edits of a letter: the form of its contract, a preview of the result, a plan that sends it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Path, Response

from waybill_contracts.registry import Contract, Registry
from waybill_gateway.auth import Caller, CallerDep, needed_by, require_scope
from waybill_gateway.desk import (
    FieldFault,
    LetterId,
    PlanRedrive,
    Preview,
    PreviewView,
    WholeLetterView,
    letter_routes,
    redrive_routes,
)
from waybill_gateway.http import FieldError
from waybill_gateway.reveals import RevealLetter, RevealReason
from waybill_gateway.reveals import routes as reveals
from waybill_gateway.runtime import Resources, ResourcesDep
from waybill_gateway.ui.contract_forms import form_of, is_hidden, patch_in
from waybill_gateway.ui.frame import (
    REFUSALS,
    Page,
    PageDep,
    Submitted,
    SubmittedDep,
    body_of,
    pages_router,
    refusal_of,
)
from waybill_ledger.deadletters import Verdict

router = pages_router()

_LetterId = Annotated[LetterId, Path()]
_UNREADABLE: Final = "Nothing was done: some fields cannot be read."


@dataclass(frozen=True, slots=True)
class _Edited:
    """A letter, and the contract of the form that edits it."""

    letter: WholeLetterView
    contract: Contract
    #: Its payload in the version of the contract, as the caller may see it.
    before: Mapping[str, Any]
    #: What its contract says of it as it is.
    verdict: PreviewView


@dataclass(frozen=True, slots=True)
class _Look:
    """What the form shows beside the letter as it is."""

    sent: Mapping[str, str] | None = None
    #: The payload with hidden values in clear.
    values: Mapping[str, Any] | None = None
    errors: Sequence[FieldFault] = ()
    faults: Sequence[FieldError] = ()
    detail: str | None = None
    preview: PreviewView | None = None
    patch: Sequence[dict[str, Any]] = ()
    #: Why hidden values are shown.
    reason: str | None = None


@router.get("/ui/letters/{letter_id}/edit", name="preview_edit")
async def show_form(
    letter_id: _LetterId, page: PageDep, resources: ResourcesDep, caller: CallerDep
) -> Response:
    """Shows the payload of a letter in the form of its contract; what is hidden stays, or is written anew."""
    edited = await _edited(letter_id, resources, caller)
    return _form(page, edited, _Look(errors=edited.verdict.errors or ()))


@router.post("/ui/letters/{letter_id}/edit", name="preview_edit")
async def preview_edit(letter_id: _LetterId, sent: SubmittedDep) -> Response:
    """Shows what the payload would become, and whether its contract accepts it; changes nothing."""
    edited = await _edited(letter_id, sent.resources, sent.caller)
    patch, faults = patch_in(edited.contract, edited.before, sent.form)
    if faults:
        return _form(sent.page, edited, _Look(sent.form, faults=faults, detail=_UNREADABLE))
    try:
        seen = await _previewed(letter_id, patch, sent)
    except REFUSALS as error:
        refusal = refusal_of(error)
        return _form(sent.page, edited, _Look(sent.form, faults=refusal.errors, detail=refusal.detail))
    return _form(sent.page, edited, _Look(sent.form, errors=seen.errors or (), preview=seen, patch=patch))


@router.post("/ui/letters/{letter_id}/redrive", name="plan_redrive")
async def plan_edit(letter_id: _LetterId, sent: SubmittedDep) -> Response:
    """Plans the redrive of an edited letter; nothing is sent before the plan is started."""
    edited = await _edited(letter_id, sent.resources, sent.caller)
    patch, faults = patch_in(edited.contract, edited.before, sent.form)
    if faults:
        return _form(sent.page, edited, _Look(sent.form, faults=faults, detail=_UNREADABLE))
    note = {"note": sent.form["note"]} if "note" in sent.form else {}
    edits = [{"patch": patch}] if patch else []
    try:
        seen = await _previewed(letter_id, patch, sent)
        if seen.verdict is Verdict.UNFIXABLE:
            return _form(
                sent.page, edited, _Look(sent.form, errors=seen.errors or (), preview=seen, patch=patch)
            )
        plan = body_of(PlanRedrive, {"ids": [letter_id], "edits": edits, "canary": 0} | note)
        made = await redrive_routes.plan_redrive(plan, Response(), sent.resources, sent.caller, sent.actor)
    except REFUSALS as error:
        refusal = refusal_of(error)
        return _form(sent.page, edited, _Look(sent.form, faults=refusal.errors, detail=refusal.detail))
    return sent.page.redirect(f"/ui/redrives/{made.id}")


@router.post("/ui/letters/{letter_id}/edit/reveal", name="reveal_dead_letter")
async def reveal_to_edit(letter_id: _LetterId, sent: SubmittedDep) -> Response:
    """Shows the form with the hidden values in clear, this once; who saw them and why is recorded."""
    require_scope(sent.caller, needed_by("preview_edit"))
    edited = await _edited(letter_id, sent.resources, sent.caller)
    reason = body_of(RevealReason, {"reason": sent.form.get("reason", "")})
    asked = RevealLetter(reason=reason.reason, patch=[])
    seen = await reveals.reveal_dead_letter(
        letter_id, asked, Response(), sent.resources, sent.caller, sent.actor
    )
    values = seen.edited.payload if seen.edited is not None else seen.payload
    shown = values if isinstance(values, dict) else None
    return _form(
        sent.page, edited, _Look(values=shown, errors=edited.verdict.errors or (), reason=reason.reason)
    )


async def _edited(letter_id: int, resources: Resources, caller: Caller) -> _Edited:
    """A letter that is to be edited.

    Raises:
        Problem: 403, the caller may not look at letters; 404, there is no such letter.
    """
    require_scope(caller, needed_by("get_dead_letter"))
    letter = await letter_routes.get_dead_letter(letter_id, resources, caller)
    seen = await letter_routes.preview_edit(letter_id, Preview(patch=[]), resources, caller)
    payload = seen.payload if isinstance(seen.payload, dict) else {}
    contract = _contract_of(letter, resources.kinds.current)
    return _Edited(letter, contract, payload, seen)


def _contract_of(letter: WholeLetterView, registry: Registry) -> Contract:
    """The contract by which an edit of a letter is judged; an empty one if its kind is unknown."""
    kind = registry.find(letter.kind)
    if kind is None:
        return Contract(letter.kind or "unknown", 1, {"type": "object"})
    own = kind.contract_of(letter.dataschema or "")
    service = registry.services.get(letter.service)
    reads = () if service is None else service.reads(kind.name)
    if own is not None and own.version in reads:
        return own
    return kind.contracts.get(max(reads, default=0), kind.current)


async def _previewed(letter_id: int, patch: list[dict[str, Any]], sent: Submitted) -> PreviewView:
    preview = body_of(Preview, {"patch": patch})
    return await letter_routes.preview_edit(letter_id, preview, sent.resources, sent.caller)


def _form(page: Page, edited: _Edited, look: _Look) -> Response:
    """The form: as the letter is, or as it was sent, with what is wrong at each field."""
    contract, before, sent = edited.contract, edited.before, look.sent
    placed = [*look.faults, *(_placed(each, contract, before) for each in look.errors)]
    form = form_of(contract, values=look.values or before, sent=sent, errors=placed, keeps_hidden=True)
    revealed = {name for name in look.values or () if is_hidden(before.get(name))}
    refused = look.preview is not None and look.preview.verdict is Verdict.UNFIXABLE
    return page.render(
        "desk/edit.html",
        HTTPStatus.UNPROCESSABLE_ENTITY if look.faults or refused else HTTPStatus.OK,
        letter=edited.letter,
        contract=contract,
        is_object=isinstance(edited.verdict.payload, dict),
        verdict=edited.verdict,
        form=form,
        unknown={name: value for name, value in before.items() if name not in contract.fields},
        shown={f.name: f.value for f in form.fields if f.name in revealed} | _shown_before(sent),
        sent=sent or {},
        detail=look.detail,
        preview=look.preview,
        patch=[f"{each.get('op')} {each.get('path')}" for each in look.patch],
        has_hidden=any(map(is_hidden, before.values())),
        reason=look.reason,
    )


def _shown_before(sent: Mapping[str, str] | None) -> dict[str, str]:
    """What hidden fields showed when the form was made, kept from page to page."""
    prefix = "shown."
    return {n.removeprefix(prefix): v for n, v in (sent or {}).items() if n.startswith(prefix)}


def _placed(fault: FieldFault, contract: Contract, before: Mapping[str, Any]) -> FieldError:
    """A fault of the contract, at the place in the data that it is of."""
    name = fault.field.partition(".")[0]
    if name in contract.fields or name in before:
        return FieldError(field=f"/data/{fault.field.replace('.', '/')}", message=fault.message)
    return FieldError(field=fault.field, message=fault.message)
