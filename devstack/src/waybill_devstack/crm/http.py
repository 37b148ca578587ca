"""The crm's HTTP application."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import pydantic_core
from fastapi import FastAPI, Header, Path, Request
from fastapi.responses import JSONResponse

from waybill_devstack.crm.faults import Fault, Faults
from waybill_devstack.crm.records import Call, KeyReusedError, Outcome, Record, Records

#: A record is a form's worth of data; times the number of records it bounds the memory. Above: 413, not
#: logged.
MAX_BODY_BYTES = 64 * 1024

#: Resource names and record ids: long enough for any id in use.
_Name = Annotated[str, Path(min_length=1, max_length=200)]
#: Bytes of a refused body that the answer repeats.
MAX_REPEATED = 300
#: A string of the caller's (IETF draft-ietf-httpapi-idempotency-key-header).
_Key = Annotated[str | None, Header(min_length=1, max_length=255)]


def create_app(records: Records, faults: Faults, report: Callable[[str], None]) -> FastAPI:
    """Build the application; `report` gets one readable line for each write call."""
    app = FastAPI(title="Waybill crm", docs_url=None, redoc_url=None, max_body_size=MAX_BODY_BYTES)

    @app.get("/records")
    async def list_records() -> list[Record]:
        return records.all()

    @app.delete("/records", status_code=204)
    async def delete_records() -> None:
        records.clear()

    @app.get("/requests")
    async def list_requests() -> list[Call]:
        return records.calls()

    @app.post("/faults")
    async def set_fault(fault: Fault) -> Fault:
        faults.set(fault)
        return fault

    @app.put("/{resource}/{id}")
    @app.post("/{resource}/{id}")
    async def write_record(
        request: Request,
        resource: _Name,
        id: _Name,  # noqa: A002 (the path's word)
        idempotency_key: _Key = None,
    ) -> JSONResponse:
        body = await request.body()
        fault = faults.take(id)
        outcome: Outcome
        if fault is not None and fault.status is not None:
            answer, outcome = _fault_answer(fault, fault.status, body), "fault"
        else:
            answer, outcome = _write(records, (resource, id), body, idempotency_key)
        call = Call(
            at=datetime.now(UTC),
            method=request.method,
            path=request.url.path,
            idempotency_key=idempotency_key,
            status=answer.status_code,
            outcome=outcome,
        )
        records.log(call)
        report(f"{call.method} {call.path} {call.status} {call.outcome} key={call.idempotency_key or '-'}")
        if fault is not None and fault.delay:
            await asyncio.sleep(fault.delay)
        return answer

    return app


def _write(
    records: Records, name: tuple[str, str], body: bytes, key: str | None
) -> tuple[JSONResponse, Outcome]:
    try:
        data: Any = pydantic_core.from_json(body, allow_inf_nan=False)
    except ValueError as error:
        return _problem(422, f"the body is not JSON: {error}"), "refused"
    if not isinstance(data, dict):
        return _problem(422, "the body must be a JSON object"), "refused"
    try:
        answer, outcome = records.write(*name, data, key)
    except KeyReusedError:
        return _problem(422, "this Idempotency-Key was used for another write"), "refused"
    return JSONResponse(answer.record.model_dump(mode="json"), status_code=answer.status), outcome


def _fault_answer(fault: Fault, status: int, body: bytes) -> JSONResponse:
    # As many systems do, it repeats what it refuses.
    received = body[:MAX_REPEATED].decode(errors="replace")
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    return _problem(status, f"a fault was asked for with POST /faults; received {received}", headers)


def _problem(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    # Problem details, RFC 9457.
    return JSONResponse(
        {"type": "about:blank", "status": status, "detail": detail},
        status_code=status,
        headers=headers,
        media_type="application/problem+json",
    )
