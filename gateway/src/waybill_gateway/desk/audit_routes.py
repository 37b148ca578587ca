"""The audit trail."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query

from waybill_gateway.api.paging import page_or_problem
from waybill_gateway.auth.caller import By
from waybill_gateway.auth.guarded_route import GuardedRoute
from waybill_gateway.desk.letter_views import DeedPageView, DeedView
from waybill_gateway.desk.models import AuditQuery
from waybill_gateway.resources import Uses
from waybill_ledger.deadletters.audit import DeedFilter, list_deeds

router = APIRouter(tags=["audit"], route_class=GuardedRoute)


@router.get("/v1/audit")
async def get_audit(resources: Uses, caller: By, asked: Annotated[AuditQuery, Query()]) -> DeedPageView:
    """Lists who did what at the failure desk, erased or revealed what, when and why, the latest first."""
    wanted = DeedFilter(
        actor=asked.actor,
        action=asked.action,
        tenant=caller.sees,
        redrive_id=asked.redrive,
        group=asked.group,
        subject=None if asked.subject is None else str(asked.subject),
        since=asked.since,
        until=asked.until,
    )
    query = partial(list_deeds, wanted=wanted, limit=asked.limit, cursor=asked.place("audit"))
    page = await page_or_problem(resources.records.read(query))
    items = [DeedView.of(seq, deed) for seq, deed in page.deeds]
    return DeedPageView(items=items, next_cursor=asked.continued("audit", page.next_cursor))
