"""Whether the gateway lives, and whether it can accept."""

from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from gateway.resources import Uses

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Tells that the process answers."""
    return {"status": "alive"}


@router.get("/readyz", responses={503: {"description": "Tasks cannot be accepted."}})
async def readyz(response: Response, resources: Uses) -> dict[str, Any]:
    """Tells whether tasks can be accepted: the ledger is needed for it, the broker is not."""
    try:
        await resources.records.read(lambda connection: connection.scalar(select(1)))
        ledger = True
    except SQLAlchemyError:
        ledger = False
        response.status_code = 503
    status = "ready" if ledger else "not ready"
    return {"status": status, "ledger": ledger, "broker": resources.broker_is_connected}
