"""Errors as problem documents (RFC 9457): what is wrong, and what to do about it."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from waybill_contracts.privacy import UnknownKeyError
from waybill_database import Fault, fault_of
from waybill_gateway.http.fields import PATTERN_FAULTS
from waybill_worker.observe import get_logger
from waybill_worker.storage import StoreMisconfigured, StoreUnavailable

log = get_logger(__name__)

CONTENT_TYPE = "application/problem+json"
#: The prefix of a problem's type; its code follows.
TYPE_PREFIX = "urn:waybill:problem:"
#: Listed wrong fields, and characters of a name: an answer must not grow with a hostile body.
MAX_ERRORS, MAX_FIELD_NAME = 50, 200
#: The status that proxies log for a caller that has disconnected; it is never sent.
CALLER_GONE = 499
#: Seconds after which a call may be repeated: an operator has to configure the key, or a rotation is under
#: way and has to reach this process.
_KEY_RETRY_SECONDS = 60
#: The methods that a path may take.
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
#: Parts of a location that name a place, not a field.
_PLACES = frozenset({"body", "query", "path", "header"})


class FieldError(BaseModel):
    """One field that is wrong."""

    field: str
    message: str


class ProblemDocument(BaseModel):
    """The body of every error answer (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] | None = None


class Problem(HTTPException):
    """An error answer; an HTTPException, so that the framework passes it on wherever it is raised."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status.value, detail, dict(headers or {}))
        self.code = code
        self.errors = errors


def ledger_unavailable(**headers: str) -> Problem:
    """The answer while the ledger cannot be used."""
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "ledger_unavailable",
        # If its answer to the commit was lost, the outcome is unknown.
        "The ledger cannot be written or read just now. A POST may have been accepted all the same: repeat "
        "it in a moment with its Idempotency-Key, and it is accepted once.",
        headers={"Retry-After": "2"} | headers,
    )


def key_missing(error: UnknownKeyError, needed_for: str, detail: str) -> Problem:
    """Logs which key is missing, for operators, and gives the answer for the caller, who sees no key.

    Args:
        error: names the key.
        needed_for: what could not be opened, for the log.
        detail: what else the caller should know.
    """
    log.error("a sealing key is not configured here", key=error.key, needed_for=needed_for)
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "sealing_key_missing",
        f"This needs a sealing key that is not configured here just now. {detail}",
        headers={"Retry-After": str(_KEY_RETRY_SECONDS)},
    )


def problem_answer(problem: Problem) -> JSONResponse:
    """The answer for a problem; it can also be sent where no application runs."""
    status = HTTPStatus(problem.status_code)
    return _response(status, problem.code, problem.detail, problem.errors, problem.headers)


def errors_of(error: RequestValidationError) -> list[FieldError]:
    """What is wrong with a request: each field, without its value."""
    return [FieldError(field=_field(each["loc"]), message=_message(each)) for each in error.errors()]


def install_problems(app: FastAPI) -> None:
    """Makes `app` answer every error with a problem document."""
    app.add_exception_handler(ClientDisconnect, _on_gone)
    app.add_exception_handler(StoreUnavailable, _on_store_away)

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            # The framework names only the methods of the first route of a path; a path may have several
            # routes.
            allowed = ", ".join(_allowed_methods(app, request))
            detail = f"This path takes {allowed}."
            return _response(status, "method_not_allowed", detail, (), {"Allow": allowed})
        if isinstance(error, Problem):
            return problem_answer(error)
        return _response(status, status.name.lower(), str(error.detail), (), error.headers)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        errors = errors_of(error)
        detail = f"{len(errors)} field(s) are wrong; see errors."
        if len(errors) > MAX_ERRORS:
            detail += f" The first {MAX_ERRORS} are listed."
        return _response(
            HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", detail, errors[:MAX_ERRORS], None
        )

    @app.exception_handler(DBAPIError)
    async def on_ledger_away(_request: Request, error: DBAPIError) -> JSONResponse:
        if fault_of(error) in {Fault.VALUES, Fault.DEFECT}:
            raise error
        log.error("the ledger is unavailable", error=error)
        return problem_answer(ledger_unavailable())

    @app.exception_handler(Exception)
    async def on_defect(_request: Request, error: Exception) -> JSONResponse:
        log.error("request failed", exc_info=error)
        detail = (
            "An internal error; the log has the details. A POST may have been accepted: repeat it with its "
            "Idempotency-Key, and it is accepted once."
        )
        return _response(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", detail, (), None)


async def _on_gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=CALLER_GONE)


async def _on_store_away(_request: Request, error: Exception) -> Response:
    if isinstance(error, StoreMisconfigured):
        log.critical("the object store refuses this gateway; an operator must correct that", error=error)
        code, wait = "store_misconfigured", 60
        detail = (
            "The store of files refuses this gateway. Nothing was accepted: its operator must correct that."
        )
    else:
        log.error("the object store is unavailable", error=error)
        code, wait = "store_unavailable", 10
        detail = "Files cannot be stored or read just now. Nothing was accepted: repeat the call in a moment."
    return _response(HTTPStatus.SERVICE_UNAVAILABLE, code, detail, (), {"Retry-After": str(wait)})


def _allowed_methods(app: FastAPI, request: Request) -> list[str]:
    return [
        method
        for method in _METHODS
        if any(route.matches({**request.scope, "method": method})[0] == Match.FULL for route in app.routes)
    ]


def _response(
    status: HTTPStatus,
    code: str,
    detail: str,
    errors: Sequence[FieldError],
    headers: Mapping[str, str] | None,
) -> JSONResponse:
    document = ProblemDocument(
        type=TYPE_PREFIX + code,
        title=status.phrase,
        status=status.value,
        detail=detail,
        errors=list(errors) or None,
    )
    return JSONResponse(
        document.model_dump(exclude_none=True),
        status.value,
        headers=dict(headers or {}),
        media_type=CONTENT_TYPE,
    )


def _field(location: Sequence[int | str]) -> str:
    parts = location[1:] if location and location[0] in _PLACES else location
    return ".".join(map(str, parts))[:MAX_FIELD_NAME] or "body"


def _message(error: Mapping[str, Any]) -> str:
    if error.get("type") == "string_pattern_mismatch" and (
        words := PATTERN_FAULTS.get(error["ctx"]["pattern"])
    ):
        return words
    # Without the value, which may be private.
    return str(error["msg"]).removeprefix("Value error, ")
