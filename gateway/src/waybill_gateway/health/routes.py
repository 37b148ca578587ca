"""Whether the gateway is alive, and whether it can accept."""

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from waybill_gateway.auth import GuardedRoute
from waybill_gateway.docs import asyncapi_document
from waybill_gateway.runtime import ResourcesDep

router = APIRouter(tags=["health"], route_class=GuardedRoute)


@router.get(
    "/healthz",
    responses={503: {"description": "The database refuses the gateway; an operator must correct that."}},
)
async def healthz(resources: ResourcesDep) -> Response:
    """Reports that the process answers, or what has refused it for so long that an operator must act."""
    status, body = await resources.condition.liveness()
    return JSONResponse(body, status)


@router.get("/startupz", responses={503: {"description": "It has not been ready since it was started."}})
async def startupz(resources: ResourcesDep) -> Response:
    """Reports whether the gateway has been ready at least once since its start.

    For that the ledger must have answered, and the broker must not refuse the gateway, which an operator
    would have to correct. A broker that is away does not matter: tasks are accepted meanwhile.
    """
    status, body = await resources.condition.startup()
    return JSONResponse(body, status)


@router.get("/readyz", responses={503: {"description": "Send no tasks here."}})
async def readyz(response: Response, resources: ResourcesDep) -> dict[str, Any]:
    """Reports whether tasks can be accepted, which needs a writable ledger, but no broker.

    A gateway that is stopping still accepts tasks, but reports 503, so that load balancers send no more
    callers.
    """
    response.status_code, body = await resources.condition.readiness()
    return body


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(resources: ResourcesDep) -> Response:
    """Gives Prometheus the metrics of tasks, requests and the process."""
    text, content_type = resources.condition.metrics()
    return Response(text, media_type=content_type)


@router.get("/asyncapi.json")
async def asyncapi() -> dict[str, Any]:
    """Describes the messages between the services, as an AsyncAPI 3 document."""
    return asyncapi_document()
