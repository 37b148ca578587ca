"""The audit trail."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query

from waybill_gateway.auth import CallerDep, GuardedRoute
from waybill_gateway.desk.letter_views import AuditEntryView, AuditPageView
from waybill_gateway.desk.models import AuditQuery
from waybill_gateway.http import page_or_problem
from waybill_gateway.runtime import ResourcesDep
from waybill_ledger.audit import AuditFilter, list_audit_entries

router = APIRouter(tags=["audit"], route_class=GuardedRoute)


@router.get("/v1/audit")
async def get_audit(
    resources: ResourcesDep, caller: CallerDep, asked: Annotated[AuditQuery, Query()]
) -> AuditPageView:
    """Lists actions at the failure desk, erasures and reveals: actor, time and reason, the latest first."""
    wanted = AuditFilter(
        actor=asked.actor,
        action=asked.action,
        tenant=caller.sees,
        redrive_id=asked.redrive,
        group=asked.group,
        subject=None if asked.subject is None else str(asked.subject),
        since=asked.since,
        until=asked.until,
    )
    query = partial(list_audit_entries, wanted=wanted, limit=asked.limit, cursor=asked.place("audit"))
    page = await page_or_problem(resources.records.read(query))
    items = [AuditEntryView.of(seq, entry) for seq, entry in page.entries]
    return AuditPageView(items=items, next_cursor=asked.continued("audit", page.next_cursor))
