"""The audit trail: who did what, when and why."""

from typing import Annotated, Any

from fastapi import Query, Response

from waybill_gateway.auth import CallerDep
from waybill_gateway.desk import AuditQuery, audit_routes
from waybill_gateway.runtime import ResourcesDep
from waybill_gateway.ui.frame import WINDOW_WORDS, WINDOWS, Page, PageDep, Within, pages_router

router = pages_router()

#: Actions that the trail records.
ACTIONS = (
    *("plan", "start", "pause", "resume", "cancel", "halt"),
    *("discard", "archive", "restore", "note", "reveal", "erase", "prune"),
)


class AuditPageQuery(AuditQuery):
    """Filters of the audit trail, and a length of time that ends now."""

    within: Within | None = None


@router.get("/ui/audit", name="get_audit")
async def show_audit(
    page: PageDep, resources: ResourcesDep, caller: CallerDep, asked: Annotated[AuditPageQuery, Query()]
) -> Response:
    """Shows entries, the latest first."""
    wanted = _for_the_api(page, asked)
    found = await audit_routes.get_audit(resources, caller, wanted)
    following = found.next_cursor and page.here(
        cursor=found.next_cursor, within=None, since=wanted.since and wanted.since.isoformat()
    )
    return page.render(
        "administration/audit.html",
        entries=[(entry, _place(entry.details or {}, entry.subject)) for entry in found.items],
        asked=asked,
        windows=WINDOW_WORDS,
        actions=ACTIONS,
        following=following,
        is_filtered=bool(asked.model_dump(exclude={"limit", "cursor"}, exclude_none=True)),
    )


def _for_the_api(page: Page, asked: AuditPageQuery) -> AuditQuery:
    given = asked.model_dump(exclude={"within"}, exclude_unset=True)
    if asked.within is not None and asked.since is None:
        given["since"] = page.now - WINDOWS[asked.within][1]
    return AuditQuery(**given)


def _place(details: dict[str, Any], subject: str | None) -> str | None:
    """The page of what was revealed; None: nothing was, or its letter alone."""
    if subject is None:
        return None
    return f"/ui/schedules/{subject}" if "schedule" in details else f"/ui/tasks/{subject}"
