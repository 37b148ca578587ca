"""Files: the upload."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from pydantic import TypeAdapter, ValidationError

from waybill_contracts.files import ContentType, FileRef, ShownName, file_ref, uploads_of
from waybill_gateway.auth import CallerDep, GuardedRoute
from waybill_gateway.files.receiving import receiving
from waybill_gateway.files.storing import store_file
from waybill_gateway.http import FieldError, IdempotencyKey, Problem, parse_key
from waybill_gateway.runtime import ResourcesDep

router = APIRouter(tags=["files"], route_class=GuardedRoute)

_CONTENT_TYPE: Final[TypeAdapter[str]] = TypeAdapter(ContentType)
_UNKNOWN: Final = "application/octet-stream"
#: What clients send if they take the file for the field of a form.
_FORMS: Final = ("multipart/form-data", "application/x-www-form-urlencoded")


@router.post(
    "/v1/files",
    status_code=HTTPStatus.CREATED,
    response_model_exclude_none=True,
    openapi_extra={
        "requestBody": {
            "description": "The file. Without a body it is an empty file.",
            "content": {_UNKNOWN: {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def post_file(
    request: Request,
    resources: ResourcesDep,
    caller: CallerDep,
    name: Annotated[ShownName | None, Query(description="Its name, for people.")] = None,
    idempotency_key: IdempotencyKey = None,
) -> FileRef:
    """Uploads a file for tasks to refer to: the body is the file, and Content-Type its type.

    The answer is the reference that the data of a task takes. The file is deleted at `expires_at` unless a
    task refers to it by then; from then on it is kept as long as its tasks. The same file again gets the same
    key.
    """
    parse_key(idempotency_key)  # a repeat has the same effect, so its key need not be stored
    content_type = _content_type(request)
    async with receiving(request) as received:
        key, expires_at = await store_file(
            resources, uploads_of(caller.tenant), received.file, received.sha256
        )
    return file_ref(key, received.size_bytes, content_type, name, expires_at)


def _content_type(request: Request) -> str:
    stated = request.headers.get("content-type", _UNKNOWN)
    if stated.partition(";")[0].strip().lower() in _FORMS:
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "form_body",
            "Send the file itself as the body, not a form, and its own type as Content-Type.",
        )
    try:
        return _CONTENT_TYPE.validate_python(stated)
    except ValidationError as error:
        message = "must be a media type, such as application/pdf"
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "invalid_request",
            f"Content-Type {message}.",
            errors=[FieldError(field="Content-Type", message=message)],
        ) from error
