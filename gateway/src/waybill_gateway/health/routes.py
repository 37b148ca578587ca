"""Whether the gateway is alive, and whether it can accept."""

import os
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from waybill_gateway.auth import GuardedRoute
from waybill_gateway.docs import asyncapi_document
from waybill_gateway.runtime import Resources, ResourcesDep
from waybill_worker.observe import exposition
from waybill_worker.runtime import liveness_answer, startup_answer

router = APIRouter(tags=["health"], route_class=GuardedRoute)


@router.get(
    "/healthz",
    responses={503: {"description": "The database refuses the gateway; an operator must correct that."}},
)
async def healthz(resources: ResourcesDep) -> Response:
    """Reports that the process answers, or what has refused it for so long that an operator must act."""
    status, body = liveness_answer(resources.database_wait.lasting_refusal)
    return Response(body, status, media_type="application/json")


@router.get("/startupz", responses={503: {"description": "It has not been ready since it was started."}})
async def startupz(resources: ResourcesDep) -> Response:
    """Reports whether the gateway has been ready at least once since its start.

    For that the ledger must have answered, and the broker must not refuse the gateway, which an operator
    would
    have to correct. A broker that is away does not matter: tasks are accepted meanwhile.
    """
    if not resources.has_started:
        resources.has_started = resources.relay.has_asked_the_broker and await _ledger_answers(resources)
    status, body = startup_answer(resources.database_wait.lasting_refusal, has_started=resources.has_started)
    return Response(body, status, media_type="application/json")


@router.get("/readyz", responses={503: {"description": "Send no tasks here."}})
async def readyz(response: Response, resources: ResourcesDep) -> dict[str, Any]:
    """Reports whether tasks can be accepted, which needs a writable ledger, but no broker.

    A gateway that is stopping still accepts tasks, but reports 503, so that load balancers send no more
    callers.
    """
    ledger = await _ledger_answers(resources)
    stopping = resources.stopping.is_set()
    if stopping or not ledger:
        response.status_code = 503
    return {
        "status": "stopping" if stopping else "ready" if ledger else "not ready",
        "pid": os.getpid(),
        "ledger": ledger,
        "broker": resources.relay.is_connected,
    }


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(resources: ResourcesDep) -> Response:
    """Gives Prometheus the metrics of tasks, requests and the process."""
    text, content_type = exposition(resources.registry)
    return Response(text, media_type=content_type)


@router.get("/asyncapi.json")
async def asyncapi() -> dict[str, Any]:
    """Describes the messages between the services, as an AsyncAPI 3 document."""
    return asyncapi_document()


async def _ledger_answers(resources: Resources) -> bool:
    return resources.ledger_is_checked and await resources.records.is_writable()
