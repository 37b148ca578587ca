"""Payloads that future releases have to read, for a check in CI before a deployment."""

from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from waybill_gateway.auth import CallerDep, GuardedRoute
from waybill_gateway.desk.letter_routes import EXPORT_PAGE
from waybill_gateway.desk.selection import JSON_LINES, STREAMED_LINES, json_lines
from waybill_gateway.runtime import ResourcesDep
from waybill_ledger.deadletters.letters import waiting_letters, waiting_tasks

router = APIRouter(tags=["failure desk"], route_class=GuardedRoute)

#: The place before the first task and service.
_BEGINNING = ("", "")


@router.get(
    "/v1/contracts/waiting",
    responses=STREAMED_LINES,
    response_class=StreamingResponse,
)
async def get_waiting_payloads(
    resources: ResourcesDep,
    caller: CallerDep,
    where: Annotated[
        Literal["task", "dead_letter"] | None,
        Query(description="Only those of tasks or dead letters; both if absent."),
    ] = None,
) -> StreamingResponse:
    """Streams, as JSON lines, each payload that a future release has to read, with its version."""

    async def next_rows(place: tuple[str, Any]) -> tuple[list[dict[str, Any]], tuple[str, Any]]:
        kind, after = place
        registry = resources.kinds.current
        if kind == "task":
            rows = await resources.records.read(
                partial(waiting_tasks, registry=registry, after=after, limit=EXPORT_PAGE, tenant=caller.sees)
            )
            if rows or where == "task":
                return rows, ("task", (rows[-1]["id"], rows[-1]["service"]) if rows else after)
            after = 0
        rows = await resources.records.read(
            partial(waiting_letters, registry=registry, after=after, limit=EXPORT_PAGE, tenant=caller.sees)
        )
        return rows, ("dead_letter", rows[-1]["id"] if rows else after)

    start = ("dead_letter", 0) if where == "dead_letter" else ("task", _BEGINNING)
    return StreamingResponse(json_lines(next_rows, start), media_type=JSON_LINES)
