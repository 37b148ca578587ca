"""A form for a schedule of any kind that can be scheduled."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from http import HTTPStatus
from types import MappingProxyType
from typing import Annotated, Any, Final

from fastapi import Query, Response

from waybill_contracts.registry import Contract, Registry
from waybill_gateway.http import FieldError, Word
from waybill_gateway.runtime import ResourcesDep, kind_in_use
from waybill_gateway.schedules import PostSchedule, routes
from waybill_gateway.ui.contract_forms import data_in, form_of
from waybill_gateway.ui.frame import (
    MARK_FIELD,
    REFUSALS,
    Page,
    PageDep,
    Refusal,
    SubmittedDep,
    body_of,
    new_mark,
    numbers,
    pages_router,
    post_once,
    refusal_of,
)
from waybill_ledger import Missed

router = pages_router()

#: Fields of the form beside the data.
FIELDS: Final = ("name", "cron", "every_seconds", "timezone", "starts_at", "ends_at", "missed", "priority")
_BODY: Final = "body."
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@router.get("/ui/schedules/new", name="post_schedule")
async def show_form(
    page: PageDep,
    resources: ResourcesDep,
    *,
    kind: Annotated[Word | None, Query()] = None,
    as_json: Annotated[bool, Query(alias="json")] = False,
) -> Response:
    """Shows an empty form, once a kind is chosen."""
    if kind is None:
        return page.render("schedules/choose.html", kinds=_schedulable(resources.kinds.current))
    return _form(page, (await kind_in_use(resources.kinds, kind)).current, as_json=as_json)


@router.post("/ui/schedules/new", name="post_schedule")
async def post_schedule(sent: SubmittedDep) -> Response:
    """Makes a schedule; shows the form again if the API refuses what is in it."""
    contract = (await kind_in_use(sent.resources.kinds, sent.form.get("kind", ""))).current
    body, faults = data_in(contract, sent.form)
    if faults:
        detail = "Nothing was done: some fields are wrong."
        refusal = Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, detail, faults)
        return _form(sent.page, contract, sent.form, refusal)
    fields: dict[str, Any] = {name: sent.form[name] for name in FIELDS if name in sent.form}
    fields |= {"kind": contract.kind, "body": body} | numbers(sent.form, every_seconds=int)
    try:
        posted = body_of(PostSchedule, fields)
        post = post_once(sent, "/v1/schedules", posted.model_dump_json())
        made = await routes.post_schedule(posted, post)
    except REFUSALS as error:
        refusal = refusal_of(error)
        refusal = replace(refusal, errors=list(_placed(refusal.errors)))
        return _form(sent.page, contract, sent.form, refusal)
    return sent.page.redirect(f"/ui/schedules/{made.id}", notice="made")


def _form(
    page: Page,
    contract: Contract,
    sent: Mapping[str, str] | None = None,
    refusal: Refusal | None = None,
    *,
    as_json: bool = False,
) -> Response:
    errors = refusal.beside(*FIELDS) if refusal else ()
    return page.render(
        "schedules/new.html",
        200 if refusal is None else refusal.status,
        contract=contract,
        form=form_of(contract, sent=sent, errors=errors, as_json=as_json),
        sent=sent or _NOTHING,
        mark=(sent or _NOTHING).get(MARK_FIELD) or new_mark(),
        refusal=refusal or Refusal(HTTPStatus.OK, ""),
        missed=list(Missed),
    )


def _placed(errors: Iterable[FieldError]) -> Iterable[FieldError]:
    """Errors whose fields of the body are named as those of the data are elsewhere."""
    for error in errors:
        if error.field.startswith(_BODY):
            place = error.field.removeprefix(_BODY).replace(".", "/")
            yield FieldError(field=f"/data/{place}", message=error.message)
        else:
            yield error


def _schedulable(registry: Registry) -> list[str]:
    """Kinds in use that need neither a file nor a secret."""
    return sorted(
        name
        for name, kind in registry.kinds.items()
        if not kind.is_retired and not kind.current.has_files and not kind.current.secret
    )
