"""Requests for images."""

from typing import Annotated, Any

from fastapi import UploadFile
from pydantic import Field

from waybill_contracts.wire import MAX_DELAY
from waybill_gateway.http import Moment
from waybill_gateway.tasks import DELAY_SECONDS, SEND_AT, Delay, Timing


def _or_empty(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of an optional field of a form."""
    return {"anyOf": [schema, {"type": "string", "maxLength": 0}, {"type": "null"}]}


class PostImage(Timing):
    """An image as a multipart form."""

    # A form holds only text; an empty field arrives as an empty text.
    send_at: Moment | None = Field(
        None, description=SEND_AT, json_schema_extra=_or_empty({"type": "string", "format": "date-time"})
    )
    delay_seconds: Annotated[float, Delay] | None = Field(
        None,
        description=DELAY_SECONDS,
        json_schema_extra=_or_empty({"type": "number", "minimum": 0, "maximum": MAX_DELAY.total_seconds()}),
    )
    # FastAPI writes contentMediaType (OpenAPI 3.1); generators of clients only know the older `format`.
    file: UploadFile = Field(json_schema_extra={"format": "binary"})
    variants: list[str] = Field(
        default_factory=list, description="Presets: any of thumb, medium, large; all if absent."
    )
