"""A form to submit a task of any kind, made from its contract; also filled in as another task was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query, Response

from waybill_contracts.registry import Contract
from waybill_gateway.auth import CallerDep, needed_by, require_scope
from waybill_gateway.http import FieldError
from waybill_gateway.runtime import ResourcesDep, kind_in_use
from waybill_gateway.tasks import PostTask, find_task, submission_routes
from waybill_gateway.ui.catalog.kind_pages import KindName
from waybill_gateway.ui.contract_forms import data_in, form_of, is_hidden
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
from waybill_ledger.access import masked_payload

router = pages_router()

#: Fields of the form beside the data.
TIMING: Final = ("send_at", "delay_seconds", "priority")
_AsJson = Annotated[bool, Query(alias="json")]


@dataclass(frozen=True, slots=True)
class Again:
    """The task that a form is filled in as."""

    id: str
    #: Version of its contract; None: its payload is not kept any more.
    version: int | None
    #: Fields whose value is hidden.
    hidden: Sequence[str]


@router.get("/ui/kinds/{kind}/new", name="post_task")
async def show_form(
    kind: KindName, page: PageDep, resources: ResourcesDep, *, as_json: _AsJson = False
) -> Response:
    """Shows an empty form for a task of a kind."""
    contract = (await kind_in_use(resources.kinds, kind)).current
    return _form(page, contract, as_json=as_json)


@router.post("/ui/kinds/{kind}/new", name="post_task")
async def post_task(kind: KindName, sent: SubmittedDep) -> Response:
    """Submits a task; shows the form again if the API refuses what is in it."""
    contract = (await kind_in_use(sent.resources.kinds, kind)).current
    data, faults = data_in(contract, sent.form)
    if faults:
        return _form(sent.page, contract, sent.form, _unreadable(faults))
    fields = {name: sent.form[name] for name in ("send_at", "priority") if name in sent.form}
    try:
        posted = body_of(
            PostTask, {"kind": kind, "data": data} | fields | numbers(sent.form, delay_seconds=float)
        )
        accepted = await submission_routes.post_task(
            posted, post_once(sent, "/v1/tasks", posted.model_dump_json())
        )
    except REFUSALS as error:
        return _form(sent.page, contract, sent.form, refusal_of(error))
    return sent.page.redirect(f"/ui/tasks/{accepted.id}", notice="accepted")


@router.get("/ui/tasks/{task_id}/again", name="post_task")
async def show_form_of_task(
    task_id: UUID, page: PageDep, resources: ResourcesDep, caller: CallerDep
) -> Response:
    """Shows a form for a task like another one; what is hidden of that is left empty."""
    require_scope(caller, needed_by("get_one_task"))
    task = await find_task(resources, caller, task_id)
    kind = await kind_in_use(resources.kinds, task.kind)
    held = await resources.records.read(
        partial(masked_payload, task_id=task.id, registry=resources.kinds.current, tenant=caller.sees)
    )
    values = held.payload if held is not None and isinstance(held.payload, dict) else {}
    was = None if held is None or held.dataschema is None else kind.contract_of(held.dataschema)
    again = Again(
        task.id,
        None if was is None else was.version,
        [name for name, value in values.items() if is_hidden(value)],
    )
    return _form(page, kind.current, again=again, values=values)


def _form(
    page: Page,
    contract: Contract,
    sent: Mapping[str, str] | None = None,
    refusal: Refusal | None = None,
    again: Again | None = None,
    **how: Any,
) -> Response:
    return page.render(
        "catalog/post.html",
        200 if refusal is None else refusal.status,
        contract=contract,
        form=form_of(contract, sent=sent, errors=refusal.beside(*TIMING) if refusal else (), **how),
        sent=sent or {},
        refusal=refusal,
        again=again,
        mark=(sent or {}).get(MARK_FIELD) or new_mark(),
    )


def _unreadable(faults: Sequence[FieldError]) -> Refusal:
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "Nothing was done: some fields are wrong.", faults)
