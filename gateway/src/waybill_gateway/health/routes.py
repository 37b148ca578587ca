"""Whether the gateway lives, and whether it can accept."""

import os
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from waybill_gateway.auth.guarded_route import GuardedRoute
from waybill_gateway.docs.asyncapi import asyncapi_document
from waybill_gateway.runtime.resources import Resources, ResourcesDep
from waybill_worker.observe.metrics import exposition
from waybill_worker.runtime.health import liveness, startup

router = APIRouter(tags=["health"], route_class=GuardedRoute)


@router.get("/healthz", responses={503: {"description": "The database refuses us; it must be mended."}})
async def healthz(resources: ResourcesDep) -> Response:
    """Tells that the process answers, or who has refused it for so long that somebody must mend it."""
    status, body = liveness(resources.database_wait.lasting_refusal)
    return Response(body, status, media_type="application/json")


@router.get("/startupz", responses={503: {"description": "It has not been ready since it was started."}})
async def startupz(resources: ResourcesDep) -> Response:
    """Tells whether the gateway has been ready since it was started, whatever came later.

    The ledger must have answered, and the broker must not refuse the gateway: people must correct that. A
    broker that is away does not count: tasks are accepted meanwhile.
    """
    if not resources.has_started:
        resources.has_started = resources.relay.has_asked_the_broker and await _ledger_answers(resources)
    status, body = startup(resources.database_wait.lasting_refusal, has_started=resources.has_started)
    return Response(body, status, media_type="application/json")


@router.get("/readyz", responses={503: {"description": "Send no tasks here."}})
async def readyz(response: Response, resources: ResourcesDep) -> dict[str, Any]:
    """Tells whether tasks can be accepted: a ledger that can be written is needed for it, the broker is not.

    A gateway that is stopping still accepts, but wants no more callers to be sent to it.
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
    """Tells Prometheus what was accepted, how requests were answered, and how the process is."""
    text, content_type = exposition(resources.registry)
    return Response(text, media_type=content_type)


@router.get("/asyncapi.json")
async def asyncapi() -> dict[str, Any]:
    """Describes the messages behind the API, as an AsyncAPI 3 document."""
    return asyncapi_document()


async def _ledger_answers(resources: Resources) -> bool:
    return resources.ledger_is_checked and await resources.records.is_writable()
