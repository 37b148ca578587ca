"""JSON bodies, read strictly: what goes in must come out of the other end of the wire unchanged."""

import json
from collections.abc import Callable, Coroutine
from email.message import Message
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic_core import from_json

from waybill_gateway.http.direct_route import direct_handler
from waybill_gateway.http.problems import Problem

_WITH_BODY = frozenset({"POST", "PATCH"})


class JsonRequest(Request):
    """A request whose body is JSON as RFC 8259 has it."""

    async def json(self) -> Any:
        """The body's value; of a key that is there twice the last counts.

        Refused is what Python's parser takes but no message can carry: NaN and numbers beyond a double, text
        that is no Unicode (lone surrogates), nesting deeper than 200.

        Raises:
            Problem: 400, it is no such JSON; says where, and nothing of the content.
        """
        try:
            value = from_json(await self.body(), allow_inf_nan=False)
            # `from_json` reads 1e400 as infinity; writing it down tells.
            json.dumps(value, allow_nan=False)
        except ValueError as error:
            detail = f"The body cannot be read as JSON: {error}."
            raise Problem(HTTPStatus.BAD_REQUEST, "invalid_json", detail) from error
        return value


class JsonRoute(APIRoute):
    """A route that takes JSON and nothing else."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, given a `JsonRequest`."""
        handle = direct_handler(self) or super().get_route_handler()

        async def handle_json(request: Request) -> Response:
            if request.method in _WITH_BODY and not _is_json(request.headers.get("content-type", "")):
                raise Problem(
                    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                    "not_json",
                    "Send the body as JSON, with the header Content-Type: application/json.",
                )
            return await handle(JsonRequest(request.scope, request.receive))

        return handle_json


def _is_json(content_type: str) -> bool:
    if content_type == "application/json":  # nearly always, and at once
        return True
    header = Message()
    header["content-type"] = content_type
    return header.get_content_type() == "application/json" or (
        header.get_content_maintype() == "application" and header.get_content_subtype().endswith("+json")
    )
